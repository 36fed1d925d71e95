"""The process in which a field lives: it ends with its standard input, and takes all along.

Three places: home, the line, and the rest of the world, where the censor stands at the entrance.
"""

import json
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.field import plan as plans, servers
from bench.field.certificates import certify
from bench.field.plan import Field, Spec
from probe.lab import netns
from probe.lab.line import Bridge, open_interface
from probe.lab.scenario import LineSpec
from probe.lab.supervisor import ip, restore

_PROCESSES = 2
_QUEUE = 256 * 1024  # bytes that a home router lets wait


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


def _world(plan: Field, folder: Path) -> None:
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
    censor = (
        f'-A INPUT -i eth0 -p tcp --dport 443 -m string --algo bm --string "{plans.MARK}" -j DROP'
    )
    restore("iptables", f"*filter\n:INPUT ACCEPT [0:0]\n{censor}\nCOMMIT\n")
    servers.start(plan, folder, processes=_PROCESSES)


_PLACES: dict[str, Callable[[Field, Path], None]] = {"world": _world, "line": _line, "home": _home}


def _fork(name: str, plan: Field, folder: Path) -> tuple[int, int, int, int]:
    """Start a place; gives its pid here and outside, and how to let it go on and to wait for it."""
    up_read, up_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        _live(name, plan, folder, up_write, go_read)
    os.close(up_write)
    os.close(go_read)
    return pid, int(os.read(up_read, 32)), go_write, up_read


def _live(name: str, plan: Field, folder: Path, up: int, go: int) -> NoReturn:
    try:
        netns.unshare(netns.CLONE_NEWNET | netns.CLONE_NEWNS)
        os.write(up, str(netns.outer_pid()).encode())
        os.read(go, 1)
        _PLACES[name](plan, folder)
        os.write(up, b"ready")
        signal.pause()
    except BaseException as error:  # noqa: BLE001 - the last frame of a process: say it and go
        traceback.print_exc()
        os.write(up, f"{type(error).__name__}: {error}".encode()[:4000])
    os._exit(1)


def _cable(one: int, near: str, other: int, far: str, *, index: int) -> str:
    """Two ends whose indexes differ: else the kernel says a second late that they are up."""
    first = f"name {near} index {index} netns {one}"
    return f"link add {first} type veth peer name {far} index {index + 1} netns {other}"


def _build(spec: Spec, folder: Path) -> dict[str, object]:
    netns.own_mounts()
    netns.mount("tmpfs", "/run", "tmpfs")
    plan = plans.make(spec)
    certify(plan, folder)
    places = {name: _fork(name, plan, folder) for name in _PLACES}
    pid = {name: place[0] for name, place in places.items()}
    ip(
        [
            _cable(pid["home"], "eth0", pid["line"], "near", index=10),
            _cable(pid["line"], "far", pid["world"], "eth0", index=20),
        ]
    )
    for place in places.values():
        os.write(place[2], b"g")
    for name, place in places.items():
        said = os.read(place[3], 4096)
        if said != b"ready":
            raise OSError(f"{name}: {said.decode(errors='replace')}")
    return {"places": {name: place[1] for name, place in places.items()}}


def main() -> None:
    spec, folder = pickle.load(sys.stdin.buffer)
    try:
        answer = _build(spec, Path(folder))
    except OSError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    while "places" in answer and sys.stdin.buffer.read(1):
        pass


if __name__ == "__main__":
    main()
