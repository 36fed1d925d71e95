"""From measurements to released records: build, scrub, judge, hand to the writer.

A target that works is released at once. Every other measurement is held, in the journal too in case
the process is killed, until it is confirmed and the facts of the line are known: no verdict of
interference rests on one measurement.
"""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec.structs import replace

from probe.analysis.facts import Facts, condense
from probe.experiments.interface import Reference
from probe.judge import judge
from probe.model import Outcome, Record, Role, Steps, Tcp
from probe.ordering import Job, host_of
from probe.packed import PackedRecords
from probe.report.progress import ProgressListener
from probe.runner import record_builder
from probe.runner.bugs import BugCounter
from probe.runner.control_cache import ControlCache
from probe.runner.dependencies import RunDependencies
from probe.runner.history import History
from probe.runner.output import RecordWriter
from probe.runner.record_builder import HeldMeasurement, Measurement, RunHeader

_BATCH = 16  # records that may wait for the disk while others are judged


class RecordRelease:
    """The held measurements and the released records of one run.

    Attributes:
        held: Measurements that await their confirmation or the facts of the line, packed.
        records: Released records, condensed and packed.
        reference_sites: Targets that were found ok, with the address that answered.
    """

    def __init__(
        self,
        header: RunHeader,
        dependencies: RunDependencies,
        *,
        controls: ControlCache,
        history: History,
        writer: RecordWriter,
        bugs: BugCounter,
    ) -> None:
        self.held: dict[Job, HeldMeasurement] = {}
        self.records = PackedRecords()
        self.reference_sites: list[Reference] = []
        self._header, self._dependencies, self._controls = header, dependencies, controls
        self._history, self._writer, self._bugs = history, writer, bugs

    async def hold(self, measurement: Measurement) -> None:
        """Keep a measurement; it replaces an earlier one of the same job."""
        self.held[measurement.job] = HeldMeasurement(measurement)
        with self._bugs.guarded(measurement.job):
            record = record_builder.scrubbed(await self._build(measurement))
            self._writer.hold(record_builder.fit(record))

    async def release_if_final(self, measurement: Measurement) -> Record | None:
        """Judge and release a measurement that is not suspicious.

        None when the rules do not find it ok and the experiment can confirm.
        """
        job = measurement.job
        with self._bugs.guarded(job):
            record = self._judged(job, await self._build(measurement))
            if _is_ok(record) or self._dependencies.experiments[job.experiment].confirm is None:
                self._release(job, record)
                return record
        return None

    async def release_held(self, before: Steps, after: Steps, progress: ProgressListener) -> Facts:
        """Judge every held measurement with the facts of the line, and release its record.

        Args:
            before, after: Measurements of the reference sites around the sweep.
        """
        pending = PackedRecords()
        for one in self.held.values():
            pending.append(condense(await self._build(one.whole())))
        source = self._dependencies.controls
        facts = Facts(
            before,
            after,
            chain(self.records, pending),
            clock_offset=source.clock_offset,
            answered=source.answer_times,
            abroad={host_of(one.url): one.foreign for one in self._dependencies.anchors},
            systems=await self._dependencies.networks.systems(chain(self.records, pending)),
        )
        if pending:
            progress.phase("judging", len(pending))
        for number, (job, one) in enumerate(self.held.items()):
            record = await self._build(one.whole())
            with self._bugs.guarded(job):
                record = self._judged(job, replace(record, line=facts.of(record)))
                self._release(job, record)
                progress.done(job, record)
            if number % _BATCH == 0:
                await self._writer.caught_up()
            await asyncio.sleep(0)  # let the event loop handle a second signal
        self._writer.clear_journal()
        return facts

    def steps_of(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Steps]]:
        """The steps of those of the jobs that were measured, one after another."""
        wanted = {(job.experiment, job.url): job for job in jobs}
        held = {(job.experiment, job.url) for job in self.held}
        for record in self.records:
            job = wanted.get((record.experiment, record.input))
            if job is not None and (job.experiment, job.url) not in held:
                yield job, record.steps
        for job, one in self.held.items():
            if (job.experiment, job.url) in wanted:
                yield job, one.whole().steps

    async def _build(self, measurement: Measurement) -> Record:
        controls = self._controls.of(measurement.job.url, measurement.started.timestamp())
        steps = await self._dependencies.networks.with_networks(measurement.steps)
        named = replace(measurement, steps=steps)
        return record_builder.build(
            named, self._header, await self._dependencies.vantage(), controls
        )

    def _judged(self, job: Job, record: Record) -> Record:
        """Scrub a record, then judge it, so that the verdict follows from what is kept.

        When a rule raises, the record is kept without a verdict.
        """
        scrubbed = record_builder.fit(record_builder.scrubbed(record))
        with self._bugs.guarded(job):
            judged = replace(scrubbed, verdict=judge(scrubbed))
            earlier = self._history.earlier(judged)
            if not earlier:
                return judged
            extended = replace(scrubbed, earlier=earlier)
            return replace(extended, verdict=judge(extended))
        return scrubbed

    def _release(self, job: Job, record: Record) -> None:
        if _is_ok(record) and self._dependencies.experiments[job.experiment].fetches_pages:
            self.reference_sites.append(Reference(record.input, _target_address(record)))
        self._writer.take(record, held=job in self.held)
        self.records.append(condense(record))


def _is_ok(record: Record) -> bool:
    return record.verdict is not None and record.verdict.outcome is Outcome.OK


def _target_address(record: Record) -> str | None:
    """The first address of the target itself that accepted a connection."""
    connected = (
        step.address
        for step in record.steps
        if isinstance(step, Tcp) and step.role is Role.TARGET and step.hop == 0
        if step.failure is None
    )
    return next(connected, None)
