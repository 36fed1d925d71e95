"""Data that the operator set aside, as operations: reversible, at read, with the counts moved.

Rule: an exclusion deletes nothing. What is read for votes, rates, heartbeats and controls leaves
excluded data out; the counts are moved in pages, each in one transaction with the marks of its
records, so that an interrupted command is taken up again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from collector.store import event_places
from collector.store.interface import Execute, Operation, Query
from collector.store.rollup import RecordCounts, roll, sweep


class Exclusion(NamedTuple):
    """One key's data that are set aside; an empty key is the branch itself."""

    key_id: str
    subject: str
    since: float
    reason: str


def exclusions() -> Operation[list[Exclusion]]:
    """Everything that is set aside."""
    rows = yield Query("exclusions")
    return [Exclusion(*row) for row in rows]


def keys_of(subject: str) -> Operation[list[str]]:
    """The keys that a name stands for: a key, or all keys of a branch."""
    rows = yield Query("keys_named", {"subject": subject})
    return [str(row[0]) for row in rows]


def exclude(subject: str, *, since: float, reason: str, at: float) -> Operation[list[str] | None]:
    """Set aside what a key, or all keys of a branch, measured since then.

    Returns these keys; None when the name stands for nothing.
    """
    keys = yield from keys_of(subject)
    branch = bool((yield Query("branch_known", {"branch": subject})))
    if not keys and not branch:
        return None
    common = {"subject": subject, "since": since, "reason": reason, "at": int(at)}
    rows = [{"key_id": key, **common} for key in (["", *keys] if branch else keys)]
    yield Execute("exclusion_add", rows)
    yield from event_places.due_by_key(keys, since)
    return keys


def set_aside_once(key_id: str, subject: str, *, reason: str, at: float) -> Operation[None]:
    """Set a key aside from its first record on, unless the operator took that back."""
    name = f"set_aside:{key_id}"
    if (yield Query("meta_get", {"name": name})):
        return
    row = {"key_id": key_id, "subject": subject, "since": 0.0, "reason": reason, "at": int(at)}
    yield Execute("exclusion_add", [row])
    yield Execute("meta_add", [{"name": name, "value": str(int(at))}])


def include(subject: str) -> Operation[list[str] | None]:
    """Take an exclusion back; return the keys that it concerned, None when there was none."""
    found = [one for one in (yield from exclusions()) if one.subject == subject]
    if not found:
        return None
    yield Execute("exclusion_drop", [{"subject": subject}])
    yield from event_places.due_by_key(one.key_id for one in found if one.key_id)
    return [one.key_id for one in found if one.key_id]


class Recounted(NamedTuple):
    """A page of records that were moved: how many, and the number of the last one."""

    moved: int
    last: int


def recount(key_id: str, after: int) -> Operation[Recounted | None]:
    """Move one page of a key's records into the counts or out of them; None when all are."""
    rows = yield Query("recount_page", {"key_id": key_id, "after": after})
    if not rows:
        return None
    yield from roll((RecordCounts(*row[1:8]) for row in rows if row[8]), -1)
    yield from roll(RecordCounts(*row[1:8]) for row in rows if not row[8])
    yield Execute("counted_put", _flipped(rows))
    yield from sweep()
    return Recounted(len(rows), int(rows[-1][0]))


def _flipped(rows: Sequence[Sequence[int]]) -> list[dict[str, object]]:
    return [{"seq": row[0], "counted": 1 - row[8]} for row in rows]
