"""A small network to throttle in: client, router, and a bulk server behind a line with delay.

    client (this process) --veth-- router (tbf, iptables, nft) --two TUNs and a delay-- server

Everything runs in namespaces of this process tree (`unshare -Urnm`), without access to the
machine's own network.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

CLIENT, ROUTER = "10.99.1.1", "10.99.1.2"
FAR, SERVER = "10.99.2.2", "10.99.2.1"
ROOT = Path(__file__).parents[1]
CLONE_NEWNET = 0x4000_0000
TOOLS = ("unshare", "nsenter", "ip", "tc", "nft", "iptables", "sysctl")
THROTTLED_NAME = "blocked.test"


def unavailable_reason() -> str | None:
    """Why namespaces cannot be used here, or None."""
    done = subprocess.run(
        ["unshare", "-Urnm", "sh", "-c", "command -v " + " ".join(TOOLS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr.strip() or "a tool is missing: " + " ".join(TOOLS)
    return None if Path("/dev/net/tun").exists() else "no /dev/net/tun"


def rerun_inside(marker: str = "QAZ_BENCH_INSIDE") -> None:
    """Restart this program in namespaces of its own, unless it runs in them."""
    if os.environ.get(marker):
        return
    os.environ[marker] = "1"
    command = ["unshare", "-Urnm", sys.executable, *sys.orig_argv[1:]]
    os.execvp("unshare", command)


@contextmanager
def within(pid: int) -> Iterator[None]:
    """Run the block in the network namespace of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@dataclass(frozen=True)
class Line:
    """The line between router and server. Delays are one-way, in seconds."""

    delay: float = 0.0
    loss: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True)
class NameLimit:
    """A limit on connections with a name, in bits a second; `burst` in bytes.

    `after_seconds` and `after_bytes` of a connection it begins.
    """

    limiter: Literal["police", "shape"]
    bits: float
    burst: float = 0.0
    after_bytes: int = 0
    after_seconds: float = 0.0


@dataclass(frozen=True)
class BulkServer:
    """A running bulk server."""

    address: str
    port: int
    pin: str
    pid: int


