"""Run `miniooni` where the probe runs, with `oohelperd` beyond the censor, and read its reports.

What it is given that the probe is not: the names of the services it starts with are in
`/etc/hosts`, so that they cost no look-ups, and its helper has no distance to any site.
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
CORE = 0  # whoever is measured has it, and nobody else
_START_LIMIT = 15.0
_HOSTS = {
    "dns.google": "8.8.8.8",
    "cloudflare-dns.com": "1.1.1.1",
    "dns.quad9.net": "9.9.9.9",
    "whoami.v4.powerdns.org": "92.46.190.53",
    **dict.fromkeys(fakes.LOCATORS, fakes.ADDRESS),
    **dict.fromkeys(fakes.ABSENT, "127.0.0.1"),  # refused at once, so that the next is asked
}
# As the laboratory's plan has them: home and its country in one network, a network a /24 elsewhere.
_NETWORKS = (
    "95.57.0.0/16 9198 KZ Home",
    "92.46.0.0/16 9198 KZ Home",
    "92.47.0.0/16 9198 KZ Home",
    "146.70.20.0/24 9009 RO Abroad",
    *(f"45.130.{third}.0/24 {64000 + third} NL Foreign{third}" for third in range(256)),
)


@dataclass(frozen=True)
class Ends:
    """The places of a laboratory that a peer needs.

    Attributes:
        wrap: A command line that runs another at a place.
        home, world, abroad: Where the probe is; where addresses can be had; where the helper is.
        address: The helper's. resolvers: Addresses that nobody answers at yet.
    """

    folder: Path
    roots: Path
    wrap: Callable[[str, Sequence[str]], list[str]]
    home: str
    world: str
    field_collector: str
    address: str
    resolvers: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """What a run cost. down, up: bytes on the interface at home, headers and all."""

    seconds: float
    cpu: float
    memory: int
    exit: int
    down: int
    up: int


@dataclass(frozen=True)
class Said:
    """What a peer said of one URL: `blocking` and `accessible` as one word, and its evidence."""

    word: str
    seconds: float
    keys: dict[str, Any] = field(default_factory=dict, repr=False)


BROKE_OFF = Said("broke off", 0.0)


def metered(ends: Ends, argv: Sequence[str], env: dict[str, str]) -> Bill:
    """Run a command at home on a core of its own."""
    out = ends.folder / "bill.json"
    out.unlink(missing_ok=True)
    meter = ["taskset", "-c", str(CORE), sys.executable, "-m", "bench.peers.meter", str(out), *argv]
    before = _counted(ends)
    said = commands.run(ends.wrap(ends.home, meter), env, 3600.0)
    after = _counted(ends)
    if not out.exists():
        raise RuntimeError(said.stderr[-2000:])
    (ends.folder / "said.txt").write_text(said.stdout + said.stderr)
    down, up = (new - old for new, old in zip(after, before, strict=True))
    return Bill(**json.loads(out.read_text()), down=down, up=up)


def _counted(ends: Ends) -> tuple[int, int]:
    text = commands.run(ends.wrap(ends.home, ["cat", "/proc/self/net/dev"]), None, 10.0).stdout
    rows = (line.split() for line in text.splitlines() if ":" in line and "lo:" not in line)
    counted = [(int(row[1]), int(row[9])) for row in rows]
    return sum(row[0] for row in counted), sum(row[1] for row in counted)


class Peer:
    """A running helper and its fakes, and the way to run the peer itself."""

    def __init__(self, ends: Ends, *, helped: bool = True) -> None:
        self.ends, self.helped = ends, helped
        self._running = commands.BackgroundCommands()

    def __enter__(self) -> Self:
        folder = self.ends.folder
        (folder / "peer-networks").write_text("\n".join(_NETWORKS))
        hosts = "".join(f"{address} {name}\n" for name, address in _HOSTS.items())
        (folder / "peer-hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        helper = f"{self.ends.address}:{HELPER_PORT}"
        fake = [sys.executable, "-m", "bench.peers.fakes", f"http://{helper}/"]
        self._start(self.ends.world, [*fake, *self.ends.resolvers], "ready")
        if not self.helped:  # it is named, and refuses
            return self
        served = [str(build.program("oohelperd")), "-api-endpoint", helper]
        self._start(self.ends.field_collector, self._knowing(served), "serving ooniprobe requests")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.end()

    def _knowing(self, argv: Sequence[str]) -> list[str]:
        """A command line that runs another with our names in its `/etc/hosts`."""
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, str(self.ends.folder / "peer-hosts"), *argv]

    def _env(self) -> dict[str, str]:
        networks = self.ends.folder / "peer-networks"
        return {"PEERS_NETWORKS": str(networks), "PEERS_ROOTS": str(self.ends.roots)}

    def _start(self, place: str, argv: Sequence[str], word: str) -> None:
        log = self.ends.folder / f"peer-{place}-{len(argv)}.log"
        process = self._running.spawn(self.ends.wrap(place, argv), self._env(), log)
        deadline = time.monotonic() + _START_LIMIT
        while word not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{argv[0]}: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def run(
        self, urls: Sequence[str], experiment: str, limit: int
    ) -> tuple[Bill, float, dict[str, Said]]:
        """Measure URLs in their order for so many seconds: the bill, what starting took, the words.

        Nothing is submitted. Where a URL breaks the peer off, it is started again behind it.
        """
        bills, starting, found = [], 0.0, dict[str, Said]()
        left = list(urls)
        while left and limit > 0:
            bill, said = self._once(left, experiment, limit)
            bills.append(bill)
            starting += _starting(self.ends.folder)
            found |= said
            left = [url for url in left if url not in said]
            if not bill.exit or not left:
                break
            found[left.pop(0)] = BROKE_OFF
            limit -= int(bill.seconds)
        return total(bills), starting, found

    def _once(
        self, urls: Sequence[str], experiment: str, limit: int
    ) -> tuple[Bill, dict[str, Said]]:
        folder = self.ends.folder
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
        bill = metered(self.ends, self._knowing(argv), self._env())
        lines = report.read_text().splitlines() if report.exists() else []
        return bill, {one["input"]: _said(one) for one in map(json.loads, lines)}


def total(bills: Sequence[Bill]) -> Bill:
    """Several bills as one: the sum of all, but the most memory."""
    return Bill(
        sum(one.seconds for one in bills),
        sum(one.cpu for one in bills),
        max(one.memory for one in bills),
        max(one.exit for one in bills),
        sum(one.down for one in bills),
        sum(one.up for one in bills),
    )


def _said(record: dict[str, Any]) -> Said:
    keys = record["test_keys"]
    blocking, accessible = keys.get("blocking"), keys.get("accessible")
    if blocking:
        word = str(blocking)
    elif blocking is None:
        word = "no verdict"
    else:
        word = "accessible" if accessible else "site down"
    return Said(word, float(record["test_runtime"]), keys)


def _starting(folder: Path) -> float:
    """Seconds before the first target, from the peer's own log of its last run."""
    for line in (folder / "said.txt").read_text().splitlines():
        if "running with input" in line and line.startswith("["):
            return float(line[1:].partition("]")[0])
    return 0.0
