"""The process in which a country lives: PID 1 of its own namespaces, and everything below it.

It is started by `country` inside `unshare`, reads what to build from its standard input, forks one
process per place, says on standard output where they are, and lives until its standard input
closes. When it goes, the kernel ends whatever is left in the namespaces, so nothing can outlive it.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from probe.lab.scenario import WIRE, Box, Interference, LineSpec, Scenario, Site
from probe.lab.topology import Topology, build

_DOMESTIC = "92.46.0.0/16"


@dataclass(frozen=True, slots=True)
class Order:
    """What to build."""

    scenarios: tuple[Scenario, ...]
    line: LineSpec
    folder: str
    seed: int = 1
    extra: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """One forked process with namespaces of its own."""

    name: str
    pid: int
    outer: int
    go: int
    done: int


def _run(command: Sequence[str], text: str) -> None:
    finished = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if finished.returncode:
        raise OSError(f"{' '.join(command)}: {finished.stderr.strip()}")


def ip(lines: Sequence[str]) -> None:
    """Run lines of `ip` in the current network namespace."""
    _run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def restore(program: str, text: str, inside_of: int | None = None) -> None:
    """Load a rule set with whichever backend of iptables this machine has.

    `inside_of`: in the network of this process (by its id outside), in place of our own.
    """
    enter = [] if inside_of is None else ["nsenter", "-t", str(inside_of), "-n"]
    try:
        _run([*enter, f"{program}-restore", "-w", "5"], text)
    except OSError:
        _run([*enter, f"{program}-legacy-restore", "-w", "5"], text)


def _client(world: Topology, folder: Path) -> None:
    if multihop.is_long(world.acts):
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


def _router(name: str, world: Topology) -> None:
    """One router of the long way, and the boxes at it."""
    _forwarding()
    ip(multihop.router(name))
    netns.offloads_off(middlebox.HOME)
    netns.offloads_off(middlebox.UPLINK)
    if name == "home":
        netns.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1")
        nat = f"*nat\n-A POSTROUTING -o {middlebox.UPLINK} -j MASQUERADE\nCOMMIT\n"
        restore("iptables", nat)
    elif name != multihop.BORDER:
        restore("iptables", middlebox.box_rules(world, name))
    for act in world.acts:
        if isinstance(act, Box) and act.at == name and act.stands == "on":
            on_path_injector.start(act)


def _censor(world: Topology, _: Path) -> None:
    if multihop.is_long(world.acts):
        _router(multihop.BORDER, world)
    else:
        _at_the_border()
    classes = middlebox.classes(world)
    if classes:
        _run(["tc", "-batch", "-"], "\n".join(classes) + "\n")
    proxy.start(world)
    dns_injector.start(world)
    quic_censor.start(world)
    restore("iptables", middlebox.rules(world))
    restore("ip6tables", middlebox.rules(world, v6=True))


def _at_the_border() -> None:
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


def _internet(world: Topology, _: Path) -> None:
    _forwarding()
    local = [str(plan.FOREIGN), _DOMESTIC, *(f"{each}/32" for each in plan.PUBLIC_RESOLVERS)]
    local += [f"{a}/32" for place in world.places.values() for a in place.site.fixed]
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
            *(multihop.internet() if multihop.is_long(world.acts) else ()),
        ]
    )
    netns.offloads_off("censor0")
    netns.offloads_off("abroad0")
    origin.start(world, resolvers.start(world))
    quic_server.start(world)
    tunnels.start(world)
    restore("iptables", middlebox.dead_servers(world))
    restore("ip6tables", middlebox.dead_servers(world, v6=True))


def _line(world: Topology, _: Path) -> None:
    ip(["link set near up", "link set far up"])
    netns.offloads_off("near")
    netns.offloads_off("far")
    bridge = Bridge(world.line, open_interface("near"), open_interface("far"))
    threading.Thread(target=bridge.run, daemon=True).start()


_ROLES: dict[str, Callable[[Topology, Path], None]] = {
    "internet": _internet,
    "censor": _censor,
    "line": _line,
    "client": _client,
    "abroad": _abroad,
}
_ROUTERS = tuple(name for name in multihop.ROUTERS if name != multihop.BORDER)


def _fork(name: str, world: Topology, folder: Path) -> Place:
    """Start a place: it makes its namespaces, waits for its links, then gets to work."""
    up_read, up_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        _live(name, world, folder, up_write, go_read)
    os.close(up_write)
    os.close(go_read)
    return Place(name, pid, int(os.read(up_read, 32)), go_write, up_read)


def _live(name: str, world: Topology, folder: Path, up: int, go: int) -> None:
    try:
        netns.unshare(netns.CLONE_NEWNET | netns.CLONE_NEWNS)
        os.write(up, str(netns.outer_pid()).encode())
        os.read(go, 1)
        netns.no_address_detection()
        if name in _ROUTERS:
            _router(name, world)
        else:
            _ROLES[name](world, folder)
        os.write(up, b"ready")
        signal.pause()
    except BaseException as error:  # noqa: BLE001 - the last frame of a process: say it and go
        traceback.print_exc()
        os.write(up, f"{type(error).__name__}: {error}".encode()[:4000])
    os._exit(1)


def _links(places: dict[str, Place], line: LineSpec, *, long: bool) -> list[str]:
    """Virtual cables between the places, named as each end sees them.

    Every end has an index of its own: the kernel tells a cable whose two ends have the same index
    in their namespaces a second late that it is up, and IPv6 waits for that.
    """
    pid = {name: place.pid for name, place in places.items()}
    index = count(10)

    def cable(one: str, one_end: str, other: str, other_end: str) -> str:
        near = f"name {one_end} index {next(index)} netns {pid[one]}"
        far = f"name {other_end} index {next(index)} netns {pid[other]}"
        return f"link add {near} type veth peer {far}"

    home = middlebox.HOME
    if long:
        first = "client" if line == WIRE else "line"
        access = [] if line == WIRE else [cable("client", "eth0", "line", "near")]
        access += multihop.cables(first, cable)
    elif line == WIRE:
        access = [cable("client", "eth0", "censor", home)]
    else:
        access = [cable("client", "eth0", "line", "near"), cable("line", "far", "censor", home)]
    uplink = cable("edge" if long else "censor", middlebox.UPLINK, "internet", "censor0")
    return [*access, uplink, cable("abroad", "eth0", "internet", "abroad0")]


@dataclass(frozen=True, slots=True)
class Built:
    """A country that runs."""

    world: Topology
    places: dict[str, Place]

    def told(self) -> dict[str, object]:
        """What whoever ordered it needs to know."""
        return {
            "places": {place.name: place.outer for place in self.places.values()},
            "addresses": {name: self.world.addresses_of(name) for name in self.world.places},
        }

    def switch(self, acts: tuple[Interference, ...]) -> None:
        """Let the censor do these acts, and what it did before no more."""
        refused = [act for act in acts if not middlebox.in_kernel(act)]
        if refused:
            raise OSError(f"needs a process of its own, and cannot begin midway: {refused[0]}")
        world = replace(self.world, acts=acts)
        outer = self.places["censor"].outer
        restore("iptables", middlebox.rules(world), outer)
        restore("ip6tables", middlebox.rules(world, v6=True), outer)


def _build(order: Order) -> Built:
    folder = Path(order.folder)
    netns.own_mounts()
    netns.mount("tmpfs", "/run", "tmpfs")
    world = build(order.scenarios, order.line, order.extra)
    (folder / "ca.pem").write_bytes(world.pki.roots_pem)
    long = multihop.is_long(world.acts)
    roles = [name for name in _ROLES if name != "line" or order.line != WIRE]
    roles += _ROUTERS if long else ()
    places = {name: _fork(name, world, folder) for name in roles}
    ip(_links(places, order.line, long=long))
    for place in places.values():
        os.write(place.go, b"g")
    for place in places.values():
        said = os.read(place.done, 4096)
        if said != b"ready":
            raise OSError(f"{place.name}: {said.decode(errors='replace')}")
    return Built(world, places)


def main() -> None:
    """Build what standard input orders, say where it is, and hold it until the input closes.

    While it stands, each further order is what the censor is to do from now on.
    """
    order: Order = pickle.load(sys.stdin.buffer)
    try:
        built = _build(order)
    except OSError as error:
        _say({"error": str(error)})
    else:
        _say(built.told())
        _obey(built)
    rmtree(order.folder, ignore_errors=True)  # whoever made it is gone without tidying up


def _obey(built: Built) -> None:
    """Switch as often as we are told to; meanwhile the kernel buries what died in our names."""
    while True:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            acts: tuple[Interference, ...] = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            built.switch(acts)
        except (OSError, KeyError) as error:
            _say({"error": f"{type(error).__name__}: {error}"})
        else:
            _say({})


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
