"""A run on a stage: a network that is a dict of manners, an experiment, and a kit of fakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, TypeVar

from probe import model
from probe.analysis import facts
from probe.analysis.confirmation import again
from probe.api_types import RecheckAsk
from probe.experiments.interface import Experiment, Net, Reference, Resolver, Task
from probe.experiments.operations import (
    DnsQuery,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import (
    Dns,
    Http,
    Line,
    Outcome,
    Quic,
    Record,
    Reply,
    Role,
    Steps,
    Tcp,
    Tls,
    Transfer,
    Trust,
    Vantage,
    Verdict,
)
from probe.ordering import Job, host_of, keyed
from probe.report.progress import NullProgress
from probe.runner.deadlines import Deadlines
from probe.runner.jobs import JobList
from probe.runner.journal import Journal
from probe.runner.output import RecordWriter, Sink
from probe.runner.ports import Controls, RunDependencies, RunView
from probe.runner.record_builder import RunHeader
from probe.runner.run import Run, RunResult, RunSpec
from probe.signals import Stop

T = TypeVar("T")
Manner = Literal["ok", "reset", "silent", "once", "bug", "slow", "drips"]
SYSTEM = Resolver("system", "192.0.2.53")


def address_of(host: str) -> str:
    """A made-up public address for a host."""
    number = keyed(0, host)
    return f"93.184.{number % 250}.{number // 250 % 250}"


@dataclass
class Stage:
    """The network: how each host behaves (`ok` unless said), and what it has cost.

    Attributes:
        dead: Nothing answers at all.
        delay: Seconds that each exchange takes.
        cost: Bytes that a page takes.
    """

    manners: Mapping[str, Manner] = field(default_factory=dict)
    dead: bool = False
    delay: float = 0.0
    cost: int = 1000
    bytes_in: int = 0
    bytes_out: int = 0
    roots: str = "staged"
    resolvers_dead: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    abreast: int = 0
    most_abreast: int = 0

    def net(self, origin: float) -> "StageNet":
        return StageNet(self, origin)


class StageNet:
    """A `TransferNet` over a stage."""

    def __init__(self, stage: Stage, origin: float) -> None:
        self.stage = stage
        self.origin = origin
        self.certs: dict[str, bytes] = {}

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return (SYSTEM,)

    @property
    def ipv6(self) -> bool:
        return False

    def now(self) -> float:
        return monotonic() - self.origin

    async def dns(self, query: DnsQuery) -> Dns:
        name = query.name
        at = self.now()
        if self.stage.dead:
            return Dns(name=name, resolver="system", failure=Failure.TIMEOUT, at=at)
        if name.endswith(".com") and len(name) == 20:
            return Dns(name=name, resolver="system", failure=Failure.DNS_NXDOMAIN, at=at)
        reply = Reply(at=0.01, rcode=0, answers=(address_of(name),), ttl=(60,))
        return Dns(name=name, resolver="system", replies=(reply,), at=at)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        failure = Failure.TIMEOUT if self.stage.dead else None
        return Tcp(address=connect.address, port=connect.port, at=self.now(), failure=failure)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        address, port, sni = handshake.address, handshake.port, handshake.sni
        tcp = await self.tcp(TcpConnect(address, port))
        failure = await self._exchange(sni or "")
        if tcp.failure is not None:
            return tcp, None
        trust = Trust(valid=True, anchored=True, named=True) if failure is None else None
        return tcp, Tls(
            address=address, port=port, sni=sni, failure=failure, trust=trust, at=self.now()
        )

    async def http(self, request: HttpRequest) -> Steps:
        url, address = request.url, request.address
        name = host_of(url)
        tcp, tls = await self.tls(TlsHandshake(address, 443, name))
        if tls is None or tls.failure is not None:
            return (tcp,) if tls is None else (tcp, tls)
        page = Http(
            url=url,
            address=address,
            port=443,
            host=name,
            proven=True,
            status=200,
            bytes_in=self.stage.cost,
            received_bytes=self.stage.cost,
            complete=self.stage.manners.get(name) != "drips",
            at=self.now(),
        )
        return tcp, tls, page

    async def _exchange(self, name: str) -> Failure | None:
        stage = self.stage
        stage.asked.append(name)
        manner = stage.manners.get(name, "ok")
        stage.abreast += 1
        stage.most_abreast = max(stage.most_abreast, stage.abreast)
        try:
            await asyncio.sleep(30.0 if manner == "slow" else stage.delay)
        finally:
            stage.abreast -= 1
        stage.bytes_in += stage.cost
        if manner == "bug":
            raise ZeroDivisionError
        if stage.dead or manner == "silent":
            return Failure.TIMEOUT
        if manner == "reset" or (manner == "once" and stage.asked.count(name) == 1):
            return Failure.RESET
        return None

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        async def awaited(ask: Awaitable[T]) -> T:
            return await ask

        # As in the real net: what fails comes out as a group.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(awaited(ask)) for ask in asks]
        return [task.result() for task in tasks]

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def safe(self, address: str) -> bool:
        return True

    async def transfer(self, request: TransferRequest) -> Transfer:
        raise NotImplementedError

    async def quic(self, handshake: QuicHandshake) -> Quic:
        raise NotImplementedError


async def measure(task: Task, net: Net) -> Steps:
    """A query and a page."""
    trail = StepLog()
    host = host_of(task.url)
    asked = trail.add(await net.dns(DnsQuery(host, net.resolvers[0])))
    if asked.addresses:
        trail.chain(await net.http(HttpRequest(task.url, asked.addresses[0])), parent=asked.id)
    return trail.steps


async def confirm(task: Task, net: Net, steps: Steps) -> Steps:
    """A reference, and the page again."""
    trail = StepLog(steps)
    for reference in task.references[:1]:
        shaken = await net.tls(TlsHandshake(reference.address or "", 443, host_of(reference.url)))
        trail.chain(shaken, role=Role.REFERENCE)
    host = host_of(task.url)
    trail.chain(await net.http(HttpRequest(task.url, address_of(host))), try_=2)
    return trail.steps


def wanted(_: Task, steps: Steps) -> bool:
    """Anything failed."""
    return any(step.failure is not None for step in steps)


async def compare(task: Task, net: Net) -> Steps:
    """One look, at the server that was provided."""
    return (await net.tcp(TcpConnect(str(task.options["bulk"]), 443)),)


EXPERIMENTS = {
    "web": Experiment("web", 1, measure, confirm, wanted),
    "throttle": Experiment("throttle", 1, compare, alone=True),
}


def judge(record: Record) -> Verdict:
    """Twice failed is blocked, once failed is unknown, and a page is a page."""
    tries = {step.try_: step.failure for step in record.steps if step.role is Role.TARGET}
    last = tries[max(tries)] if tries else Failure.TIMEOUT
    if last is None:
        return Verdict(outcome=Outcome.OK, confidence=1.0)
    outcome = Outcome.BLOCKED if 2 in tries else Outcome.INCONCLUSIVE
    stage = model.Stage.CONFIRMED if again(record, outcome, ()) else model.Stage.SUSPECTED
    return Verdict(outcome=outcome, stage=stage, confidence=0.5)


@dataclass
class FakeDesk:
    """A desk that knows what it is told."""

    known: Controls = field(default_factory=dict)
    again: Controls = field(default_factory=dict)
    answered: bool = False
    rechecked: list[RecheckAsk] = field(default_factory=list)

    async def controls(self, inputs: Sequence[str]) -> Controls:
        return {url: seen for url, seen in self.known.items() if url in inputs}

    async def recheck(self, asks: Sequence[RecheckAsk]) -> Controls:
        self.rechecked += asks
        return self.again


def kit(
    stage: Stage,
    desk: FakeDesk | None = None,
    anchors: Sequence[str] = (),
    comparing: Callable[[], Awaitable[Mapping[str, object] | None]] | None = None,
) -> RunDependencies:
    """Fakes of everything, over one stage."""

    @asynccontextmanager
    async def session() -> AsyncIterator[Stage]:
        yield stage

    async def whereabouts() -> Vantage:
        return Vantage(country="KZ")

    return RunDependencies(
        session=session,
        experiments=EXPERIMENTS,
        anchors=tuple(Reference(url) for url in anchors),
        harmless=("harmless.example",),
        whereabouts=whereabouts,
        desk=desk or FakeDesk(),
        facts=_facts,
        judge=judge,
        scrub=lambda record: record,
        comparing=comparing,
    )


def _facts(view: RunView) -> Callable[[Record], Line]:
    found = facts.Facts(view.before, view.after, view.records)
    return lambda record: found.of(None if record.experiment == "run" else record)


@dataclass
class Kept:
    """A keeper that keeps in memory."""

    records: list[Record] = field(default_factory=list)

    def keep(self, record: Record, line: bytes) -> None:
        self.records.append(record)


@dataclass
class Performance:
    """One run on a stage, and everything that came of it."""

    stage: Stage
    journal: Journal
    desk: FakeDesk = field(default_factory=FakeDesk)
    anchors: tuple[str, ...] = ()
    seconds: float = 60.0
    bytes: int = 10_000_000
    concurrency: int = 16
    kept: Kept = field(default_factory=Kept)
    bugs: list[BaseException] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ending: RunResult | None = None
    comparing: Callable[[], Awaitable[Mapping[str, object] | None]] | None = None

    def go(self, *urls: str, stop_after: float | None = None) -> dict[str, Record]:
        """Measure these; the records by their targets."""
        asyncio.run(self._go(urls, stop_after))
        return {record.input: record for record in self.kept.records if record.input}

    @property
    def own(self) -> Record:
        """The run's own record."""
        assert self.ending is not None
        return self.ending.record

    async def _go(self, urls: Sequence[str], stop_after: float | None) -> None:
        stop = Stop()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.ask)
        order = RunSpec(
            jobs=tuple(Job("web", url) for url in urls),
            heading=RunHeader("0199", lab=False),
            timetable=Deadlines(monotonic(), self.seconds, uploads=False),
            bytes=self.bytes,
            seed=1,
            concurrency=self.concurrency,
        )
        outlet = RecordWriter(
            Sink(None), (self.kept,), self.journal, seen=_ignore, warn=self.warnings.append
        )
        tools = kit(self.stage, self.desk, self.anchors, self.comparing)
        try:
            async with tools.session() as session:
                run = Run(
                    order,
                    tools,
                    session,
                    outlet=outlet,
                    watcher=NullProgress(),
                    stop=stop,
                    bug=lambda _, error: self.bugs.append(error),
                )
                await run.measure()
                self.ending = await run.judge()
            await outlet.flushed()
        finally:
            outlet.close()


def _ignore(_: Record) -> None:
    pass


def urls(*hosts: str) -> tuple[str, ...]:
    """Hosts as https URLs."""
    return tuple(f"https://{host}/" for host in hosts)


def assignment(*hosts: str) -> JobList:
    """The same as jobs."""
    return JobList(tuple(Job("web", url) for url in urls(*hosts)))


Warn = Callable[[str], None]
