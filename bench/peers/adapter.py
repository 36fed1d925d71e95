"""Run `miniooni` where the probe runs, with `oohelperd` beyond the censor, and read its reports.

It has two advantages over the probe: the names of its bootstrap services are in `/etc/hosts`, so
they cost no DNS queries, and its helper has no network delay to any site.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from bench.peers import build, fakes
from probe.lab import commands

LATEST, CLASSIC = "web_connectivity@v0.5", "web_connectivity"
HELPER_PORT = 8082
CORE = 0  # reserved for the measured program
_START_LIMIT = 15.0
_HOSTS = {
    "dns.google": "8.8.8.8",
    "cloudflare-dns.com": "1.1.1.1",
    "dns.quad9.net": "9.9.9.9",
    "whoami.v4.powerdns.org": "92.46.190.53",
    **dict.fromkeys(fakes.STUN_SERVERS, fakes.ADDRESS),
    **dict.fromkeys(fakes.ABSENT, "127.0.0.1"),  # refused at once, so that the next one is used
}
# As in the lab's address plan: one network at home and one for each foreign /24.
_NETWORKS = (
    "95.57.0.0/16 9198 KZ Home",
    "92.46.0.0/16 9198 KZ Home",
    "92.47.0.0/16 9198 KZ Home",
    "146.70.20.0/24 9009 RO Abroad",
    *(f"45.130.{third}.0/24 {64000 + third} NL Foreign{third}" for third in range(256)),
)


@dataclass(frozen=True)
class PeerNodes:
    """The nodes of a testbed that a peer needs.

    Attributes:
        wrap: Returns a command line that runs another on a node.
        home, internet, helper: The nodes of the probe, of additional servers, and of the helper.
        address: The helper's. resolvers: Addresses of public resolvers that the testbed lacks.
    """

    folder: Path
    roots: Path
    wrap: Callable[[str, Sequence[str]], list[str]]
    home: str
    internet: str
    helper: str
    address: str
    resolvers: tuple[str, ...]


@dataclass(frozen=True)
class ResourceUsage:
    """The cost of a run. down, up: bytes on the home interface, including headers."""

    seconds: float
    cpu: float
    memory: int
    exit: int
    down: int
    up: int


@dataclass(frozen=True)
class PeerVerdict:
    """A peer's verdict on one URL: `blocking` and `accessible` as one word, and its test keys."""

    verdict: str
    seconds: float
    keys: dict[str, Any] = field(default_factory=dict, repr=False)


CRASHED = PeerVerdict("crashed", 0.0)


def metered(nodes: PeerNodes, argv: Sequence[str], env: dict[str, str]) -> ResourceUsage:
    """Run a command on the home node, on a core of its own."""
    out = nodes.folder / "usage.json"
    out.unlink(missing_ok=True)
    meter = ["taskset", "-c", str(CORE), sys.executable, "-m", "bench.peers.meter", str(out), *argv]
    before = _counted(nodes)
    finished = commands.run(nodes.wrap(nodes.home, meter), env, 3600.0)
    after = _counted(nodes)
    if not out.exists():
        raise RuntimeError(finished.stderr[-2000:])
    (nodes.folder / "output.txt").write_text(finished.stdout + finished.stderr)
    down, up = (new - old for new, old in zip(after, before, strict=True))
    return ResourceUsage(**json.loads(out.read_text()), down=down, up=up)


def _counted(nodes: PeerNodes) -> tuple[int, int]:
    text = commands.run(nodes.wrap(nodes.home, ["cat", "/proc/self/net/dev"]), None, 10.0).stdout
    rows = (line.split() for line in text.splitlines() if ":" in line and "lo:" not in line)
    counted = [(int(row[1]), int(row[9])) for row in rows]
    return sum(row[0] for row in counted), sum(row[1] for row in counted)


