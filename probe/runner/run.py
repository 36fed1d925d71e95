"""The phases of one run: reference sites, sweep, confirmation, follow-up, reference sites, judging.

Confirmations begin beside the sweep, as soon as there is something to compare with.
When time, bytes or a signal end a run early, finished measurements are still judged and written,
and the remaining targets are listed with the reason.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from probe import host_network
from probe.i18n import N_
from probe.model import RunFacts, Steps
from probe.ordering import Job, order, references_for
from probe.report.progress import ProgressListener
from probe.runner import record_builder, shares
from probe.runner.bugs import BugCounter, ReportBug
from probe.runner.byte_budget import BudgetedNet, ByteBudget
from probe.runner.control_cache import ControlCache, addresses
from probe.runner.dependencies import RunDependencies, Session
from probe.runner.follow_up import SlowPages, follow_up_experiment, follow_up_jobs
from probe.runner.history import History
from probe.runner.measurer import Measurer, NotMeasured
from probe.runner.options import RunOptions
from probe.runner.output import RecordWriter
from probe.runner.pool import LONG, Pool, SecondLooks, Slots
from probe.runner.preparing import prepare
from probe.runner.record_builder import HeldMeasurement, Measurement
from probe.runner.record_release import RecordRelease
from probe.runner.references import ReferenceChecks, reached, with_foreign
from probe.runner.run_spec import RunEnd, RunResult, RunSpec
from probe.runner.shares import ShareLimits
from probe.runner.skips import Skips
from probe.signals import Stop, until

MAX_CONCURRENT_CONFIRMATIONS = 32
# Second looks wait for so many reference sites while the sweep goes on.
LEAST_REFERENCES = 4
_SKIP_REASONS: Mapping[RunEnd, str] = {
    "finished": N_("its turn did not come"),
    "time": N_("time was up"),
    "bytes": N_("the byte budget was spent"),
    "interrupted": N_("the run was stopped"),
}


class Run:
    """The state of one run between its phases."""

    def __init__(
        self,
        spec: RunSpec,
        dependencies: RunDependencies,
        session: Session,
        *,
        options: RunOptions,
        history: History,
        writer: RecordWriter,
        progress: ProgressListener,
        stop: Stop,
        report_bug: ReportBug,
    ) -> None:
        self._spec, self._dependencies, self._session = spec, dependencies, session
        self._options, self._writer, self._progress, self._stop = options, writer, progress, stop
        self._started, self._origin = datetime.now(UTC), time.monotonic()
        self._end: RunEnd = "finished"
        self._followed_up: tuple[Job, ...] = ()
        self._shares = ShareLimits(spec.shares)
        self._refused: set[Job] = set()
        self._confirmed: set[Job] = set()
        self._swept = False
        # First looks at pages that have not ended: each may find a reference site.
        self._pages_left = 0
        self._anchors_checked = False
        self._skips = Skips()
        self._slow = SlowPages()
        self._target_reached = False
        self._background: list[asyncio.Task[None]] = []
        self._bugs = BugCounter(report_bug)
        self._budget = ByteBudget(spec.bytes, lambda: session.bytes_in + session.bytes_out)
        self._controls = ControlCache(dependencies.controls)
        self._references = ReferenceChecks(
            lambda: BudgetedNet(session.reference_net(self._origin), self._budget),
            dependencies.anchors,
            spec.seed,
        )
        self._release = RecordRelease(
            spec.header,
            dependencies,
            controls=self._controls,
            history=history,
            writer=writer,
            bugs=self._bugs,
        )
        self._measurer = Measurer(
            dependencies.experiments,
            session,
            self._budget,
            harmless=dependencies.harmless,
            profile=spec.profile,
            options=options.by_experiment,
            seed=spec.seed,
            report_bug=self._bugs.add,
            suspects=lambda job: job in self._followed_up or history.suspects(job),
        )

    async def measure(self) -> None:
        """All phases but judging; references and controls are asked while the sweep goes on."""
        try:
            await self._measure_all()
        finally:
            # After a withdrawal the run is cancelled, and nothing more may be asked.
            for task in self._background:
                task.cancel()

    async def _measure_all(self) -> None:
        urls = dict.fromkeys(job.url for job in self._spec.jobs)
        held = self._release.held
        checking = self._begin(self._check_anchors())
        asking = self._begin(self._controls.follow(tuple(urls), held))
        self._begin(prepare(lambda: self._session.roots))
        jobs = order(self._spec.jobs, self._spec.seed)
        self._progress.phase("measuring", len(jobs))
        # Pages that are loaded beside an experiment that loads the line would seem slow.
        for loads in (False, True):
            part = tuple(job for job in jobs if self._measurer.exclusive(job) is loads)
            if loads and part:  # nor may our own checks go on beside it
                await self._within_time(checking)
                await self._dependencies.vantage()
            await self._look_twice(part, checking, asking)
        await self._within_time(checking)
        await self._follow_up()
        await self._check_references_after()

    async def _check_anchors(self) -> None:
        await self._references.check_before()
        self._anchors_checked = True

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.append(task)
        return task

    async def judge(self) -> RunResult:
        """Judge and release what is held, then write the run's own record."""
        before, after = self._references.before, self._references.after
        facts = await self._release.release_held(before, after, self._progress)
        record = record_builder.run_record(
            self._spec.header,
            await self._dependencies.vantage(),
            started=self._started,
            elapsed=time.monotonic() - self._origin,
            steps=(*before, *_renumbered(after, len(before))),
            facts=self._run_facts(),
        )
        record = replace(record, line=facts.of(None))
        record = record_builder.fit(record_builder.scrubbed(record))
        self._writer.take(record)
        return RunResult(record, offline=not self._line_works(), bugs=len(self._bugs.jobs))

    async def _look_twice(
        self, jobs: Sequence[Job], checking: asyncio.Task[None], asking: asyncio.Task[None]
    ) -> None:
        """Measure jobs; confirm those that are held, as soon as there is a reference site."""
        self._swept = False
        self._pages_left = sum(map(self._fetches_pages, jobs))
        # What loads the line goes one at a time, and what waits for that was begun already.
        patience = None if any(map(self._measurer.exclusive, jobs)) else LONG
        self._slots = Slots(self._spec.concurrency, patience=patience)
        self._second = SecondLooks(
            self._confirm,
            self._slots,
            most=min(MAX_CONCURRENT_CONFIRMATIONS, self._spec.concurrency),
            enough=self._over,
            may_begin=self._has_comparisons,
        )
        before = set(self._release.held)
        looking = self._begin(self._second.run())
        await self._sweep(jobs)
        asking.cancel()
        await asyncio.wait((asking,))
        if not self._known_references:
            await self._within_time(checking)
        held = {j: one for j, one in self._release.held.items() if j not in before}
        if held and not self._over() and await self._recheck_line():
            await self._finish_second_looks(looking, held)
        looking.cancel()
        await asyncio.wait((looking,))

    async def _finish_second_looks(
        self, looking: asyncio.Task[None], held: Mapping[Job, HeldMeasurement]
    ) -> None:
        """Await the second looks at what is held, while controls recheck it."""
        self._progress.phase("confirming", len(held))
        for job in self._confirmed.intersection(held):
            self._progress.done(job, None)
        rechecking = self._begin(self._controls.recheck(one.whole() for one in held.values()))
        self._swept = True
        self._second.close()
        await self._within_time(looking)
        await self._within_time(self._controls.settle(rechecking, held))

    async def _sweep(self, jobs: Sequence[Job]) -> None:
        pool = Pool(
            jobs,
            self._measure,
            enough=lambda: self._over() or self._sweep_left() <= 0,
            slots=self._slots,
        )
        await self._within_time(pool.run(self._spec.concurrency), self._sweep_left)
        missed = (*pool.under_way, *pool.waiting)
        if missed and self._end == "finished":
            cut: RunEnd = "bytes" if self._budget.spent else "time"
            self._end = "interrupted" if self._stop.asked else cut
        for job in missed:
            self._skips.add(job.url, _SKIP_REASONS[self._end])

    async def _measure(self, job: Job) -> None:
        record = None
        try:
            self._refuse(job)
            controls = self._controls.of(job.url, time.time())
            leave = partial(self._slots.leave, job)
            measurement = await self._measurer.measure(job, controls, leave)
            self._shares.note(job.experiment, measurement.steps, measurement.elapsed)
            self._target_reached = self._target_reached or reached(measurement.steps)
            slow = self._fetches_pages(job) and self._slow.suspects(job.url, measurement.steps)
            if not slow and not self._measurer.needs_confirmation(measurement):
                record = await self._release.release_if_final(measurement)
            if record is None:
                await self._release.hold(measurement)
                self._look_again(measurement)
        except NotMeasured as error:
            self._skips.add(job.url, str(error))
        self._pages_left -= self._fetches_pages(job)
        self._progress.done(job, record)

    def _fetches_pages(self, job: Job) -> bool:
        return self._dependencies.experiments[job.experiment].fetches_pages

    def _refuse(self, job: Job) -> None:
        """Raise `NotMeasured`, before anything is spent, for what a profile cannot afford."""
        if job in self._followed_up or not self._shares.limits(job.experiment):
            return
        # What loads the line comes last: by then it is known whether anything answers.
        offline = self._measurer.exclusive(job) and not self._line_works()
        if offline or self._shares.spent(job.experiment):
            self._refused.add(job)
            raise NotMeasured(shares.OFFLINE if offline else shares.SPENT)

    def _look_again(self, measurement: Measurement) -> None:
        after = min(self._spec.between_looks, self._spec.deadlines.seconds / 50)
        self._second.add(measurement.job, after=after, length=measurement.elapsed)

    @property
    def _known_references(self) -> int:
        return len(self._references.working) + len(self._release.reference_sites)

    def _has_comparisons(self, job: Job) -> bool:
        """Whether a second look has what it is compared with; after the sweep, what there is."""
        if self._swept or self._measurer.exclusive(job):
            return self._swept
        no_more = self._anchors_checked and not self._pages_left and self._line_works()
        enough = self._known_references >= LEAST_REFERENCES or no_more
        return enough and self._controls.asked(job.url)

    async def _confirm(self, job: Job) -> None:
        measurement = self._release.held[job].whole()
        references = references_for(
            job,
            frozenset(addresses(measurement.steps)),
            anchors=self._references.working,
            found=self._release.reference_sites,
            seed=self._spec.seed,
        )
        references = with_foreign(references, self._references.working)
        controls = self._controls.of(job.url, measurement.started.timestamp())
        try:
            confirmed = await self._measurer.confirm(measurement, controls, references)
        except NotMeasured:
            return  # the measurement stays held, unconfirmed
        await self._release.hold(confirmed)
        self._confirmed.add(job)
        if self._swept:
            self._progress.done(job, None)

    async def _follow_up(self) -> None:
        experiments = self._dependencies.experiments
        experiment = follow_up_experiment(experiments)
        if not self._spec.follow_up or experiment is None or experiment.follow_up is None:
            return
        fetching = tuple(job for job in self._spec.jobs if self._fetches_pages(job))
        done = [job for job in self._spec.jobs if job not in self._refused]
        jobs = follow_up_jobs(experiment, done, lambda: self._release.steps_of(fetching))
        time_left = self._spec.deadlines.measuring_left >= experiment.follow_up.seconds
        if not jobs or self._over() or not time_left:
            return
        if not await self._options.prepare_follow_up(experiment):
            return
        self._followed_up = jobs
        self._progress.phase("following up slow pages", len(jobs))
        pool = Pool(jobs, self._measure, enough=self._over, slots=Slots(1, patience=None))
        await self._within_time(pool.run(1))

    async def _check_references_after(self) -> None:
        """Within the time kept for it; also after a stop, but then for a second at most."""
        seconds = 1.0 if self._stop.asked else self._spec.deadlines.tail / 2
        end = time.monotonic() + seconds
        checking = asyncio.ensure_future(
            self._references.check_after(self._release.reference_sites)
        )
        await until(checking, Stop(), lambda: end - time.monotonic())

    async def _recheck_line(self) -> bool:
        """Whether anything answers; if nothing did so far, the anchors are tried once more."""
        if not self._line_works():
            await self._within_time(self._references.check_before())
        return self._line_works()

    def _line_works(self) -> bool:
        return self._target_reached or self._references.reached or self._controls.answered

    def _run_facts(self) -> RunFacts:
        end = self._end
        if end == "finished" and self._budget.spent:
            end = "bytes"
        return RunFacts(
            targets=len(self._spec.jobs) + len(self._followed_up),
            measured=len(self._release.records),
            outcomes=dict(self._writer.outcomes),
            skipped=self._skips.examples,
            skipped_counts=self._skips.counts,
            bytes_in=self._session.bytes_in,
            bytes_out=self._session.bytes_out,
            seed=self._spec.seed,
            ended="interrupted" if self._stop.asked else end,
            roots=self._session.roots,
            vpn=host_network.vpn(),
            proxy=host_network.proxy(),
            resolvers_dead=tuple(self._session.resolvers_dead),
        )

    def _over(self) -> bool:
        """Nothing new may be begun."""
        return self._stop.asked or self._budget.spent

    @property
    def _confirm_concurrency(self) -> int:
        return min(MAX_CONCURRENT_CONFIRMATIONS, max(1, self._spec.concurrency // 2))

    def _sweep_left(self) -> float:
        held = [one for job, one in self._release.held.items() if job not in self._confirmed]
        each = sum(one.elapsed for one in held) / len(held) if held else 0.0
        return self._spec.deadlines.sweep_left(
            len(held), concurrency=self._confirm_concurrency, each=each
        )

    async def _within_time(
        self, work: Awaitable[None], left: Callable[[], float] | None = None
    ) -> None:
        """Await some work until no seconds are `left` (default: measuring time) or a stop."""
        limit = left or (lambda: self._spec.deadlines.measuring_left)
        cut = await until(asyncio.ensure_future(work), self._stop, limit)
        if cut is not None:
            self._end = cut


def _renumbered(steps: Steps, offset: int) -> Steps:
    """The same steps with their ids increased by `offset`."""
    return tuple(
        replace(step, id=step.id + offset, parent=step.parent and step.parent + offset)
        for step in steps
    )
