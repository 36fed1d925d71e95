"""Append what a store has got since the last time to a lake.

Rules: records are written in the order of their arrival, some at a time, and the manifest after
each lot says how far it came; a writer that is killed goes on there. Memory does not grow with the
number of records. Only what arrived two minutes ago is written, because several collectors may
share a store and what one of them commits later may have a lower number.
"""

import secrets
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collector import conduct
from collector.admin.export_columns import Pseudonyms, columns
from collector.events import storage
from collector.events.reconcile import StoredEvent
from collector.lake import flatten, manifest as manifests, rewriting
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin, Manifest, Part
from collector.lake.parts import (
    Partition,
    partition_of,
    table_of,
    table_of_columns,
    write_part,
)
from collector.store import Operation, Query, Store, exports
from collector.store.exports import ExportRow
from collector.store.measurements import CONCLUSIVE, UNLISTED
from collector.store.queries import Selection, first_seq

SETTLED_SECONDS = 120.0
_PAGE = 2000
_IMPORT = "import"  # how such a key came to be
# Of one lot: a row has about 3 KB in memory as long as it is not packed.
_LOT_RECORDS, _LOT_STEPS, _LOT_BYTES = 40_000, 120_000, 256 * 1024 * 1024

# Its rows are the same for many records.
_ONCE = "certificates"

Tables = dict[str, dict[Partition, list[dict[str, Any]]]]


@dataclass
class LakeWritten:
    """What one call of `write` added, and how many records it removed of keys that were erased."""

    records: int = 0
    rows: int = 0
    unreadable: int = 0
    parts: int = 0
    erased: int = 0


@dataclass
class _Lot:
    """What the next files will have, by partition: records, and rows of the other tables."""

    rows: dict[Partition, list[ExportRow]] = field(default_factory=lambda: defaultdict(list))
    tables: Tables = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    records: int = 0
    steps: int = 0
    size: int = 0
    first: int = -1
    last: int = -1
    unreadable: int = 0

    @property
    def full(self) -> bool:
        many = self.records >= _LOT_RECORDS or self.steps >= _LOT_STEPS
        return many or self.size >= _LOT_BYTES


@dataclass(frozen=True)
class _Batch:
    """Rows of a store with their evidence and certificates.

    Attributes:
        repeated: Rows whose id an earlier record of another key has. They are left out: ids are
            public, and the tables of a lake know a record by its id alone.
    """

    rows: Sequence[ExportRow]
    bodies: dict[int, bytes]
    served: dict[int, list[tuple[str, bytes]]]
    repeated: frozenset[int]


async def write(
    store: Store,
    files: LakeFiles,
    *,
    now: float,
    lab: bool = False,
    told: Callable[[int], None] = lambda _: None,
) -> LakeWritten:
    """Append the records that arrived since the last time, and the events as they are now.

    Args:
        told: Called with the number of records so far.
    """
    known = manifests.read(files, create=True)
    manifests.sweep(files, known)
    secret = await store.write(exports.release_secret(exports.LAKE))
    standings = await store.read(conduct.read_standings(now, lab=lab), slow=True)
    writer = _Writer(files, store.collector_id, known, Pseudonyms(secret, standings, public=False))
    writer.sources = await store.read(_sources(), slow=True)
    ceiling = first_seq(now - SETTLED_SECONDS)
    lot, cursor = _Lot(), writer.upto
    while batch := await store.read(_batch(cursor, ceiling), slow=True):
        cursor = batch.rows[-1].seq
        for row in batch.rows:
            if row.seq in batch.repeated:
                continue
            writer.add(lot, batch, row)
            if lot.full:
                lot = writer.flush(lot)
                told(writer.done.records)
    writer.flush(lot)
    writer.replace_events(await store.read(storage.all_events(), slow=True))
    if not files.is_there(manifests.NAME):
        manifests.write(files, known.changed())
    erased = await store.read(exports.erased_pseudonyms(), slow=True)
    writer.done.erased = rewriting.erase_keys(files, store.collector_id, erased)
    return writer.done


def _batch(cursor: int, ceiling: int) -> Operation[_Batch | None]:
    found = yield from exports.rows_after(cursor, Selection(), limit=_PAGE)
    rows = [row for row in found if row.seq < ceiling]
    if not rows:
        return None
    span = {"after": cursor, "last": rows[-1].seq}
    bodies = {row[0]: bytes(row[1]) for row in (yield Query("raw_between", span))}
    served: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for seq, sha256, der in (yield Query("served_between", span)):
        served[seq].append((sha256, bytes(der)))
    repeated = frozenset(row[0] for row in (yield Query("repeated_between", span)))
    return _Batch(rows, bodies, served, repeated)


def _sources() -> Operation[frozenset[str]]:
    """The keys under which the operator imported records."""
    rows = yield Query("standing_keys")
    return frozenset(row[0] for row in rows if row[2] == _IMPORT)


