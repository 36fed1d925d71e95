"""A run over a fake network: hosts with given behaviours, two experiments, fake dependencies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Literal, TypeVar
from unittest.mock import patch

from probe import model
from probe.analysis.confirmation import again
from probe.api_types import BulkReply, RecheckTarget
from probe.experiments.interface import (
    Experiment,
    FollowUp,
    Net,
    Reference,
    Resolver,
    Share,
    Task,
)
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
from probe.net.target_net import await_all
from probe.ordering import Job, host_of, keyed
from probe.report.progress import NullProgress
from probe.runner import record_release
from probe.runner.deadlines import Deadlines
from probe.runner.dependencies import Controls, RunDependencies
from probe.runner.history import History
from probe.runner.jobs import JobList
from probe.runner.journal import Journal
from probe.runner.options import OptionsByExperiment, run_options
from probe.runner.output import RecordWriter, Sink
from probe.runner.record_builder import RunHeader
from probe.runner.results import Results
from probe.runner.run import Run
from probe.runner.run_spec import RunResult, RunSpec
from probe.signals import Stop

T = TypeVar("T")
Behaviour = Literal["ok", "reset", "silent", "once", "bug", "slow", "late", "drips"]
SYSTEM = Resolver("system", "192.0.2.53")
BULK = BulkReply(address="93.184.0.1", port=443, spki_sha256="ab" * 32)


def address_of(host: str) -> str:
    """A made-up public address for a host."""
    number = keyed(0, host)
    return f"93.184.{number % 250}.{number // 250 % 250}"


@dataclass
class FakeSession:
    """The network: how each host behaves (`ok` by default), and the traffic so far.

    Attributes:
        dead: Nothing answers.
        delay: Seconds that each connection takes.
        page_bytes: Bytes that a page takes.
        hosts: The hosts that were connected to, in order.
        beside: How many handshakes were under way at each connection to an address.
    """

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    dead: bool = False
    delay: float = 0.0
    page_bytes: int = 1000
    bytes_in: int = 0
    bytes_out: int = 0
    roots: str = "fake"
    resolvers_dead: tuple[str, ...] = ()
    hosts: list[str] = field(default_factory=list)
    concurrent: int = 0
    max_concurrent: int = 0
    beside: dict[str, int] = field(default_factory=dict)

    def net(self, origin: float) -> "FakeTargetNet":
        return FakeTargetNet(self, origin)

    def reference_net(self, origin: float) -> "FakeTargetNet":
        return FakeTargetNet(self, origin)


class FakeTargetNet:
    """A `TargetNet` over a fake session."""

    def __init__(self, session: FakeSession, origin: float) -> None:
        self.session = session
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
        if self.session.dead:
            return Dns(name=name, resolver="system", failure=Failure.TIMEOUT, at=at)
        if name.endswith(".com") and len(name) == 20:
            return Dns(name=name, resolver="system", failure=Failure.DNS_NXDOMAIN, at=at)
        reply = Reply(at=0.01, rcode=0, answers=(address_of(name),), ttl=(60,))
        return Dns(name=name, resolver="system", replies=(reply,), at=at)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        failure = Failure.TIMEOUT if self.session.dead else None
        self.session.beside[connect.address] = self.session.concurrent
        return Tcp(address=connect.address, port=connect.port, at=self.now(), failure=failure)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        address, port, sni = handshake.address, handshake.port, handshake.sni
        tcp = await self.tcp(TcpConnect(address, port))
        failure = await self._connect(sni or "")
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
            bytes_in=self.session.page_bytes,
            received_bytes=self.session.page_bytes,
            complete=self.session.behaviours.get(name) != "drips",
            at=self.now(),
        )
        return tcp, tls, page

    async def _connect(self, host: str) -> Failure | None:
        session = self.session
        session.hosts.append(host)
        behaviour = session.behaviours.get(host, "ok")
        session.concurrent += 1
        session.max_concurrent = max(session.max_concurrent, session.concurrent)
        try:
            await asyncio.sleep({"slow": 30.0, "late": 0.5}.get(behaviour, session.delay))
        finally:
            session.concurrent -= 1
        session.bytes_in += session.page_bytes
        if behaviour == "bug":
            raise ZeroDivisionError
        if session.dead or behaviour == "silent":
            return Failure.TIMEOUT
        if behaviour == "reset" or (behaviour == "once" and session.hosts.count(host) == 1):
            return Failure.RESET
        return None

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return await await_all(asks)

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
    log = StepLog()
    host = host_of(task.url)
    query = log.add(await net.dns(DnsQuery(host, net.resolvers[0])))
    if query.addresses:
        log.chain(await net.http(HttpRequest(task.url, query.addresses[0])), parent=query.id)
    return log.steps


async def confirm(task: Task, net: Net, steps: Steps) -> Steps:
    """A handshake with a reference site, and the page again."""
    log = StepLog(steps)
    for reference in task.references[:1]:
        handshake = await net.tls(
            TlsHandshake(reference.address or "", 443, host_of(reference.url))
        )
        log.chain(handshake, role=Role.REFERENCE)
    host = host_of(task.url)
    log.chain(await net.http(HttpRequest(task.url, address_of(host))), try_=2)
    return log.steps


def any_failed(_: Task, steps: Steps) -> bool:
    """Whether a step failed."""
    return any(step.failure is not None for step in steps)


async def connect_to_server(task: Task, net: Net) -> Steps:
    """A connection to the bulk server among the options."""
    servers = task.options["bulk"]
    assert isinstance(servers, tuple)
    return (await net.tcp(TcpConnect(servers[0].address, servers[0].port)),)


EXPERIMENTS = {
    "web": Experiment("web", 1, measure, confirm, any_failed, fetches_pages=True),
    "throttle": Experiment(
        "throttle",
        1,
        connect_to_server,
        exclusive=True,
        follow_up=FollowUp(most=3, seconds=45.0),
        given=frozenset({"bulk_servers", "daily_quota"}),
    ),
}


def judge(record: Record) -> Verdict:
    """Blocked if the confirmation failed too, inconclusive if there is none, else ok."""
    tries = {step.try_: step.failure for step in record.steps if step.role is Role.TARGET}
    last = tries[max(tries)] if tries else Failure.TIMEOUT
    if last is None:
        return Verdict(outcome=Outcome.OK, confidence=1.0)
    outcome = Outcome.BLOCKED if 2 in tries else Outcome.INCONCLUSIVE
    stage = model.Stage.CONFIRMED if again(record, outcome, ()) else model.Stage.SUSPECTED
    return Verdict(outcome=outcome, stage=stage, confidence=0.5)


@dataclass
class FakeControls:
    """A control source with fixed answers: to requests, and to rechecks."""

    known: Controls = field(default_factory=dict)
    again: Controls = field(default_factory=dict)
    answered: bool = False
    rechecked: list[RecheckTarget] = field(default_factory=list)
    answer_times: tuple[float, ...] = ()
    clock_offset: float | None = None

    async def controls(self, inputs: Sequence[str]) -> Controls:
        return {url: controls for url, controls in self.known.items() if url in inputs}

    async def recheck(self, asks: Sequence[RecheckTarget]) -> Controls:
        self.rechecked += asks
        return self.again


async def announced_servers() -> tuple[BulkReply, ...]:
    return (BULK,)


BulkServers = Callable[[], Awaitable[tuple[BulkReply, ...]]]


def fake_dependencies(
    session: FakeSession,
    controls: FakeControls | None = None,
    anchors: Sequence[str] = (),
    bulk_servers: BulkServers = announced_servers,
) -> RunDependencies:
    """Fake dependencies over one session."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[FakeSession]:
        yield session

    async def vantage() -> Vantage:
        return Vantage(country="KZ")

    return RunDependencies(
        session=opened,
        experiments=EXPERIMENTS,
        anchors=tuple(Reference(url) for url in anchors),
        harmless=("harmless.example",),
        vantage=vantage,
        controls=controls or FakeControls(),
        bulk_servers=bulk_servers,
    )


