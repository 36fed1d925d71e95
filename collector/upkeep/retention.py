"""What is kept for how long: evidence, then rows, while counts stay for ever.

Rule: small transactions, one after the other, so that a collector that serves meanwhile never waits
long for its turn to write.
"""

from dataclasses import dataclass

from collector.store import Ask, Operation, Put, Store, beats
from collector.store.reading import first_seq


@dataclass(frozen=True, slots=True)
class Retired:
    """How many records lost their evidence, and how many went altogether."""

    evidence: int
    records: int


async def retire(store: Store, *, now: float, raw_before: float, before: float) -> Retired:
    """Drop evidence measured before `raw_before`, and whole records from before `before`."""
    ceiling = first_seq(now)
    evidence = records = 0
    while dropped := await store.write(_records(ceiling, before)):
        records += dropped
    while dropped := await store.write(_evidence(ceiling, raw_before)):
        evidence += dropped
    await store.write(_rest(before, now))
    return Retired(evidence, records)


def _records(ceiling: int, before: float) -> Operation[int]:
    rows = yield Ask("retire_measurements", {"ceiling": ceiling, "before": before})
    gone = [{"seq": row[0]} for row in rows]
    yield Put("raw_drop", gone)
    yield Put("served_drop", gone)
    yield Put("forged_drop", gone)
    return len(gone)


def _evidence(ceiling: int, before: float) -> Operation[int]:
    rows = yield Ask("retire_raw", {"ceiling": ceiling, "before": before})
    yield Put("served_drop", [{"seq": row[0]} for row in rows])
    return len(rows)


def _rest(before: float, now: float) -> Operation[None]:
    for name in ("retire_observations", "retire_votes", "retire_newest", "retire_series"):
        yield Put(name, [{"before": before}])
    yield from beats.retire(now)
    yield Put("retire_certificates", [{}])
    yield Put("retire_invites", [{"now": int(now)}])
