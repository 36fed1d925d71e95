"""One run, from the first look to the upload: before, sweep, confirm, after, judge, upload.

What simply works is judged and written at once. Everything else is held back (on disk too, should
we be killed) until it was looked at again between references and the facts of the line are known:
nothing is accused on one look. Whatever ends a run early (time, bytes, a signal), what was measured
is judged and written, and what was not is listed with the reason.
"""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from msgspec.structs import replace

from probe.analysis.facts import condense
from probe.analysis.slowness import slowed, usual
from probe.experiments.interface import Net, Reference
from probe.model import Line, Outcome, Record, Role, RunFacts, Skip, Steps, Tcp
from probe.ordering import Job, order, references_for
from probe.report.progress import ProgressListener
from probe.runner import record_builder
from probe.runner.byte_budget import BudgetedNet, ByteBudget
from probe.runner.control_cache import ControlCache, addresses
from probe.runner.deadlines import Deadlines
from probe.runner.measurer import Measurer, NotMeasured
from probe.runner.output import RecordWriter
from probe.runner.pool import Pool
from probe.runner.ports import RunDependencies, RunView, Session
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.references import ReferenceChecks, reached
from probe.signals import Stop, until

Ended = Literal["finished", "time", "bytes", "interrupted"]
CONFIRM_ABREAST = 32
# The experiment that a slow page calls for, of how many targets a run, and when there is time.
COMPARES = "throttle"
COMPARED = 3
COMPARE_SECONDS = 45.0
_AT_A_TIME = 16  # records that may wait for the disk while others are judged
_UNMEASURED: Mapping[Ended, str] = {
    "finished": "its turn did not come",
    "time": "time was up",
    "bytes": "the byte budget was spent",
    "interrupted": "the run was stopped",
}


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What is to be done, and what it may cost."""

    jobs: tuple[Job, ...]
    heading: RunHeader
    timetable: Deadlines
    bytes: int
    seed: int
    concurrency: int = 16
    profile: str = "full"
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run went.

    Attributes:
        record: The run's own record, written last.
        offline: Nothing worked at all: no reference, no target, no collector.
        bugs: How many targets were lost to a bug of ours.
        sent: Everything kept was sent; None when nobody was asked to.
    """

    record: Record
    offline: bool
    bugs: int
    sent: bool | None = None


