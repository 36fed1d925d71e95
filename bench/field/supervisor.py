"""The supervisor of a field: it and all its processes end when its standard input closes.

Three nodes: home, the line, and the internet, which has the censor at its interface.
"""

import json
import pickle
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.field import plan as plans, servers
from bench.field.certificates import certify
from bench.field.plan import Field, Spec
from probe.lab import netns
from probe.lab.line import Bridge, open_interface
from probe.lab.scenario import LineSpec
from probe.lab.supervisor import ip, restore

_PROCESSES = 2
_QUEUE = 256 * 1024  # bytes in the queue of a home router
_RESET = "--reject-with tcp-reset"
_LARGE = "-m length --length 100:65535"
# The public resolver that answers where only one does.
_LEFT = "9.9.9.9"


def _home(_: Field, folder: Path) -> None:
    resolver = f"nameserver {plans.SYSTEM_RESOLVER}\n"
    netns.bind_over("/etc/resolv.conf", resolver, folder / "resolv.conf")
    ip(
        [
            "link set lo up",
            f"addr add {plans.CLIENT}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {plans.GATEWAY}",
        ]
    )
    netns.offloads_off("eth0")


def _line(plan: Field, _: Path) -> None:
    ip(["link set near up", "link set far up"])
    netns.offloads_off("near")
    netns.offloads_off("far")
    spec = plan.spec
    line = LineSpec(
        "bench", delay=spec.round_trip / 2, rate=int(spec.rate), loss=spec.loss, queue=_QUEUE
    )
    bridge = Bridge(line, open_interface("near"), open_interface("far"), seed=spec.seed)
    threading.Thread(target=bridge.run, daemon=True).start()


def _internet(plan: Field, folder: Path) -> None:
    resolvers = (plans.SYSTEM_RESOLVER, *plans.PUBLIC_RESOLVERS)
    ip(
        [
            "link set lo up",
            f"addr add {plans.GATEWAY}/24 dev eth0",
            "link set eth0 up",
            *(
                f"route add local {one} dev lo"
                for one in (plans.SITES, *(f"{r}/32" for r in resolvers))
            ),
        ]
    )
    netns.offloads_off("eth0")
    netns.sysctl("net/ipv4/conf/all/rp_filter", "0")
    netns.sysctl("net/ipv4/tcp_max_syn_backlog", "4096")
    netns.sysctl("net/core/somaxconn", "4096")
    rules = "\n".join(f"-A INPUT -i eth0 -p {rule}" for rule in _censor(plan.spec))
    restore("iptables", f"*filter\n:INPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n")
    servers.start(plan, folder, processes=_PROCESSES)


def _censor(spec: Spec) -> list[str]:
    """The rules at the internet's interface, from the protocol on."""
    named = 'tcp --dport 443 -m string --algo bm --string "{}" -j {}'
    rules = [
        named.format(plans.MARK, "DROP"),
        named.format("-reset.", f"REJECT {_RESET}"),
        f"tcp -d {plans.DEAD} -j DROP",
        f"tcp -d {plans.MUTE} {_LARGE} -j DROP",
        f"tcp -d {plans.REFUSE} -j REJECT {_RESET}",
    ]
    if spec.anchors == "silent":
        rules.append(f"tcp -d {plans.ANCHOR_ADDRESSES} -j DROP")
    return rules + _resolver_rules(spec)


def _resolver_rules(spec: Spec) -> list[str]:
    """What becomes of packets to public resolvers."""
    every = tuple(plans.PUBLIC_RESOLVERS)
    match spec.resolvers:
        case "silent":
            return [f"tcp -d {address} --dport 443 -j DROP" for address in every]
        case "mute":
            return [f"tcp -d {address} --dport 443 {_LARGE} -j DROP" for address in every]
        case "refusing":
            return [f"tcp -d {address} --dport 443 -j REJECT {_RESET}" for address in every]
        case "one":
            clear = [f"udp -d {address} -j DROP" for address in every]
            return clear + [f"tcp -d {address} -j DROP" for address in every if address != _LEFT]
        case _:
            return []


_ROLES: dict[str, Callable[[Field, Path], None]] = {
    "internet": _internet,
    "line": _line,
    "home": _home,
}


def _build(spec: Spec, folder: Path) -> dict[str, object]:
    netns.own_mounts()
    netns.mount("tmpfs", "/run", "tmpfs")
    plan = plans.make(spec)
    certify(plan, folder)
    nodes = {
        name: netns.fork_node(name, partial(role, plan, folder)) for name, role in _ROLES.items()
    }
    line = nodes["line"]
    ip(
        [
            netns.veth((nodes["home"], "eth0"), (line, "near"), 10),
            netns.veth((line, "far"), (nodes["internet"], "eth0"), 20),
        ]
    )
    netns.start_nodes(nodes.values())
    return {"nodes": {name: node.outer for name, node in nodes.items()}}


def main() -> None:
    spec, folder = pickle.load(sys.stdin.buffer)
    try:
        answer = _build(spec, Path(folder))
    except OSError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    while "nodes" in answer and sys.stdin.buffer.read(1):
        pass


if __name__ == "__main__":
    main()
