"""Measure one target: once in the sweep, and once more to confirm a suspicion.

A target without a measurement has one of three reasons: the byte budget is spent (a skip), our own
code raised (kept in a local log, never evidence; the run goes on), or a dependency is missing.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec import Struct, field
from msgspec.structs import replace

from probe import extras, uuid7
from probe.experiments.interface import Experiment, Reference, Task, nothing
from probe.i18n import N_
from probe.model import Control
from probe.ordering import Job, keyed
from probe.runner.bugs import ReportBug
from probe.runner.byte_budget import BudgetedNet, ByteBudget, BytesSpent
from probe.runner.dependencies import Session
from probe.runner.exclusive_line import ExclusiveLine
from probe.runner.record_builder import Measurement

BYTES_SPENT = N_("the byte budget was spent")
BUG = N_("a bug of ours; its traceback is in the log")


class NotMeasured(Exception):  # noqa: N818 - a result with a reason, not a fault
    """This target could not be measured; the message is the reason."""


class Measurer(Struct, frozen=True):
    """Measures one target at a time, over one session.

    Attributes:
        options: By experiment.
        report_bug: Called with each exception of our own code.
        line: Held by an experiment that loads the line.
        suspects: Whether a job's target drew suspicion before.
    """

    experiments: Mapping[str, Experiment]
    session: Session
    budget: ByteBudget
    harmless: tuple[str, ...]
    profile: str
    options: Mapping[str, Mapping[str, object]]
    seed: int
    report_bug: ReportBug
    line: ExclusiveLine = field(default_factory=ExclusiveLine)
    suspects: Callable[[Job], bool] = lambda _: False

    async def measure(
        self,
        job: Job,
        controls: Sequence[Control] = (),
        only_compares: Callable[[], None] = nothing,
    ) -> Measurement:
        """The measurement of the sweep, or `NotMeasured`.

        Args:
            only_compares: Called when it awaits nothing but comparisons.
        """
        lacking = extras.missing(self.experiments[job.experiment].extra)
        if lacking is not None:
            raise NotMeasured(f"{job.experiment} {lacking}")
        if self.exclusive(job):
            async with self.line.taken():
                return await self._measure(self._task(job, controls, ()), job)
        task = replace(self._task(job, controls, ()), only_compares=only_compares)
        measurement = await self._measure(task, job)
        end = measurement.origin + measurement.elapsed
        return replace(measurement, loaded=self.line.between(measurement.origin, end))

    async def _measure(self, task: Task, job: Job) -> Measurement:
        started, origin = datetime.now(UTC), time.monotonic()
        net = self.session.net(origin)
        with self._guarded(job):
            measure = self.experiments[job.experiment].measure
            steps = await measure(task, BudgetedNet(net, self.budget))
        elapsed = time.monotonic() - origin
        return Measurement(
            uuid7.new(started.timestamp()), job, started, origin, net, steps, elapsed
        )

    def exclusive(self, job: Job) -> bool:
        """Whether the job's experiment loads the line."""
        return self.experiments[job.experiment].exclusive

    def needs_confirmation(self, measurement: Measurement) -> bool:
        """Whether it is suspicious, so that no verdict may rest on it alone."""
        experiment = self.experiments[measurement.job.experiment]
        if experiment.needs_confirmation is None:
            return False
        with self._guarded(measurement.job):
            task = self._task(measurement.job, (), ())
            return experiment.needs_confirmation(task, measurement.steps)

    async def confirm(
        self,
        measurement: Measurement,
        controls: Sequence[Control],
        references: Sequence[Reference],
    ) -> Measurement:
        """The measurement extended by its confirmation.

        Unchanged if the experiment has none, or after a bug of ours: the sweep's steps still count.
        """
        confirm = self.experiments[measurement.job.experiment].confirm
        if confirm is None:
            return measurement
        task = self._task(measurement.job, controls, references)
        net = BudgetedNet(measurement.net, self.budget)
        try:
            with self._guarded(measurement.job):
                steps = await confirm(task, net, measurement.steps)
        except NotMeasured as reason:
            if str(reason) != BUG:
                raise
            return measurement
        elapsed = time.monotonic() - measurement.origin
        loaded = self.line.between(measurement.origin, measurement.origin + elapsed)
        return replace(measurement, steps=steps, elapsed=elapsed, loaded=loaded)

    @contextmanager
    def _guarded(self, job: Job) -> Iterator[None]:
        try:
            yield
        except BytesSpent as error:
            raise NotMeasured(BYTES_SPENT) from error
        except Exception as error:
            # Concurrent operations (a task group) raise a group when the budget ends.
            if isinstance(error, ExceptionGroup) and error.split(BytesSpent)[1] is None:
                raise NotMeasured(BYTES_SPENT) from error
            self.report_bug(job, error)
            raise NotMeasured(BUG) from error

    def _task(self, job: Job, controls: Sequence[Control], references: Sequence[Reference]) -> Task:
        return Task(
            url=job.url,
            seed=keyed(self.seed, job.url, job.experiment),
            category=job.category,
            harmless=self.harmless,
            controls=tuple(controls),
            references=tuple(references),
            profile=self.profile,
            suspected=self.exclusive(job) and self.suspects(job),
            options=self.options.get(job.experiment, {}),
        )