class _Writer:
    """Writes lots for one origin and keeps the manifest.

    Attributes:
        sources: Keys under which the operator imported records.
    """

    def __init__(
        self, files: LakeFiles, origin: str, manifest: Manifest, pseudonyms: Pseudonyms
    ) -> None:
        self._files, self._origin = files, origin
        self._manifest, self._pseudonyms = manifest, pseudonyms
        self.sources: frozenset[str] = frozenset()
        self.done = LakeWritten()

    @property
    def upto(self) -> int:
        return self._state.upto

    @property
    def _state(self) -> LakeOrigin:
        return self._manifest.origins.get(self._origin, LakeOrigin())

    def add(self, lot: _Lot, batch: _Batch, row: ExportRow) -> None:
        """Put a row of a batch where it belongs."""
        where = partition_of(row.at, row.country)
        lot.rows[where].append(row)
        for sha256, der in batch.served.get(row.seq, ()):
            lot.tables["certificates"][where].append(flatten.certificate(sha256, der))
            lot.size += len(der)
        body = batch.bodies.get(row.seq)
        if body is not None:
            steps = _steps(row, body)
            lot.unreadable += steps is None
            lot.tables["steps"][where].extend(steps or ())
            lot.steps += len(steps or ())
            lot.size += sum(len(step["step"]) for step in steps or ())
        lot.records += 1
        lot.first = row.seq if lot.first < 0 else lot.first
        lot.last = row.seq

    def flush(self, lot: _Lot) -> _Lot:
        """Write a lot's files and then the manifest; return an empty lot."""
        if lot.records:
            name = f"{self._origin[:8]}-{lot.first}-{lot.last}"
            parts = [*self._parts_of_rows(lot.rows, name), *self._parts(lot.tables, name)]
            reached = msgspec.structs.replace(self._state, upto=lot.last)
            self._keep(self._manifest.changed(more=parts, origins={self._origin: reached}))
            self.done.records += lot.records
            self.done.unreadable += lot.unreadable
            self._count(parts)
        return _Lot()

    def replace_events(self, events: Sequence[StoredEvent]) -> None:
        """The events of this origin as they are now; nothing is written when they are unchanged."""
        tables: Tables = {"events": defaultdict(list)}
        for one in events:
            where = partition_of(one.event.began.by, one.event.country)
            tables["events"][where].append(_event_columns(one))
        name = f"{self._origin[:8]}-{self._manifest.generation}-{secrets.token_hex(4)}"
        parts = list(self._parts(tables, name))
        old = [part for part in self._manifest.of("events") if part.origin == self._origin]
        if {(one.day, one.country, one.sha256) for one in parts} == {
            (one.day, one.country, one.sha256) for one in old
        }:
            parts, old = old, parts  # the same again: what was just written goes
        else:
            self._keep(self._manifest.changed(without=old, more=parts))
            self._count(parts)
        for part in old:
            self._files.delete(part.path)

    def _parts_of_rows(
        self, partitions: dict[Partition, list[ExportRow]], name: str
    ) -> Iterator[Part]:
        for where, rows in sorted(partitions.items()):
            looks = [row for row in rows if _is_vote(row)]
            for table, some in (("measurements", rows), ("votes", looks)):
                if some:
                    found = columns(some, self._pseudonyms)
                    imported = {"imported": [row.key_id in self.sources for row in some]}
                    made = table_of_columns(table, {**found, **imported})
                    yield write_part(
                        self._files, table, where, made, origin=self._origin, name=name
                    )

    def _parts(self, tables: Tables, name: str) -> Iterator[Part]:
        for table, partitions in tables.items():
            for where, rows in sorted(partitions.items()):
                once = {row["sha256"]: row for row in rows}.values() if table == _ONCE else rows
                made = table_of(table, once)
                yield write_part(self._files, table, where, made, origin=self._origin, name=name)

    def _keep(self, manifest: Manifest) -> None:
        manifests.write(self._files, manifest)
        self._manifest = manifest

    def _count(self, parts: Sequence[Part]) -> None:
        self.done.parts += len(parts)
        self.done.rows += sum(part.rows for part in parts)


def _is_vote(row: ExportRow) -> bool:
    """Whether the record counts as a look of a probe at a listed target."""
    counts = row.role == "probe" and row.voting and row.counted
    return bool(counts) and row.target != UNLISTED and row.outcome in CONCLUSIVE


def _steps(row: ExportRow, body: bytes) -> list[flatten.StepRow] | None:
    """The rows of a record's evidence; None when it is not readable."""
    known = {"id": row.id, "target": row.target, "measured_at": row.at}
    try:
        return list(flatten.rows(zlib.decompress(body), known))
    except (zlib.error, msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _event_columns(stored: StoredEvent) -> dict[str, Any]:
    event, ended = stored.event, stored.event.ended
    return {
        "id": stored.id,
        "kind": event.kind,
        "target": event.target,
        "category": stored.category,
        "asn": event.asn,
        "state": event.state,
        "began_after": event.began.after,
        "began_by": event.began.by,
        "ended_after": None if ended is None else ended.after,
        "ended_by": None if ended is None else ended.by,
        "last_seen_at": event.last_seen_at,
        "confirmed_at": event.confirmed_at,
        "published_at": stored.published_at,
        "mechanisms": " ".join(event.mechanisms),
        "authority": event.authority,
        "agree": event.agree,
        "able": event.able,
        "confidence": event.confidence,
        "evidence": " ".join(event.evidence),
        "sources": " ".join(event.sources),
        "wave": stored.wave,
        "reason": event.reason,
        "revision": stored.revision,
    }
