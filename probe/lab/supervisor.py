"""The supervisor of a testbed: PID 1 of its own namespaces.

`testbed` starts it inside `unshare`. It reads a `BuildRequest` from standard input, forks one
process per node, writes their process ids to standard output, and runs until standard input closes.
When it ends, the kernel kills all processes in its PID namespace.
"""

import json
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree

from probe.lab import (
    addresses as plan,
    dns_injector,
    middlebox,
    multihop,
    netns,
    on_path_injector,
    origin,
    proxy,
    quic_censor,
    quic_server,
    resolvers,
    tunnels,
)
from probe.lab.line import Bridge, open_interface
from probe.lab.scenario import WIRE, Interference, LabSite, LineSpec, RouterMiddlebox, Scenario
from probe.lab.topology import Topology, build

_DOMESTIC = "92.46.0.0/16"


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """The testbed to build."""

    scenarios: tuple[Scenario, ...]
    line: LineSpec
    folder: str
    extra: tuple[LabSite, ...] = ()


def _run(command: Sequence[str], text: str) -> None:
    finished = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if finished.returncode:
        raise OSError(f"{' '.join(command)}: {finished.stderr.strip()}")


def ip(lines: Sequence[str]) -> None:
    """Run lines of `ip` in the current network namespace."""
    _run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def restore(program: str, text: str, inside_of: int | None = None) -> None:
    """Load a rule set, with the legacy backend where iptables-restore fails.

    `inside_of`: a process (by its outer id) in whose network namespace the rules are loaded.
    """
    enter = [] if inside_of is None else ["nsenter", "-t", str(inside_of), "-n"]
    try:
        _run([*enter, f"{program}-restore", "-w", "5"], text)
    except OSError:
        _run([*enter, f"{program}-legacy-restore", "-w", "5"], text)


def _client(topology: Topology, folder: Path) -> None:
    if multihop.is_multihop(topology.interferences):
        ip(multihop.client())
        netns.offloads_off("eth0")
    else:
        _leaf_node(plan.CLIENT, plan.CLIENT_GATEWAY, plan.CLIENT6, plan.CLIENT6_GATEWAY)
    _resolv(plan.SYSTEM_RESOLVER, folder / "client.resolv.conf")


def _abroad(_: Topology, folder: Path) -> None:
    _leaf_node(plan.ABROAD, plan.ABROAD_GATEWAY, plan.ABROAD6, plan.ABROAD6_GATEWAY)
    _resolv("8.8.4.4", folder / "abroad.resolv.conf")


def _leaf_node(address: str, gateway: str, address6: str, gateway6: str) -> None:
    ip(
        [
            "link set lo up",
            f"addr add {address}/24 dev eth0",
            f"addr add {address6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {gateway}",
            f"route add default via {gateway6}",
        ]
    )
    netns.offloads_off("eth0")


def _resolv(resolver: str, scratch: Path) -> None:
    netns.bind_over("/etc/resolv.conf", f"nameserver {resolver}\n", scratch)


def _router(name: str, topology: Topology) -> None:
    """Set up one router of the multihop path and its middleboxes."""
    _forwarding()
    netns.sysctl("net/ipv4/fib_multipath_hash_policy", "1")  # by flow
    beside = multihop.detours(topology.interferences)
    in_line = multihop.one_after_another(topology.interferences)
    ip([*multihop.router(name), *multihop.to_detours(name, beside, in_line=in_line)])
    netns.offloads_off(middlebox.HOME)
    netns.offloads_off(middlebox.UPLINK)
    if name == "home":
        netns.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1")
        nat = f"*nat\n-A POSTROUTING -o {middlebox.UPLINK} -j MASQUERADE\nCOMMIT\n"
        restore("iptables", nat)
    elif name != multihop.BORDER:
        restore("iptables", middlebox.router_rules(topology, name))
    for each in topology.interferences:
        if isinstance(each, RouterMiddlebox) and each.at == name and each.stands == "on":
            on_path_injector.start(each)


