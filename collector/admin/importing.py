"""Import records from files: written by a probe with `-o`, or exported by another collector.

Rule: these records carry no signature, so the operator answers for them. They are checked and kept
like uploaded ones, and judged in a process with the same limits, so that no record stops the rest.
Each named source has one vote. What an interrupted import has kept is judged by the next one, or by
the collector that serves the store.
"""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import msgspec

from collector import controls, record_row
from collector.judging.reports import Report
from collector.judging.workers import Workers
from collector.record_row import BatchContext
from collector.store import Store, StoreError, backlog, keys
from collector.store.backlog import NewBatch, NewObservation
from probe import codec
from probe.model import Record

# So many records may wait; a collector that serves the store takes no more when too many do.
WAITING = 2000
# So many bytes are one batch at most; unpacked it may have four times as many.
_BATCH_BYTES = codec.BATCH_LIMIT // 4
# A worker that ends so often without having judged anything between cannot judge.
RESTARTS = 12
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Imported:
    """Counts of imported lines; `complaints` has one message for each that was refused."""

    stored: int = 0
    duplicates: int = 0
    complaints: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = [f"{self.stored} stored"]
        counts += [f"{self.duplicates} were there"] if self.duplicates else []
        counts += [f"{len(self.complaints)} refused"] if self.complaints else []
        return ", ".join(counts if counts[1:] or not self.stored else [*counts, "all new"])


def key_of(name: str) -> str:
    """The key id for a named source."""
    return hashlib.sha256(f"import:{name}".encode()).hexdigest()[:32]


class ImportJudging:
    """A worker that judges what is imported, and what it reports.

    Attributes:
        unjudged: How many records were not judged, by the reason.
    """

    def __init__(self, store: Store, url: str, targets: Sequence[str], key_id: str) -> None:
        self.unjudged: Counter[str] = Counter()
        self._store = store
        self._key_id = key_id
        self._idle_restarts = 0
        self._workers = Workers(
            1,
            store=url,
            targets=targets,
            holder=secrets.token_hex(8),
            report=self._take,
            restarted=self._restarted,
            only=key_id,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Judge until the context ends; all that waits, if it ends without an error."""
        self._workers.start()
        try:
            yield
            await self.until_at_most(0)
        finally:
            await self._workers.close()

    async def until_at_most(self, records: int) -> None:
        """Wait until no more records of the source wait.

        Raises:
            StoreError: Nothing judges them.
        """
        self._workers.wake()
        while (left := await self._store.read(backlog.waiting(self._key_id))) > records:
            if self._idle_restarts > RESTARTS:
                raise StoreError(
                    f"the judging process does not start; {left} records are kept and wait for it"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    def _take(self, report: Report) -> None:
        self.unjudged.update(report.unjudged)
        if report.judged:
            self._idle_restarts = 0

    def _restarted(self) -> None:
        self._idle_restarts += 1


async def import_lines(
    store: Store,
    lines: Iterable[bytes],
    *,
    context: BatchContext,
    source: str,
    judging: ImportJudging,
) -> Imported:
    """Keep the valid records among these lines, while `judging` judges them."""
    await store.write(keys.add_source(context.key_id))
    done = Imported()
    for group in _groups(lines):
        good, bad = _read(group, context, source)
        done = replace(done, complaints=(*done.complaints, *bad))
        for batch in _batches(good, context):
            new = len(await store.write(backlog.add(batch)))
            known = len(batch.records) - new
            done = replace(done, stored=done.stored + new, duplicates=done.duplicates + known)
        await judging.until_at_most(WAITING)
    return done


def _groups(lines: Iterable[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    """The numbered lines, as many at a time as a batch may have."""
    group: list[tuple[int, bytes]] = []
    size = 0
    for number, line in enumerate(lines, 1):
        if group and (len(group) >= codec.BATCH_RECORDS or size + len(line) > _BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append((number, line))
        size += len(line)
    if group:
        yield group


def _batches(records: Sequence[Record], context: BatchContext) -> Iterator[NewBatch]:
    """A batch of the controls' records first, since verdicts of the others rest on them."""
    for role in ("control", "probe"):
        found = [one for one in records if one.vantage.role == role]
        if found:
            yield _batch(found, replace(context, role=role))


def _batch(records: Sequence[Record], context: BatchContext) -> NewBatch:
    return NewBatch(
        key_id=context.key_id,
        role=context.role,
        received_at=context.now,
        context=msgspec.json.encode(context).decode(),
        body=codec.pack(map(codec.encode, records)),
        records=[(line, one.id) for line, one in enumerate(records)],
        observations=list(_observations(records, context)),
    )


def _observations(records: Sequence[Record], context: BatchContext) -> Iterator[NewObservation]:
    if context.role != "control":
        return
    for line, one in enumerate(records):
        body = controls.observation_of(one)
        if body is not None:
            at = record_row.event_time(one, context.now)
            yield NewObservation(line, one.id, record_row.key_input(one), at, body)


def _read(
    group: Iterable[tuple[int, bytes]], context: BatchContext, source: str
) -> tuple[list[Record], list[str]]:
    good: list[Record] = []
    bad: list[str] = []
    for number, record in _decoded(group):
        reason = record
        if isinstance(record, Record):
            reason = record_row.refusal(record, replace(context, role=record.vantage.role)) or ""
        if isinstance(record, Record) and not reason:
            good.append(record)
        else:
            bad.append(f"{source}:{number}: {reason}")
    return good, bad


def _decoded(group: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Record | str]]:
    for number, line in group:
        if not line.strip():
            continue
        try:
            yield number, codec.decode(line.strip())
        except codec.CodecError as error:
            yield number, " ".join(str(error).split())[:200]
