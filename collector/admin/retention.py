"""Drop old evidence, then old records; counts stay for ever.

Rule: many small transactions, so that a serving collector never waits long for its own writes.
"""

from dataclasses import dataclass

from collector.store import Execute, Operation, Query, Store, heartbeats
from collector.store.queries import first_seq


@dataclass(frozen=True, slots=True)
class Retired:
    """How many records lost only their evidence, and how many were dropped."""

    evidence: int
    records: int


async def retire(store: Store, *, now: float, raw_before: float, before: float) -> Retired:
    """Drop the evidence of records measured before `raw_before`, and records before `before`."""
    ceiling = first_seq(now)
    evidence = records = 0
    while dropped := await store.write(_records(ceiling, before)):
        records += dropped
    while dropped := await store.write(_evidence(ceiling, raw_before)):
        evidence += dropped
    await store.write(_rest(before, now))
    return Retired(evidence, records)


def _records(ceiling: int, before: float) -> Operation[int]:
    rows = yield Query("retire_measurements", {"ceiling": ceiling, "before": before})
    gone = [{"seq": row[0]} for row in rows]
    yield Execute("raw_drop", gone)
    yield Execute("served_drop", gone)
    yield Execute("forged_drop", gone)
    return len(gone)


def _evidence(ceiling: int, before: float) -> Operation[int]:
    rows = yield Query("retire_raw", {"ceiling": ceiling, "before": before})
    yield Execute("served_drop", [{"seq": row[0]} for row in rows])
    return len(rows)


def _rest(before: float, now: float) -> Operation[None]:
    for name in ("retire_observations", "retire_votes", "retire_newest", "retire_series"):
        yield Execute(name, [{"before": before}])
    yield from heartbeats.retire(now)
    yield Execute("retire_certificates", [{}])
    yield Execute("retire_invites", [{"now": int(now)}])