def _detour(name: str, topology: Topology) -> None:
    _forwarding()
    ip(multihop.detour(name, in_line=multihop.one_after_another(topology.interferences)))
    restore("iptables", middlebox.router_rules(topology, name))
    netns.offloads_off(middlebox.HOME)
    netns.offloads_off(middlebox.UPLINK)


def _censor(topology: Topology, _: Path) -> None:
    if multihop.is_multihop(topology.interferences):
        _router(multihop.BORDER, topology)
    else:
        _border_router()
    classes = middlebox.classes(topology)
    if classes:
        _run(["tc", "-batch", "-"], "\n".join(classes) + "\n")
    proxy.start(topology)
    dns_injector.start(topology)
    quic_censor.start(topology)
    restore("iptables", middlebox.rules(topology))
    restore("ip6tables", middlebox.rules(topology, v6=True))


def _border_router() -> None:
    _forwarding()
    ip(
        [
            "link set lo up",
            f"addr add {plan.CLIENT_GATEWAY}/24 dev {middlebox.HOME}",
            f"addr add {plan.CLIENT6_GATEWAY}/64 dev {middlebox.HOME} nodad",
            f"addr add {plan.UPLINK_CENSOR}/30 dev {middlebox.UPLINK}",
            f"addr add {plan.UPLINK6_CENSOR}/64 dev {middlebox.UPLINK} nodad",
            f"link set {middlebox.HOME} up",
            f"link set {middlebox.UPLINK} up",
            f"route add default via {plan.UPLINK_INTERNET}",
            f"route add default via {plan.UPLINK6_INTERNET}",
        ]
    )
    netns.offloads_off(middlebox.HOME)
    netns.offloads_off(middlebox.UPLINK)


def _forwarding() -> None:
    netns.sysctl("net/ipv4/ip_forward", "1")
    netns.sysctl("net/ipv6/conf/all/forwarding", "1")
    netns.sysctl("net/ipv4/conf/all/rp_filter", "0")
    netns.sysctl("net/ipv4/icmp_ratelimit", "0")
    netns.sysctl("net/ipv4/icmp_msgs_per_sec", "100000")
    netns.sysctl("net/ipv6/icmp/ratelimit", "0")


def _internet(topology: Topology, _: Path) -> None:
    _forwarding()
    local = [str(plan.FOREIGN), _DOMESTIC, *(f"{each}/32" for each in plan.PUBLIC_RESOLVERS)]
    local += [f"{a}/32" for placed in topology.sites.values() for a in placed.site.fixed]
    local6 = [str(plan.FOREIGN6), *(f"{each}/128" for each in plan.PUBLIC_RESOLVERS6)]
    ip(
        [
            "link set lo up",
            f"addr add {plan.UPLINK_INTERNET}/30 dev censor0",
            f"addr add {plan.UPLINK6_INTERNET}/64 dev censor0 nodad",
            f"addr add {plan.ABROAD_GATEWAY}/24 dev abroad0",
            f"addr add {plan.ABROAD6_GATEWAY}/64 dev abroad0 nodad",
            "link set censor0 up",
            "link set abroad0 up",
            f"route add {plan.CLIENT_NET} via {plan.UPLINK_CENSOR}",
            f"route add {plan.CLIENT6_NET} via {plan.UPLINK6_CENSOR}",
            *(f"route add local {network} dev lo" for network in local + local6),
            *(multihop.internet() if multihop.is_multihop(topology.interferences) else ()),
        ]
    )
    netns.offloads_off("censor0")
    netns.offloads_off("abroad0")
    origin.start(topology, resolvers.start(topology))
    quic_server.start(topology)
    tunnels.start(topology)
    restore("iptables", middlebox.dead_server_rules(topology))
    restore("ip6tables", middlebox.dead_server_rules(topology, v6=True))


def _line(topology: Topology, _: Path) -> None:
    ip(["link set near up", "link set far up"])
    netns.offloads_off("near")
    netns.offloads_off("far")
    bridge = Bridge(topology.line, open_interface("near"), open_interface("far"))
    threading.Thread(target=bridge.run, daemon=True).start()


_ROLES: dict[str, Callable[[Topology, Path], None]] = {
    "internet": _internet,
    "censor": _censor,
    "line": _line,
    "client": _client,
    "abroad": _abroad,
}
_ROUTERS = tuple(name for name in multihop.ROUTERS if name != multihop.BORDER)