class Run:
    """The state of one run between its phases."""

    def __init__(
        self,
        order_: RunSpec,
        kit: RunDependencies,
        session: Session,
        *,
        outlet: RecordWriter,
        watcher: ProgressListener,
        stop: Stop,
        bug: Callable[[Job, BaseException], None],
    ) -> None:
        self.order, self.kit, self.session = order_, kit, session
        self.outlet, self.watcher, self.stop = outlet, watcher, stop
        self.started, self.origin = datetime.now(UTC), time.monotonic()
        self.ended: Ended = "finished"
        self.bugs: list[Job] = []
        self.held: dict[Job, Measurement] = {}
        self.compared: tuple[Job, ...] = ()
        self.records: list[Record] = []
        self.skipped: list[Skip] = []
        self.found: list[Reference] = []
        self.reached = False
        self._tell_bug = bug
        self.allowance = ByteBudget(order_.bytes, lambda: session.bytes_in + session.bytes_out)
        self.opinions = ControlCache(kit.desk)
        self.lookout = ReferenceChecks(self._own_net, kit.anchors, order_.seed)
        self.looker = Measurer(
            kit.experiments,
            session,
            self.allowance,
            harmless=kit.harmless,
            profile=order_.profile,
            options=order_.options,
            seed=order_.seed,
            bug=self._bug,
        )

    async def measure(self) -> None:
        """Before, sweep, confirm, after; looking and asking go on while the sweep does."""
        urls = dict.fromkeys(job.url for job in self.order.jobs)
        looking = asyncio.ensure_future(self.lookout.look_before())
        asking = asyncio.ensure_future(self.opinions.follow(tuple(urls), self.held))
        await self._sweep()
        await self._within(looking)
        asking.cancel()
        await asyncio.wait((asking,))
        if self.held and not self._over() and await self._line_lives():
            await self._confirm()
        await self._compare()
        await self._look_after()

    async def _sweep(self) -> None:
        jobs = order(self.order.jobs, self.order.seed)
        self.watcher.phase("looking", len(jobs))
        # What loads the line comes last: sixteen pages at a time would be measured along with it.
        loading = tuple(job for job in jobs if self.looker.loads(job))
        missed: list[Job] = []
        for part in (tuple(job for job in jobs if job not in loading), loading):
            pool = Pool(part, self._first, enough=lambda: self._over() or self._sweep_left() <= 0)
            await self._within(pool.run(self.order.concurrency), self._sweep_left)
            missed += (*pool.under_way, *pool.waiting)
        if missed and self.ended == "finished":
            self.ended = self._why_over()
        self.skipped += [Skip(input=job.url, reason=_UNMEASURED[self.ended]) for job in missed]

    async def _confirm(self) -> None:
        self.watcher.phase("looking again", len(self.held))
        rechecking = asyncio.ensure_future(self.opinions.recheck(self.held.values()))
        pool = Pool(self.held, self._second, enough=self._over)
        await self._within(pool.run(self._abreast))
        await self._within(self.opinions.settle(rechecking, self.held))

    async def _compare(self) -> None:
        """Ask `throttle` of what came slowly: no page alone can say whether it is on purpose."""
        jobs = follow_ups(self.order.jobs, self._seen(), COMPARED)
        if not jobs or self.kit.comparing is None or COMPARES not in self.kit.experiments:
            return
        if self._over() or self.order.timetable.measuring_left < COMPARE_SECONDS:
            return
        options = await self.kit.comparing()
        if options is None:
            return
        self.looker = dataclasses.replace(
            self.looker, options={**self.order.options, COMPARES: options}
        )
        self.compared = jobs
        self.watcher.phase("comparing what was slow", len(jobs))
        pool = Pool(jobs, self._first, enough=self._over)
        await self._within(pool.run(1))

    def _seen(self) -> dict[Job, Steps]:
        """What was seen of each target's pages."""
        done = {(one.experiment, one.input): one.steps for one in self.records}
        held = {(job.experiment, job.url): look.steps for job, look in self.held.items()}
        every = {**done, **held}
        return {
            job: every[job.experiment, job.url]
            for job in self.order.jobs
            if (job.experiment, job.url) in every
        }

    async def _look_after(self) -> None:
        """Once more, within the time kept for it: also when we were stopped, but then shortly."""
        seconds = 1.0 if self.stop.asked else self.order.timetable.tail / 2
        until_ = time.monotonic() + seconds
        looking = asyncio.ensure_future(self.lookout.look_after(self.found))
        await until(looking, Stop(), lambda: until_ - time.monotonic())

    async def _line_lives(self) -> bool:
        """Whether anything answers at all; if nothing did so far, the anchors are asked again."""
        if not self._alive():
            await self._within(self.lookout.look_before())
        return self._alive()

    def _alive(self) -> bool:
        return self.reached or self.lookout.reached or self.opinions.answered

    async def _first(self, job: Job) -> None:
        finished = None
        try:
            look = await self.looker.first(job, self.opinions.of(job.url, time.time()))
            self.reached = self.reached or reached(look.steps)
            finished = None if self.looker.wanted(look) else await self._let_go(look)
            if finished is None:
                await self._hold(look)
        except NotMeasured as why:
            self.skipped.append(Skip(input=job.url, reason=str(why)))
        self.watcher.done(job, finished)

    async def _second(self, job: Job) -> None:
        first = self.held[job]
        references = references_for(
            job,
            frozenset(addresses(first.steps)),
            anchors=self.lookout.working,
            found=self.found,
            seed=self.order.seed,
        )
        known = self.opinions.of(job.url, first.started.timestamp())
        try:
            await self._hold(await self.looker.second(first, known, references))
        except NotMeasured:
            return  # the first look stands, unconfirmed
        self.watcher.done(job, None)

    async def _hold(self, look: Measurement) -> None:
        self.held[look.job] = look
        with self._guarded(look.job):
            self.outlet.hold(self.kit.scrub(await self._record(look)))

    async def _record(self, look: Measurement) -> Record:
        controls = self.opinions.of(look.job.url, look.started.timestamp())
        return record_builder.build(
            look, self.order.heading, await self.kit.whereabouts(), controls
        )

    async def _let_go(self, look: Measurement) -> Record | None:
        """It simply works: judge it and write it at once; None when the rules see it otherwise."""
        with self._guarded(look.job):
            finished = self._concluded(look.job, await self._record(look))
            if _is_fine(finished) or not self.looker.can_look_again(look.job):
                self._release(look.job, finished)
                return finished
        return None

    def _concluded(self, job: Job, record: Record) -> Record:
        """Scrub one record, and judge what is left of it.

        In this order anybody can judge it again and come to the same. A rule that breaks costs the
        verdict, not the evidence.
        """
        clean = record_builder.fit(self.kit.scrub(record))
        with self._guarded(job):
            return self._judged(clean)
        return clean

    def _release(self, job: Job, finished: Record) -> None:
        """Let one finished record go."""
        if _is_fine(finished) and finished.experiment == "web":  # others dial other servers
            self.found.append(Reference(finished.input, _reached_at(finished)))
        self.outlet.take(finished, held=job in self.held)
        self.records.append(condense(finished))

    def _judged(self, record: Record) -> Record:
        """With its verdict; what earlier runs say of it becomes a part of the record."""
        judged = replace(record, verdict=self.kit.judge(record))
        earlier = self.kit.earlier(judged)
        if not earlier:
            return judged
        told = replace(record, earlier=earlier)
        return replace(told, verdict=self.kit.judge(told))

    async def judge(self) -> RunResult:
        """Judge what was held back with the facts of the line, then the run itself."""
        drafts = [condense(await self._record(look)) for look in self.held.values()]
        view = RunView(self.lookout.before, self.lookout.after, (*self.records, *drafts))
        line = self.kit.facts(view)
        if drafts:
            self.watcher.phase("judging", len(drafts))
        for number, (job, look) in enumerate(self.held.items()):
            record = await self._record(look)
            with self._guarded(job):
                finished = self._concluded(job, replace(record, line=line(record)))
                self._release(job, finished)
                self.watcher.done(job, finished)
            if number % _AT_A_TIME == 0:
                await self.outlet.caught_up()
            await asyncio.sleep(0)  # let a second signal through
        self.outlet.settled()
        return await self._own_record(view, line)

    async def _own_record(self, view: RunView, line: Callable[[Record], Line]) -> RunResult:
        record = record_builder.run_record(
            self.order.heading,
            await self.kit.whereabouts(),
            started=self.started,
            elapsed=time.monotonic() - self.origin,
            steps=(*view.before, *_renumbered(view.after, len(view.before))),
            facts=self.kit.describe(self.session, self._facts()),
        )
        record = self.kit.scrub(replace(record, line=line(record)))
        self.outlet.take(record)
        return RunResult(record, offline=not self._alive(), bugs=len(set(self.bugs)))

    def _facts(self) -> RunFacts:
        return RunFacts(
            targets=len(self.order.jobs) + len(self.compared),
            measured=len(self.records),
            outcomes=dict(self.outlet.outcomes),
            skipped=tuple(self.skipped),
            bytes_in=self.session.bytes_in,
            bytes_out=self.session.bytes_out,
            seed=self.order.seed,
            ended=self._ended(),
        )

    def _ended(self) -> Ended:
        if self.stop.asked:
            return "interrupted"
        return "bytes" if self.ended == "finished" and self.allowance.spent else self.ended

    def _why_over(self) -> Ended:
        if self.stop.asked:
            return "interrupted"
        return "bytes" if self.allowance.spent else "time"

    def _over(self) -> bool:
        """Nothing new may be begun."""
        return self.stop.asked or self.allowance.spent

    @property
    def _abreast(self) -> int:
        return min(CONFIRM_ABREAST, max(1, self.order.concurrency // 2))

    def _sweep_left(self) -> float:
        looks = self.held.values()
        each = sum(look.elapsed for look in looks) / len(looks) if looks else 0.0
        return self.order.timetable.sweep_left(len(looks), abreast=self._abreast, each=each)

    async def _within(self, work: Awaitable[None], left: Callable[[], float] | None = None) -> None:
        """Let some work go on until time is up or somebody wants us to stop."""
        limit = left or (lambda: self.order.timetable.measuring_left)
        cut = await until(asyncio.ensure_future(work), self.stop, limit)
        if cut is not None:
            self.ended = cut

    def _own_net(self) -> Net:
        return BudgetedNet(self.session.net(self.origin), self.allowance)

    @contextmanager
    def _guarded(self, job: Job) -> Iterator[None]:
        """What breaks in here is a bug of ours: it is told, and costs one target."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a bug costs one target, not the run
            self._bug(job, error)

    def _bug(self, job: Job, error: BaseException) -> None:
        self.bugs.append(job)
        self._tell_bug(job, error)


def follow_ups(jobs: Iterable[Job], seen: Mapping[Job, Steps], most: int) -> tuple[Job, ...]:
    """Which targets to compare names for: the slowest pages of this line, a few a run."""
    web = {job: steps for job, steps in seen.items() if job.experiment == "web"}
    asked = {job.url for job in jobs if job.experiment == COMPARES}
    rate = usual(web.values())
    found = []
    for job, steps in web.items():
        how = slowed(steps, rate)
        if how is not None and job.url not in asked:
            found.append((how, job.url, job))
    ordered = sorted(found, key=lambda one: one[:2])
    return tuple(Job(COMPARES, job.url, job.category) for _, _, job in ordered[:most])


def _is_fine(record: Record) -> bool:
    return record.verdict is not None and record.verdict.outcome is Outcome.OK


def _reached_at(record: Record) -> str | None:
    """The address at which a target itself was reached."""
    reached_ = (
        step.address
        for step in record.steps
        if isinstance(step, Tcp) and step.role is Role.TARGET and step.hop == 0
        if step.failure is None
    )
    return next(reached_, None)


def _renumbered(steps: Steps, after: int) -> Steps:
    """The same steps, numbered on from those before."""
    return tuple(
        replace(step, id=step.id + after, parent=step.parent and step.parent + after)
        for step in steps
    )
