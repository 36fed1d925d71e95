"""Whole runs of the `throttle` experiment over real TCP, on several lines, throttled or not."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import cast

from bench.throttle_net import THROTTLED_NAME, BulkServer, Line, NameLimit, Net
from probe.analysis.paired_test import PairState, froze, judge_pairs, rate
from probe.api_types import BulkReply
from probe.experiments.interface import Net as NetPort, Task
from probe.experiments.operations import TcpConnect, TransferRequest
from probe.experiments.throttle import measure
from probe.failure import Failure
from probe.model import Tcp, Transfer
from probe.net.transfer import transfer
from probe.rules.throttle import mechanism

KILOBYTE_BITS = 1024 * 8
CONNECTING = 5.0
SLOWED = frozenset({PairState.SUSPECTED, PairState.STRONG, PairState.EXTREME})


@dataclass(frozen=True)
class Condition:
    """A line: rate, delay, loss and competing downloads."""

    name: str
    bits: float
    line: Line
    competing: int = 0


CONDITIONS = (
    Condition("clean", 20e6, Line(0.020)),
    Condition("wifi", 5e6, Line(0.050, 0.01, 0.008)),
    Condition("congested", 8e6, Line(0.030, 0.002), competing=3),
    Condition("slow plan", 2e6, Line(0.020)),
)


@dataclass
class BenchNet:
    """The part of the net interface that the experiment uses: transfers and TCP connections."""

    moved: list[Transfer] = field(default_factory=list)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        address, port = connect.address, connect.port
        try:
            async with asyncio.timeout(CONNECTING):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError:
            return Tcp(address=address, port=port, failure=Failure.TIMEOUT)
        writer.close()
        await writer.wait_closed()
        return Tcp(address=address, port=port)

    def safe(self, _address: str) -> bool:
        return True

    async def transfer(self, request: TransferRequest) -> Transfer:
        step = await transfer(request)
        self.moved.append(step)
        return step


@dataclass(frozen=True)
class Outcome:
    """The result and cost of one run.

    Attributes:
        ratio: Tested name over control name. control: the control's median, bits per second.
        truth: For a freeze, the bytes that the router let through on each connection.
    """

    state: PairState
    transfers: int
    size: int
    ratio: float | None
    control: float | None
    mechanism: str
    stalled_at: tuple[int, ...]
    truth: int


def one_run(
    bulk_server: BulkServer, tier: str, seed: int, name: str, *, later: bool = False
) -> Outcome:
    """One run of the experiment against the bulk server; `later`: later in a connection, too."""
    task = Task(
        url=f"https://{name}/",
        seed=seed,
        options={
            "bulk": (
                BulkReply(
                    address=bulk_server.address, port=bulk_server.port, spki_sha256=bulk_server.pin
                ),
            ),
            "tier": tier,
            "own_address": False,
            "later": later,
        },
    )
    net = BenchNet()
    steps = asyncio.run(measure(task, cast("NetPort", net)))
    moved = tuple(step for step in steps if isinstance(step, Transfer))
    found = judge_pairs(moved, "E", "F")
    if not found.pairs:
        found = judge_pairs(moved)
    stopped = [t for t in found.tested if froze(t)]
    in_pairs = [t for t in moved if t.pair > 0]
    control = [8 * speed for t in found.control if (speed := rate(t)) is not None]
    return Outcome(
        state=found.state,
        transfers=len(in_pairs),
        size=sum(t.wire_bytes for t in moved),
        ratio=found.ratio,
        control=median(control) if control else None,
        mechanism=mechanism(found, moved) if found.state in SLOWED else "",
        stalled_at=tuple(t.stalled_at or 0 for t in stopped),
        truth=0,
    )


@contextmanager
def competing(bulk_server: BulkServer, flows: int) -> Iterator[None]:
    """Run other downloads of random sizes and start times, as in a household."""
    stop = threading.Event()

    def household(seed: int) -> None:
        dice = random.Random(seed)
        while not stop.wait(dice.expovariate(1 / 1.5)):
            size = int(dice.lognormvariate(12.5, 1.0))
            request = TransferRequest(
                bulk_server.address,
                bulk_server.port,
                "household.test",
                size,
                path=f"/{size}",
                host="h",
                cap=4.0,
            )
            asyncio.run(transfer(request))

    threads = [threading.Thread(target=household, args=(n,), daemon=True) for n in range(flows)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def set_up_line(net: Net, condition: Condition) -> BulkServer:
    net.clear()
    net.line(condition.line)
    net.shape(condition.bits, burst=_burst(condition), latency_ms=100)
    return net.serve()


def _burst(condition: Condition) -> int:
    return max(4000, int(condition.bits / 8 * 0.01))


def runs(net: Net, condition: Condition, tier: str, bits: float, seeds: list[int]) -> list[Outcome]:
    """Runs in which the name is policed at `bits`; not policed if 0."""
    bulk_server = set_up_line(net, condition)
    if bits:
        net.police_name(round(bits / KILOBYTE_BITS))
    with competing(bulk_server, condition.competing):
        return [one_run(bulk_server, tier, seed, THROTTLED_NAME) for seed in seeds]


def late_runs(
    net: Net, condition: Condition, begins: str, bits: float, seeds: list[int]
) -> list[Outcome]:
    """Runs in which the name is limited at `bits` from some moment on; not limited if 0."""
    bulk_server = set_up_line(net, condition)
    if bits:
        net.limit_name(late_limit(begins, bits), condition.bits)
    with competing(bulk_server, condition.competing):
        return [one_run(bulk_server, "normal", n, THROTTLED_NAME, later=True) for n in seeds]


def late_limit(begins: str, bits: float) -> NameLimit:
    """One of `LATE_LIMITS` at a rate; a limiter's usual bucket holds a second."""
    limiter, _, when = begins.partition(" ")
    bursts = {"after 128 KiB at once": 128 * 1024.0, "after 300 KiB at once": 300 * 1024.0}
    return NameLimit(
        "shape" if limiter == "shape" else "police",
        bits,
        bursts.get(when, bits / 8),
        300_000 if when == "after 300 KB" else 0,
        3.0 if when == "after 3 s" else 0.0,
    )


def freezes(net: Net, condition: Condition, size: int, seeds: list[int]) -> list[Outcome]:
    """Runs in which connections with the name freeze after so many bytes."""
    bulk_server = set_up_line(net, condition)
    net.shape_before(condition.bits, burst=_burst(condition), latency_ms=100)
    net.freeze_name(size)
    with competing(bulk_server, condition.competing):
        return [counted(net, bulk_server, seed) for seed in seeds]


def counted(net: Net, bulk_server: BulkServer, seed: int) -> Outcome:
    """One run, with the payload that the router passed on each frozen connection."""
    net.on_router("iptables -Z FORWARD")
    one = one_run(bulk_server, "normal", seed, THROTTLED_NAME)
    return replace(one, truth=net.let_through() // max(len(one.stalled_at), 1))
