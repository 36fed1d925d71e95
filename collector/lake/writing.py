"""Append what a store has got since the last time to a lake.

Rules: records are written in the order of their arrival, some at a time, and the manifest after
each lot says how far it came; a writer that is killed goes on there. Memory does not grow with the
number of records. Only what arrived two minutes ago is written, because several collectors may
share a store and what one of them commits later may have a lower number.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from collector import conduct
from collector.admin.export_columns import Pseudonyms
from collector.events import storage
from collector.events.reconcile import StoredEvent
from collector.lake import manifest as manifests, rewriting
from collector.lake.files import LakeFiles
from collector.lake.lots import LakeWritten, Lot, LotWriter
from collector.lake.parts import Partition, partition_of
from collector.store import Operation, Query, Store, exports
from collector.store.exports import ExportRow
from collector.store.queries import Selection, first_seq

SETTLED_SECONDS = 120.0
_PAGE = 2000
_IMPORT = "import"  # how such a key came to be


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
    writer = LotWriter(
        files, store.collector_id, known, Pseudonyms(secret, standings, public=False)
    )
    writer.sources = await store.read(_sources(), slow=True)
    ceiling = first_seq(now - SETTLED_SECONDS)
    lot, cursor = Lot(), writer.upto
    while batch := await store.read(_batch(cursor, ceiling), slow=True):
        cursor = batch.rows[-1].seq
        for row in batch.rows:
            if row.seq in batch.repeated:
                continue
            body, served = batch.bodies.get(row.seq), batch.served.get(row.seq, ())
            writer.add(lot, row, body, served)
            if lot.full:
                lot = _flush(writer, lot)
                told(writer.done.records)
    _flush(writer, lot)
    writer.replace("events", _events(await store.read(storage.all_events(), slow=True)))
    if not files.is_there(manifests.NAME):
        manifests.write(files, known.changed())
    erased = await store.read(exports.erased_pseudonyms(), slow=True)
    writer.done.erased = rewriting.erase_keys(files, store.collector_id, erased)
    return writer.done


def _flush(writer: LotWriter, lot: Lot) -> Lot:
    return writer.flush(lot, f"{lot.first}-{lot.last}", upto=lot.last)


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


def _events(events: Sequence[StoredEvent]) -> dict[Partition, list[dict[str, Any]]]:
    found: dict[Partition, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        where = partition_of(one.event.began.by, one.event.country)
        found[where].append(dict(storage.event_columns(one)))
    return found