class Peer:
    """A running helper and fake services; runs the peer."""

    def __init__(self, nodes: PeerNodes, *, with_helper: bool = True) -> None:
        self.nodes, self.with_helper = nodes, with_helper
        self._running = commands.BackgroundCommands()

    def __enter__(self) -> Self:
        folder = self.nodes.folder
        (folder / "peer-networks").write_text("\n".join(_NETWORKS))
        hosts = "".join(f"{address} {name}\n" for name, address in _HOSTS.items())
        (folder / "peer-hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        helper = f"{self.nodes.address}:{HELPER_PORT}"
        fake = [sys.executable, "-m", "bench.peers.fakes", f"http://{helper}/"]
        self._start(self.nodes.internet, [*fake, *self.nodes.resolvers], "ready")
        if not self.with_helper:  # it is configured, and refuses connections
            return self
        served = [str(build.program("oohelperd")), "-api-endpoint", helper]
        self._start(self.nodes.helper, self._with_hosts(served), "serving ooniprobe requests")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.end()

    def _with_hosts(self, argv: Sequence[str]) -> list[str]:
        """A command line that runs another with the testbed's names in its `/etc/hosts`."""
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, str(self.nodes.folder / "peer-hosts"), *argv]

    def _env(self) -> dict[str, str]:
        networks = self.nodes.folder / "peer-networks"
        return {"PEERS_NETWORKS": str(networks), "PEERS_ROOTS": str(self.nodes.roots)}

    def _start(self, node: str, argv: Sequence[str], ready: str) -> None:
        log = self.nodes.folder / f"peer-{node}-{len(argv)}.log"
        process = self._running.spawn(self.nodes.wrap(node, argv), self._env(), log)
        deadline = time.monotonic() + _START_LIMIT
        while ready not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{argv[0]}: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def run(
        self, urls: Sequence[str], experiment: str, limit: int
    ) -> tuple[ResourceUsage, float, dict[str, PeerVerdict]]:
        """Measure URLs in order for at most `limit` seconds: usage, start-up seconds, verdicts.

        Nothing is submitted. If a URL crashes the peer, it is restarted with the next one.
        """
        usages, starting, found = [], 0.0, dict[str, PeerVerdict]()
        left = list(urls)
        while left and limit > 0:
            usage, verdicts = self._once(left, experiment, limit)
            usages.append(usage)
            starting += _start_seconds(self.nodes.folder)
            found |= verdicts
            left = [url for url in left if url not in verdicts]
            if not usage.exit or not left:
                break
            found[left.pop(0)] = CRASHED
            limit -= int(usage.seconds)
        return total(usages), starting, found

    def _once(
        self, urls: Sequence[str], experiment: str, limit: int
    ) -> tuple[ResourceUsage, dict[str, PeerVerdict]]:
        folder = self.nodes.folder
        listed, report, home = folder / "peer-urls", folder / "peer-report", folder / "peer-home"
        listed.write_text("".join(f"{url}\n" for url in urls))
        report.unlink(missing_ok=True)
        rmtree(home, ignore_errors=True)
        home.mkdir()
        argv = [
            str(build.program("miniooni")), "--yes", "--no-collector", "--home", str(home),
            "--probe-services", f"http://{fakes.ADDRESS}:{fakes.API_PORT}/", "-o", str(report),
            experiment, "--input-file", str(listed), "--max-runtime", str(limit),
        ]  # fmt: skip
        usage = metered(self.nodes, self._with_hosts(argv), self._env())
        lines = report.read_text().splitlines() if report.exists() else []
        return usage, {one["input"]: _peer_verdict(one) for one in map(json.loads, lines)}


def total(usages: Sequence[ResourceUsage]) -> ResourceUsage:
    """The total of several runs: sums, and the maximum of memory."""
    return ResourceUsage(
        sum(one.seconds for one in usages),
        sum(one.cpu for one in usages),
        max(one.memory for one in usages),
        max(one.exit for one in usages),
        sum(one.down for one in usages),
        sum(one.up for one in usages),
    )


def _peer_verdict(record: dict[str, Any]) -> PeerVerdict:
    keys = record["test_keys"]
    blocking, accessible = keys.get("blocking"), keys.get("accessible")
    if blocking:
        verdict = str(blocking)
    elif blocking is None:
        verdict = "no verdict"
    else:
        verdict = "accessible" if accessible else "site down"
    return PeerVerdict(verdict, float(record["test_runtime"]), keys)


def _start_seconds(folder: Path) -> float:
    """Seconds before the first target, from the peer's log of its last run."""
    for line in (folder / "output.txt").read_text().splitlines():
        if "running with input" in line and line.startswith("["):
            return float(line[1:].partition("]")[0])
    return 0.0
