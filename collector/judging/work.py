"""Judge what waits, in order: take some batches, make the rows of their records, store them.

Rule: a batch that its worker did not finish is judged again record by record, each noted before it
begins. A record with which that ended twice is stored as not judged, so no record stops the others.
"""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from collector import controls, record_row
from collector.judging.limits import OutOfTime
from collector.judging.reports import Report
from collector.record_row import BatchContext, Judge, Proof
from collector.store import Store, backlog
from collector.store.backlog import LEASE_SECONDS, JudgedLines, WaitingBatch
from collector.store.measurements import SERIES, MeasurementRow
from collector.target_labels import TargetLabels
from probe import codec
from probe.certificates.roots import Roots
from probe.model import Record

T = TypeVar("T")

# So much is taken at once: little, so that it is visible soon; at least one batch.
RECORDS, BATCHES = 100, 16
# So many records are decoded and stored at once, which bounds memory.
GROUP = 50
# A record with which a worker ended so often when it was judged alone is not judged again.
TRIES = 2
# A key with so many records that were not judged within an hour has the others stored unjudged.
QUOTA, QUOTA_SECONDS, QUOTA_KEYS = 5, 3600.0, 1000
REPORT_SECONDS = 10.0

log = logging.getLogger("qazcollector")


class Runner(Protocol):
    """Runs a piece of work under the limits for one record."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """The result of the work."""


class Offenders:
    """The keys whose records were lately not judged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, key_id: str) -> None:
        """Note a record of a key that could not be judged."""
        times = self._times.pop(key_id, [])
        self._times[key_id] = [*times[1 - QUOTA :], self._clock()]
        if len(self._times) > QUOTA_KEYS:
            self._times.popitem(last=False)

    def __contains__(self, key_id: str) -> bool:
        times = self._times.get(key_id)
        return times is not None and len(times) == QUOTA and self._is_recent(times[0])

    def _is_recent(self, at: float) -> bool:
        return self._clock() - at < QUOTA_SECONDS


