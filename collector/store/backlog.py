"""Batches that were acknowledged and wait to be judged, as operations.

Rule: a record leaves the backlog in the transaction that stores its row, and only while its batch
is held by the worker that judged it. So nothing is lost or stored twice wherever a process ends;
leases only keep two workers from judging the same batch.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from collector.store import keys, measurements
from collector.store.interface import Execute, Operation, Query, QueryEach
from collector.store.measurements import MeasurementRow

# A batch whose worker has not renewed it for so long is taken by another one.
LEASE_SECONDS = 30.0
# A batch has fewer lines than it has numbers.
LINES = 512


class NewObservation(NamedTuple):
    """What a control observed, by the line of its record: packed steps."""

    line: int
    id: str
    input: str
    at: float
    body: bytes


class NewBatch(NamedTuple):
    """A batch to keep until it is judged.

    Attributes:
        context: What the collector knew of it, as JSON. body: as it was sent.
        records: Line and id of each accepted record.
    """

    key_id: str
    role: str
    received_at: float
    context: str
    body: bytes
    records: Sequence[tuple[int, str]]
    observations: Sequence[NewObservation] = ()


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """A batch that a worker holds.

    Attributes:
        tries: How often it was taken; more than once when the worker before did not finish it.
        lines: How often a worker began with each of its waiting records alone, by line.
        ids: The ids of these records, by line.
    """

    seq: int
    key_id: str
    context: str
    tries: int
    body: bytes
    lines: Mapping[int, int]
    ids: Mapping[int, str]


# The rows of some lines of a batch.
JudgedLines: TypeAlias = tuple[WaitingBatch, Mapping[int, MeasurementRow]]


class BacklogState(NamedTuple):
    """How much waits to be judged; `oldest` and `since` are None when nothing does."""

    records: int
    oldest: int | None
    since: float | None


def add(batch: NewBatch) -> Operation[frozenset[int]]:
    """Keep a batch; return the lines that were not stored before."""
    first = (time.time_ns() // 1000 << 10) + secrets.randbelow(LINES)
    wanted = [
        {"seq": first + line, "key_id": batch.key_id, "id": id_} for line, id_ in batch.records
    ]
    yield Execute("waiting_add", wanted)
    rows = yield Query("waiting_between", {"first": first, "last": first + LINES})
    if rows:
        params = {
            "seq": first,
            "key_id": batch.key_id,
            "role": batch.role,
            "received_at": batch.received_at,
            "records": len(rows),
            "context": batch.context,
        }
        yield Execute("batch_add", [params])
        yield Execute("batch_body_add", [{"seq": first, "body": batch.body}])
    new = frozenset(row[0] - first for row in rows)
    yield Execute(
        "observation_add",
        [
            {"seq": first + one.line, "id": one.id, "key_id": batch.key_id, "input": one.input}
            | {"at": one.at, "body": one.body}
            for one in batch.observations
            if one.line in new
        ],
    )
    return new


def claim(
    holder: str, *, now: float, records: int, batches: int, only: str = ""
) -> Operation[tuple[WaitingBatch, ...]]:
    """Take the oldest free batches, until together they have this many records.

    `only` is a key: then batches of others are left to others.
    """
    yield Execute("claims_lock", [{}])
    params = {"holder": holder, "now": now, "until": now + LEASE_SECONDS, "only": only}
    limits = {"records": records, "limit": batches}
    rows = yield Query("batch_claim", {**params, **limits})
    taken = sorted(tuple(row) for row in rows)
    bodies = yield QueryEach("batch_body_get", [{"seq": row[0]} for row in taken])
    spans = [{"first": row[0], "last": row[0] + LINES} for row in taken]
    waiting = yield QueryEach("waiting_between", spans)
    found = []
    for (seq, key_id, context, tries), body, lines in zip(taken, bodies, waiting, strict=True):
        left = {row[0] - seq: row[1] for row in lines}
        ids = {row[0] - seq: row[2] for row in lines}
        found.append(WaitingBatch(seq, key_id, context, tries, bytes(body[0][0]), left, ids))
    return tuple(found)


def finish(holder: str, made: Sequence[JudgedLines]) -> Operation[int]:
    """Store the rows of lines of some batches, each of another key; return how many are new."""
    rows: list[MeasurementRow] = []
    # In the order of keys, so that two workers of one store cannot deadlock.
    for batch, own in sorted(made, key=lambda one: one[0].key_id):
        rows += yield from _leave(holder, batch, own)
    return sum((yield from measurements.ingest(rows))) if rows else 0


def _leave(
    holder: str, batch: WaitingBatch, rows: Mapping[int, MeasurementRow]
) -> Operation[list[MeasurementRow]]:
    """Take lines out of the backlog; return the rows of those that still were in it."""
    # Keeping a batch and erasing its key lock in the same order: first the key.
    yield from keys.hold(batch.key_id)
    if not (yield Query("batch_held", {"seq": batch.seq, "holder": holder})):
        return []  # its key was erased, or another worker took it
    span = {"first": batch.seq, "last": batch.seq + LINES}
    left = {row[0] - batch.seq for row in (yield Query("waiting_between", span))}
    taken = sorted(left & rows.keys())
    yield Execute("waiting_drop", [{"seq": batch.seq + line} for line in taken])
    if left <= set(taken):
        yield Execute("batch_drop", [{"seq": batch.seq}])
        yield Execute("batch_body_drop", [{"seq": batch.seq}])
    return [rows[line] for line in taken]


def begin(batch: WaitingBatch, line: int) -> Operation[None]:
    """Note that a worker begins with one record alone."""
    yield Execute("waiting_try", [{"seq": batch.seq + line}])


def renew(holder: str, *, now: float) -> Operation[None]:
    """Go on holding batches."""
    yield Execute("batch_renew", [{"holder": holder, "until": now + LEASE_SECONDS}])


def release(holder: str) -> Operation[None]:
    """Give back the batches that were not finished, as if they had not been taken."""
    yield Execute("batch_release", [{"holder": holder}])


def free() -> Operation[None]:
    """End every lease, where no other collector can hold one."""
    yield Execute("batch_free", [{}])


def state() -> Operation[BacklogState]:
    """How much waits."""
    rows = yield Query("backlog")
    return BacklogState(*rows[0])


def waiting(key_id: str) -> Operation[int]:
    """How many records of a key wait."""
    rows = yield Query("waiting_count", {"key_id": key_id})
    return int(rows[0][0])


def newest_seq() -> Operation[int | None]:
    """The number of the record that was stored last; it changes with every stored batch."""
    rows = yield Query("newest_seq")
    return None if rows[0][0] is None else int(rows[0][0])
