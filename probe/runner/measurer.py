"""Look at one target: the first time in the sweep, the second time when it did not simply work.

Here the three ways of not getting a measurement are told apart: the budget is spent (a skip), we
have a bug (kept in a local log, never evidence, and the run goes on), or we were cut short.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from probe import extras, uuid7
from probe.experiments.interface import Experiment, Reference, Task
from probe.model import Control
from probe.ordering import Job, keyed
from probe.runner.byte_budget import BudgetedNet, ByteBudget, BytesSpent
from probe.runner.exclusive_line import ExclusiveLine
from probe.runner.ports import Session
from probe.runner.record_builder import Measurement

BYTES_SPENT = "the byte budget was spent"
BUG = "a bug of ours; its traceback is in the log"


class NotMeasured(Exception):  # noqa: N818 - a result with a reason, not a fault
    """This target could not be measured; the message is why."""


@dataclass(frozen=True, slots=True)
class Measurer:
    """Measures one target at a time, over one session.

    Attributes:
        bug: Told of each exception that nobody should ever see.
        turns: Taken by an experiment that loads the line.
    """

    experiments: Mapping[str, Experiment]
    session: Session
    allowance: ByteBudget
    harmless: tuple[str, ...]
    profile: str
    options: Mapping[str, Mapping[str, object]]
    seed: int
    bug: Callable[[Job, BaseException], None]
    turns: ExclusiveLine = field(default_factory=ExclusiveLine)

    async def first(self, job: Job, controls: Sequence[Control] = ()) -> Measurement:
        """Measure it, or raise `NotMeasured`."""
        lacking = extras.missing(self.experiments[job.experiment].extra)
        if lacking is not None:
            raise NotMeasured(f"{job.experiment} {lacking}")
        if not self.experiments[job.experiment].alone:
            look = await self._first(job, controls)
            return replace(look, loaded=self.turns.between(look.origin, look.origin + look.elapsed))
        async with self.turns.taken():
            return await self._first(job, controls)

    async def _first(self, job: Job, controls: Sequence[Control]) -> Measurement:
        started, origin = datetime.now(UTC), time.monotonic()
        net = self.session.net(origin)
        task = self._task(job, controls, ())
        with self._guarded(job):
            measure = self.experiments[job.experiment].measure
            steps = await measure(task, BudgetedNet(net, self.allowance))
        elapsed = time.monotonic() - origin
        return Measurement(
            uuid7.new(started.timestamp()), job, started, origin, net, steps, elapsed
        )

    def loads(self, job: Job) -> bool:
        """Whether it uses the line as hard as it can."""
        return self.experiments[job.experiment].alone

    def wanted(self, look: Measurement) -> bool:
        """Whether it did not simply work, so that nothing may be said before a second look."""
        experiment = self.experiments[look.job.experiment]
        if experiment.wanted is None:
            return False
        with self._guarded(look.job):
            return experiment.wanted(self._task(look.job, (), ()), look.steps)

    def can_look_again(self, job: Job) -> bool:
        """Whether this experiment has a second look at all."""
        return self.experiments[job.experiment].confirm is not None

    async def second(
        self, look: Measurement, controls: Sequence[Control], references: Sequence[Reference]
    ) -> Measurement:
        """Measure it again, on the same record; without a second way to look, as it was."""
        confirm = self.experiments[look.job.experiment].confirm
        if confirm is None:
            return look
        task = self._task(look.job, controls, references)
        with self._guarded(look.job):
            steps = await confirm(task, BudgetedNet(look.net, self.allowance), look.steps)
        elapsed = time.monotonic() - look.origin
        loaded = self.turns.between(look.origin, look.origin + elapsed)
        return replace(look, steps=steps, elapsed=elapsed, loaded=loaded)

    @contextmanager
    def _guarded(self, job: Job) -> Iterator[None]:
        try:
            yield
        except BytesSpent as error:
            raise NotMeasured(BYTES_SPENT) from error
        except Exception as error:
            if _only_spent(error):
                raise NotMeasured(BYTES_SPENT) from error
            self.bug(job, error)
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
            options=self.options.get(job.experiment, {}),
        )


def _only_spent(error: Exception) -> bool:
    """Several exchanges at once (a task group) ran into the end of the budget together."""
    return isinstance(error, ExceptionGroup) and error.split(BytesSpent)[1] is None