def _set_up(name: str, topology: Topology, folder: Path) -> None:
    if name in _ROUTERS:
        _router(name, topology)
    elif name in plan.DETOURS:
        _detour(name, topology)
    else:
        _ROLES[name](topology, folder)


def _links(nodes: dict[str, netns.Node], line: LineSpec, topology: Topology) -> list[str]:
    """`ip` commands for the links between the nodes."""
    hops = multihop.is_multihop(topology.interferences)
    index = count(10, 2)

    def link(one: str, one_end: str, other: str, other_end: str) -> str:
        return netns.veth((nodes[one], one_end), (nodes[other], other_end), next(index))

    home = middlebox.HOME
    if hops:
        first = "client" if line == WIRE else "line"
        access = [] if line == WIRE else [link("client", "eth0", "line", "near")]
        beside = multihop.detours(topology.interferences)
        in_line = multihop.one_after_another(topology.interferences)
        access += multihop.links(first, link)
        access += multihop.detour_links(beside, link, in_line=in_line)
    elif line == WIRE:
        access = [link("client", "eth0", "censor", home)]
    else:
        access = [link("client", "eth0", "line", "near"), link("line", "far", "censor", home)]
    uplink = link("edge" if hops else "censor", middlebox.UPLINK, "internet", "censor0")
    return [*access, uplink, link("abroad", "eth0", "internet", "abroad0")]


@dataclass(frozen=True, slots=True)
class RunningTestbed:
    """A running testbed."""

    topology: Topology
    nodes: dict[str, netns.Node]

    def summary(self) -> dict[str, object]:
        """The reply to a build request."""
        return {
            "nodes": {node.name: node.outer for node in self.nodes.values()},
            "addresses": {name: self.topology.addresses_of(name) for name in self.topology.sites},
        }

    def set_interferences(self, interferences: tuple[Interference, ...]) -> None:
        """Replace the censor's interference; `OSError` if one needs more than kernel rules."""
        refused = [each for each in interferences if not middlebox.in_kernel(each)]
        if refused:
            raise OSError(f"needs a process of its own, so it cannot start now: {refused[0]}")
        topology = replace(self.topology, interferences=interferences)
        outer = self.nodes["censor"].outer
        restore("iptables", middlebox.rules(topology), outer)
        restore("ip6tables", middlebox.rules(topology, v6=True), outer)


def _build(request: BuildRequest) -> RunningTestbed:
    folder = Path(request.folder)
    netns.own_mounts()
    netns.mount("tmpfs", "/run", "tmpfs")
    topology = build(request.scenarios, request.line, request.extra)
    (folder / "ca.pem").write_bytes(topology.pki.roots_pem)
    hops = multihop.is_multihop(topology.interferences)
    roles = [name for name in _ROLES if name != "line" or request.line != WIRE]
    beside = multihop.detours(topology.interferences)
    roles += [*_ROUTERS, *beside] if hops else ()
    nodes = {
        name: netns.fork_node(name, partial(_set_up, name, topology, folder)) for name in roles
    }
    ip(_links(nodes, request.line, topology))
    netns.start_nodes(nodes.values())
    return RunningTestbed(topology, nodes)


def main() -> None:
    """Build the testbed that standard input requests, and keep it until the input closes.

    Each later request replaces the censor's interference.
    """
    request: BuildRequest = pickle.load(sys.stdin.buffer)
    try:
        built = _build(request)
    except OSError as error:
        _reply({"error": str(error)})
    else:
        _reply(built.summary())
        _serve_requests(built)
    rmtree(request.folder, ignore_errors=True)  # the owner was killed and could not delete it


def _serve_requests(built: RunningTestbed) -> None:
    """Handle requests until the input closes; meanwhile the kernel reaps orphaned processes."""
    while True:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            interferences: tuple[Interference, ...] = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            built.set_interferences(interferences)
        except (OSError, KeyError) as error:
            _reply({"error": f"{type(error).__name__}: {error}"})
        else:
            _reply({})


def _reply(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