@dataclass
class MemoryStore:
    """A store that keeps records in memory."""

    records: list[Record] = field(default_factory=list)

    def keep(self, record: Record, line: bytes) -> None:
        self.records.append(record)


@dataclass
class FakeRun:
    """One run over a fake session, and its results."""

    session: FakeSession
    state: Path
    controls: FakeControls = field(default_factory=FakeControls)
    anchors: tuple[str, ...] = ()
    seconds: float = 60.0
    bytes: int = 10_000_000
    concurrency: int = 16
    options: OptionsByExperiment = field(default_factory=dict)
    bulk_servers: BulkServers = announced_servers
    judge: Callable[[Record], Verdict] = judge
    more_jobs: tuple[Job, ...] = ()
    shares: Mapping[str, Share] = field(default_factory=dict)
    between_looks: float = 0.0
    store: MemoryStore = field(default_factory=MemoryStore)
    bugs: list[BaseException] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    result: RunResult | None = None

    def __post_init__(self) -> None:
        self.journal = Journal(self.state)

    def measure(self, *urls: str, stop_after: float | None = None) -> dict[str, Record]:
        """Run, and return the records by target."""
        return self.measure_jobs([Job("web", url) for url in urls], stop_after)

    def measure_jobs(
        self, jobs: Sequence[Job], stop_after: float | None = None
    ) -> dict[str, Record]:
        """Run these jobs, and return the records by target."""
        with patch.object(record_release, "judge", self.judge):
            asyncio.run(self._measure(jobs, stop_after))
        return {record.input: record for record in self.store.records if record.input}

    @property
    def own(self) -> Record:
        """The run's own record."""
        assert self.result is not None
        return self.result.record

    async def _measure(self, jobs: Sequence[Job], stop_after: float | None) -> None:
        stop = Stop()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.ask)
        spec = RunSpec(
            jobs=(*jobs, *self.more_jobs),
            header=RunHeader("0199", lab=False),
            deadlines=Deadlines(monotonic(), self.seconds, uploads=False),
            bytes=self.bytes,
            seed=1,
            concurrency=self.concurrency,
            shares=self.shares,
            between_looks=self.between_looks,
        )
        writer = RecordWriter(
            Sink(None), (self.store,), self.journal, show=_ignore, warn=self.warnings.append
        )
        dependencies = fake_dependencies(
            self.session, self.controls, self.anchors, self.bulk_servers
        )
        try:
            async with (
                run_options(self.options, spec.jobs, dependencies, self.state) as options,
                dependencies.session() as session,
            ):
                run = Run(
                    spec,
                    dependencies,
                    session,
                    options=options,
                    history=History(Results(self.state), "0199"),
                    writer=writer,
                    progress=NullProgress(),
                    stop=stop,
                    report_bug=lambda _, error: self.bugs.append(error),
                )
                await run.measure()
                self.result = await run.judge()
            await writer.flushed()
        finally:
            writer.close()


def _ignore(_: Record) -> None:
    pass


def urls(*hosts: str) -> tuple[str, ...]:
    """Hosts as https URLs."""
    return tuple(f"https://{host}/" for host in hosts)


def job_list(*hosts: str) -> JobList:
    """Hosts as jobs."""
    return JobList(tuple(Job("web", url) for url in urls(*hosts)))