class Net:
    """Three namespaces and the processes in them; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._line: subprocess.Popen[str] | None = None
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        sh("ip link set lo up")
        self.router, self.server_ns = self._new_namespace(), self._new_namespace()
        sh(f"ip link add c0 type veth peer name r0 netns {self.router}")
        sh(f"ip addr add {CLIENT}/24 dev c0; ip link set c0 up; ip route add default via {ROUTER}")
        self.on_router(f"ip addr add {ROUTER}/24 dev r0; ip link set r0 up; ip link set lo up")
        self.on_router("sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_acct=1 || true")
        sh("for d in c0; do ethtool -K $d tso off gso off gro off tx off 2>/dev/null; done; true")
        self.on_router("ethtool -K r0 tso off gso off gro off tx off 2>/dev/null; true")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _new_namespace(self) -> int:
        process = self._start(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 1000000"])
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    def _start(self, command: list[str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._stack.callback(_stop, process)
        return process

    def on_router(self, command: str) -> None:
        """Run a shell command on the router."""
        sh(f"nsenter -t {self.router} -n sh -c {_quote(command)}")

    def on_server(self, command: str) -> None:
        """Run a shell command on the server."""
        sh(f"nsenter -t {self.server_ns} -n sh -c {_quote(command)}")

    def line(self, line: Line) -> None:
        """Replace the line between router and server."""
        _stop(self._line)
        self._line = self._start(
            [
                sys.executable,
                "-m",
                "bench.throttle_line",
                *map(str, (self.router, self.server_ns, line.delay, line.loss, line.jitter)),
            ]
        )
        assert self._line.stdout is not None
        self._line.stdout.readline()
        self._address()

    def _address(self) -> None:
        self.on_router(f"ip addr add {FAR}/24 dev far; ip link set far up")
        self.on_server(
            f"ip addr add {SERVER}/24 dev near; ip link set near up; ip link set lo up; "
            f"ip route add default via {FAR}"
        )

    def direct(self) -> None:
        """A veth link between router and server: no delay line."""
        sh(
            f"nsenter -t {self.router} -n ip link add far type veth "
            f"peer name near netns {self.server_ns}"
        )
        for run_command in (self.on_router, self.on_server):
            run_command(
                "for d in near far; do ethtool -K $d tso off gso off gro off; done 2>&-; true"
            )
        self._address()

    def serve(self, congestion: str = "cubic") -> BulkServer:
        """Start a bulk server beyond the line."""
        _stop(self._server)
        enter = ["nsenter", "-t", str(self.server_ns), "-n"]
        program = [sys.executable, "-m", "bench.throttle_server", SERVER, congestion]
        self._server = self._start([*enter, *program])
        assert self._server.stdout is not None
        started = json.loads(self._server.stdout.readline())
        return BulkServer(SERVER, started["port"], started["pin"], self._server.pid)

    def clear(self) -> None:
        """Remove every limiter."""
        self.on_router(
            "tc qdisc del dev r0 root 2>/dev/null; nft flush ruleset; "
            "iptables -F; iptables -t mangle -F; true"
        )

    def shape(self, bits: float, *, burst: int = 4000, latency_ms: int = 400) -> None:
        """A queue for everything towards the client (tbf)."""
        self.on_router(
            f"tc qdisc replace dev r0 root tbf rate {bits:.0f}bit burst {burst} "
            f"latency {latency_ms}ms"
        )

    def shape_before(self, bits: float, *, burst: int = 4000, latency_ms: int = 400) -> None:
        """The same queue at the server's end, so that all packets that the router passes arrive."""
        self.on_router("tc qdisc del dev r0 root 2>/dev/null; true")
        self.on_server(
            f"tc qdisc replace dev near root tbf rate {bits:.0f}bit burst {burst} "
            f"latency {latency_ms}ms"
        )

    def police(self, bits: float) -> None:
        """Drop everything towards the client above a rate; the bucket holds one second.

        nft adds a `burst` to that second, so none is given.
        """
        rate = f"{bits / 8:.0f} bytes/second"
        self.on_router(
            "nft add table ip q; nft 'add chain ip q f { type filter hook forward priority 0; }'; "
            f"nft 'add rule ip q f ip daddr {CLIENT} limit rate over {rate} drop'"
        )

    def mark_name(self, name: str = THROTTLED_NAME) -> None:
        """Mark connections that contain a name."""
        self.on_router(
            "iptables -t mangle -A FORWARD -p tcp -m string --algo bm "
            f"--string {name} -j CONNMARK --set-mark 1"
        )

    def police_name(self, kilobytes: int, *, name: str = THROTTLED_NAME) -> None:
        """One bucket for each direction of a marked connection, as the Russian TSPU has."""
        self.mark_name(name)
        self.on_router(
            "iptables -A FORWARD -m connmark --mark 1 -m hashlimit --hashlimit-name t "
            f"--hashlimit-above {kilobytes}kb/s --hashlimit-burst {kilobytes}kb "
            "--hashlimit-mode srcip,srcport,dstip,dstport -j DROP"
        )

    def limit_name(self, limit: NameLimit, line: float, *, name: str = THROTTLED_NAME) -> None:
        """Police or shape connections with a name on a line of this many bits a second.

        What is limited has packet mark 5: everything towards the client from the onset on.
        """
        self.mark_name(name)
        onset = (
            f"-m connbytes --connbytes {limit.after_bytes}: --connbytes-dir reply "
            "--connbytes-mode bytes"
            if limit.after_bytes
            else ""
        )
        self.on_router(
            f"iptables -t mangle -A FORWARD -d {CLIENT} -m connmark --mark 1 {onset} "
            "-j MARK --set-mark 5"
        )
        if limit.after_seconds:
            self._spare_the_young(limit.after_seconds, name)
        if limit.limiter == "shape":
            self._shape_marked(limit, line)
        else:
            rate, burst = round(limit.bits / 8192), max(round(limit.burst / 1024), 1)
            self.on_router(
                "iptables -A FORWARD -m mark --mark 5 -m hashlimit --hashlimit-name t "
                f"--hashlimit-above {rate}kb/s --hashlimit-burst {burst}kb "
                "--hashlimit-mode srcip,srcport,dstip,dstport -j DROP"
            )

    def _spare_the_young(self, seconds: float, name: str) -> None:
        """Take the mark from connections whose hello, which has the name, was sent just now."""
        self.on_router(
            f"iptables -t mangle -A FORWARD -s {CLIENT} -p tcp -m string --algo bm "
            f"--string {name} -j MARK --set-mark 7"
        )
        lasting = f"{round(seconds * 1000)}ms"
        for command in (
            "add table ip y",
            "add set ip y young { type ipv4_addr . inet_service; flags dynamic,timeout; }",
            "add chain ip y f { type filter hook forward priority -100; }",
            f"add rule ip y f meta mark 7 add @young {{ ip saddr . tcp sport timeout {lasting} }}",
            "add rule ip y f meta mark 5 ip daddr . tcp dport @young meta mark set 0",
        ):
            self.on_router(f'nft "{command}"')

    def _shape_marked(self, limit: NameLimit, line: float) -> None:
        """The line's own queue, and one for what is marked."""
        burst, queue = max(round(limit.burst), 4000), max(int(limit.bits / 8 * 0.4), 8000)
        slow = f"rate {limit.bits:.0f}bit burst {burst} cburst {burst}"
        for command in (
            "qdisc replace dev r0 root handle 1: htb default 10",
            f"class add dev r0 parent 1: classid 1:10 htb rate {line:.0f}bit burst 25000",
            f"class add dev r0 parent 1: classid 1:20 htb {slow}",
            "qdisc add dev r0 parent 1:10 bfifo limit 250000",
            f"qdisc add dev r0 parent 1:20 bfifo limit {queue}",
        ):
            self.on_router(f"tc {command}")
        for command in (
            "add table ip s",
            "add chain ip s p { type filter hook postrouting priority 0; }",
            "add rule ip s p meta mark 5 meta priority set 1:20",
        ):
            self.on_router(f'nft "{command}"')

    def freeze_name(self, size: int, *, name: str = THROTTLED_NAME) -> None:
        """Drop everything towards the client after this many bytes."""
        self.mark_name(name)
        self.on_router(
            f"iptables -A FORWARD -m connmark --mark 1 -m connbytes --connbytes {size}: "
            "--connbytes-dir reply --connbytes-mode bytes -j DROP"
        )
        self.on_router(f"iptables -A FORWARD -m connmark --mark 1 -d {CLIENT} -j ACCEPT")

    def let_through(self) -> int:
        """TCP payload bytes of marked connections to the client, from the router's counters."""
        rules = sh(f"nsenter -t {self.router} -n iptables -L FORWARD -v -x -n")
        fields = next(line.split() for line in rules.splitlines()[2:] if "ACCEPT" in line)
        # 52 bytes of IP and TCP header with timestamps; the handshake is before the mark.
        return int(fields[1]) - 52 * int(fields[0])


def sh(command: str) -> str:
    """Run a shell command and return its output; `RuntimeError` if it fails."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _stop(process: "subprocess.Popen[str] | None") -> None:
    if process is not None:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
