"""One run over the simulated network, with everything else as in the program."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest.mock import patch

from bench.waiting_clock import CLOCK
from bench.waiting_net import SimulatedSession
from probe import experiments, reference_data, uuid7
from probe.api_types import BulkReply, RecheckTarget
from probe.experiments.interface import Reference
from probe.model import Record, Vantage
from probe.ordering import Job
from probe.report.progress import NullProgress
from probe.runner.deadlines import Deadlines
from probe.runner.dependencies import Controls, RunDependencies
from probe.runner.history import History
from probe.runner.journal import Journal
from probe.runner.options import run_options
from probe.runner.output import RecordWriter, Sink
from probe.runner.record_builder import RunHeader
from probe.runner.results import Results
from probe.runner.run import Run
from probe.runner.run_spec import RunSpec
from probe.signals import Stop

P = ParamSpec("P")
T = TypeVar("T")

_ANCHORS = 15
_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How long a run took, what it found, and what it asked."""

    seconds: float
    outcomes: Mapping[str, int]
    asked: Mapping[str, int]


class _AtOnce(Executor):
    """In place of the thread that writes: the clock stands still meanwhile."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True, slots=True)
class _NoControls:
    """There are no control measurements."""

    answered: bool = False
    answer_times: tuple[float, ...] = ()
    clock_offset: float | None = None

    async def controls(self, inputs: Sequence[str]) -> Controls:  # noqa: ARG002 - an interface
        return {}

    async def recheck(self, asks: Sequence[RecheckTarget]) -> Controls:  # noqa: ARG002 - an interface
        return {}


@dataclass(slots=True)
class _Counting:
    """A store that counts outcomes."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def keep(self, record: Record, line: bytes) -> None:  # noqa: ARG002 - an interface
        if record.experiment == "web" and record.verdict is not None:
            self.outcomes[str(record.verdict.outcome)] += 1


def _dependencies(session: SimulatedSession) -> RunDependencies:
    @asynccontextmanager
    async def opened() -> AsyncIterator[SimulatedSession]:
        yield session

    async def vantage() -> Vantage:
        return Vantage(country="KZ")

    async def none() -> tuple[BulkReply, ...]:
        return ()

    return RunDependencies(
        session=opened,
        experiments=experiments.load(),
        anchors=tuple(Reference(f"https://www.anchor{n}.example/") for n in range(_ANCHORS)),
        harmless=reference_data.harmless_names(),
        vantage=vantage,
        controls=_NoControls(),
        bulk_servers=none,
    )


async def run(session: SimulatedSession, concurrency: int, folder: str) -> Outcome:
    """A sweep of the session's hosts with second looks and judging."""
    state, began, store = Path(folder), CLOCK.now, _Counting()
    spec = RunSpec(
        jobs=tuple(Job("web", f"https://{host}/") for host in session.hosts),
        header=RunHeader(uuid7.new(), lab=False),
        deadlines=Deadlines(began, _SECONDS, uploads=False, clock=CLOCK.read),
        bytes=10**12,
        seed=7,
        concurrency=concurrency,
        follow_up=False,
    )
    with patch("probe.runner.output.ThreadPoolExecutor", lambda *_: _AtOnce()):
        writer = RecordWriter(Sink(None), (store,), Journal(state), show=lambda _: None, warn=_fail)
    dependencies = _dependencies(session)
    async with run_options({}, spec.jobs, dependencies, state) as options:
        one = Run(
            spec, dependencies, session, options=options, history=History(Results(state), "0199"),
            writer=writer, progress=NullProgress(), stop=Stop(), report_bug=_bug,
        )  # fmt: skip
        await one.measure()
        await one.judge()
    await session.retries.close()
    writer.close()
    return Outcome(CLOCK.now - began, store.outcomes, session.asked)


def _fail(text: str) -> None:
    raise RuntimeError(text)


def _bug(_: object, error: BaseException) -> None:
    raise error