class Judging:
    """One worker's judging.

    `only` is a key: then batches of others are left to others.

    Attributes:
        stopping: Set to end a step before all that was taken is judged.
    """

    def __init__(
        self,
        store: Store,
        holder: str,
        *,
        labels: TargetLabels,
        judge: Judge,
        runner: Runner,
        report: Callable[[Report], None],
        roots: Roots | None,
        only: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.stopping = False
        self._store = store
        self._holder = holder
        self._labels = labels
        self._judge = judge
        self._run = runner
        self._report = report
        self._roots = roots
        self._only = only
        self._clock = clock
        self._offenders = Offenders()
        self._made: list[JudgedLines] = []
        self._renewed = 0.0

    async def step(self) -> bool:
        """Judge a portion of what waits; False when there was nothing to take."""
        if not (await self._store.read(backlog.state())).records:
            return False
        operation = backlog.claim(
            self._holder, now=self._clock(), records=RECORDS, batches=BATCHES, only=self._only
        )
        taken = await self._store.write(operation)
        self._renewed = time.monotonic()
        self._made = []
        for batch in taken:
            await self._judge_batch(batch)
        await self._finish()
        return bool(taken)

    async def stop(self) -> None:
        """Give back what was taken and not finished."""
        await self._store.write(backlog.release(self._holder))

    async def _judge_batch(self, batch: WaitingBatch) -> None:
        """Judge and store the waiting records of a batch, some at a time."""
        context = msgspec.json.decode(batch.context, type=BatchContext)
        size = 1 if batch.tries > 1 else GROUP
        for lines in _grouped(_waiting_lines(batch), size):
            if self.stopping:
                return
            spare = ""
            if size == 1:
                (line,) = lines
                spare = "crash" if batch.lines[line] >= TRIES else ""
                await self._store.write(backlog.begin(batch, line))
            await self._keep(batch, await self._rows(batch, lines, context, spare))
            if size == 1:
                await self._finish()

    async def _keep(self, batch: WaitingBatch, rows: Mapping[int, MeasurementRow]) -> None:
        """Keep rows for the next transaction.

        Whether a record confirms an earlier one of its key is looked up in the store, so a
        transaction has no second batch of a key.
        """
        full = sum(len(own) for _, own in self._made) + len(rows) > RECORDS
        if full or any(other.key_id == batch.key_id for other, _ in self._made):
            await self._finish()
        self._made.append((batch, rows))

    async def _finish(self) -> None:
        """Store what was made, in one transaction."""
        made, self._made = self._made, []
        if not made:
            return
        new = await self._store.write(backlog.finish(self._holder, made))
        rows = [row for _, own in made for row in own.values()]
        unjudged = Counter(row.unjudged for row in rows if row.unjudged)
        doubted = Counter(doubt for row in rows for doubt in row.doubts.split())
        series = any(row.experiment in SERIES for row in rows)
        self._report(
            Report(judged=new, unjudged=dict(unjudged), doubted=dict(doubted), series=series)
        )

    async def _rows(
        self, batch: WaitingBatch, lines: Mapping[int, bytes], context: BatchContext, spare: str
    ) -> Mapping[int, MeasurementRow]:
        """The rows of these lines; with `spare` they are not judged, for that reason."""
        records = {number: decoded for number, line in lines.items() if (decoded := _decoded(line))}
        seen = await self._seen(records, context)
        named = (one.id for record in records.values() for one in record.control)
        issued = await self._store.read(controls.issued(named))
        rows: dict[int, MeasurementRow] = {}
        for number, line in lines.items():
            record = records.get(number)
            if record is None:
                rows[number] = record_row.unreadable_row(
                    line, batch.ids[number], context, labels=self._labels
                )
                continue
            reason = spare or ("quota" if batch.key_id in self._offenders else "")
            proof = Proof(seen.get(number, ()), issued, None if record.lab else self._roots)
            rows[number] = await self._row(record, context, proof, reason)
            await self._stay_alive()
        return rows

    async def _row(
        self,
        record: Record,
        context: BatchContext,
        proof: Proof,
        reason: str,
    ) -> MeasurementRow:
        """The row of a record; an unjudged one when judging it needs too much or has a bug."""
        labels = self._labels
        if not reason:
            try:
                return await self._run(
                    lambda: record_row.make_row(
                        record, context, labels=labels, judge=self._judge, proof=proof
                    )
                )
            except OutOfTime:
                reason = "time"
            except MemoryError:
                reason = "memory"
            except Exception:
                reason = "bug"
                log.exception("bug while judging a record of experiment %s", record.experiment)
            # What the operator imports is one key however many people measured it.
            if reason != "bug" and context.origin is not None:
                self._offenders.add(context.key_id)
        return record_row.unjudged_row(record, context, labels=labels, reason=reason)

    async def _seen(
        self, records: Mapping[int, Record], context: BatchContext
    ) -> Mapping[int, Sequence[controls.Observation]]:
        """The observations of controls around each record; none for records of controls."""
        if context.role == "control":
            return {}
        wanted = [
            (record_row.key_input(one), record_row.event_time(one, context.now))
            for one in records.values()
        ]
        near = await self._store.read(controls.near(wanted, within=controls.NEAR_SECONDS))
        return dict(zip(records, near, strict=True))

    async def _stay_alive(self) -> None:
        """Renew the leases in time, and say that this worker is there."""
        if time.monotonic() - self._renewed > min(REPORT_SECONDS, LEASE_SECONDS / 3):
            self._renewed = time.monotonic()
            await self._store.write(backlog.renew(self._holder, now=self._clock()))
            self._report(Report())


def _waiting_lines(batch: WaitingBatch) -> Iterator[tuple[int, bytes]]:
    """The lines of the waiting records; an empty one where the batch cannot be read any more."""
    left = set(batch.lines)
    try:
        for number, line in enumerate(codec.unpack(batch.body)):
            if number in left:
                left.discard(number)
                yield number, line
    except codec.CodecError:
        log.exception("a stored batch cannot be unpacked")
    for number in sorted(left):
        yield number, b""


def _grouped(lines: Iterator[tuple[int, bytes]], size: int) -> Iterator[dict[int, bytes]]:
    while group := dict(islice(lines, size)):
        yield group


def _decoded(line: bytes) -> Record | None:
    """A record; None when this version of the collector cannot decode it."""
    try:
        return codec.decode(line)
    except codec.CodecError:
        return None
