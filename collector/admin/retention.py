"""Drop old evidence, then old records; counts stay for ever.

Rule: a serving collector never waits long for its own writes. What is due is found by reading;
deletions are small transactions, and after each of them the others have as much time as it took.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from collector import conduct
from collector.settings import SettingsError
from collector.store import (
    DayLimits,
    Execute,
    Operation,
    Query,
    Store,
    clock_ahead,
    heartbeats,
    outside,
)
from collector.store.interface import Rows
from collector.store.queries import first_seq

T = TypeVar("T")

# A transaction aims at this time; the number of its rows is adapted to that.
_SECONDS = 0.03
_LEAST, _MOST = 20, 2000
# Emptying the log of an embedded store has to wait for its readers.
_SCRUB_ATTEMPTS, _SCRUB_PAUSE = 40, 0.25


@dataclass(frozen=True, slots=True)
class Retired:
    """How many records lost only their evidence, and how many were dropped."""

    evidence: int
    records: int


class _Pace:
    """Writes in small transactions, with pauses for the others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began = 0.0
        self.rows = 200

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Write, adapt the number of rows of the next transaction, and pause."""
        result = await self._store.write(self._timed(operation), alone=alone)
        # Without the time that it waited for others, which would make it ever smaller.
        took = time.monotonic() - self._began
        wanted = self.rows * _SECONDS / max(took, 1e-3)
        self.rows = int(min(_MOST, 2 * self.rows, max(_LEAST, self.rows // 2, wanted)))
        await asyncio.sleep(took)
        return result

    def _timed(self, operation: Operation[T]) -> Operation[T]:
        self._began = time.monotonic()
        return (yield from operation)


async def check_clock(store: Store, now: float) -> None:
    """Refuse to delete by a clock that may be ahead.

    Raises:
        SettingsError: The store knows nothing of the time that it shows.
    """
    newest = await store.read(clock_ahead.doubtful_since(now), slow=True)
    if newest is not None:
        says, knows = (datetime.fromtimestamp(at, UTC).date() for at in (now, newest))
        raise SettingsError(
            f"the clock says {says}, and the newest that the store heard is of {knows}: "
            "nothing was deleted; if the clock is right, add --trust-clock"
        )


async def retire(
    store: Store,
    *,
    now: float,
    raw_before: float,
    before: float,
    compact: bool = False,
    upto: int | None = None,
) -> Retired:
    """Drop the evidence of records measured before `raw_before`, and records before `before`.

    Args:
        upto: The number of the last record that may lose anything; all may when it is None.
    """
    pace, ceiling = _Pace(store), first_seq(now)
    if upto is not None:
        ceiling = min(ceiling, upto + 1)
    # What arrived before was measured before.
    limits = DayLimits(first_seq(raw_before), first_seq(before), upto, now)
    dropped = await store.drop_days(limits)
    records = await _sweep(store, pace, "due_records", _records, ceiling=ceiling, before=before)
    evidence = await _sweep(
        store, pace, "due_evidence", _evidence, ceiling=ceiling, before=raw_before
    )
    await _retire_others(pace, before)
    while await pace.write(_query("retire_originals", before=int(raw_before), limit=pace.rows)):
        pass
    while await pace.write(outside.forget(before, pace.rows)):
        pass
    await _retire_certificates(store, pace)
    settled = await store.read(heartbeats.settled(now))
    await pace.write(heartbeats.retire(settled))
    await pace.write(conduct.retire(settled))
    await pace.write(_execute("retire_invites", now=int(now)))
    if compact:
        await store.compact()
    await _shrink(store)
    return Retired(dropped + evidence, records)


async def _sweep(
    store: Store,
    pace: _Pace,
    due: str,
    drop: Callable[[int, int, float], Operation[int]],
    *,
    ceiling: int,
    before: float,
) -> int:
    """Drop what is due of all records that arrived until now, page by page."""
    dropped, after = 0, -1
    while (last := await _page_end(store, after, ceiling)) is not None:
        rows = await store.read(_query(due, after=after, last=last, before=before), slow=True)
        left: Sequence[int] = [row[0] for row in rows]
        while left:
            chunk, left = left[: pace.rows], left[pace.rows :]
            dropped += await pace.write(drop(chunk[0], chunk[-1], before))
        after = last
    return dropped


async def _page_end(store: Store, after: int, ceiling: int) -> int | None:
    rows = await store.read(_query("retire_page", after=after, ceiling=ceiling), slow=True)
    end: int | None = rows[0][0]
    return end


def _records(first: int, last: int, before: float) -> Operation[int]:
    rows = yield Query("retire_measurements", {"first": first, "last": last, "before": before})
    gone = [{"seq": row[0]} for row in rows]
    yield Execute("raw_drop", gone)
    yield Execute("served_drop", gone)
    yield Execute("forged_drop", gone)
    return len(gone)


def _evidence(first: int, last: int, before: float) -> Operation[int]:
    rows = yield Query("retire_raw", {"first": first, "last": last, "before": before})
    yield Execute("served_drop", [{"seq": row[0]} for row in rows])
    return len(rows)


async def _retire_others(pace: _Pace, before: float) -> None:
    """Delete what detection and the gauges no longer look at."""
    hour = int(before // 3600)
    for name, more in (
        ("retire_observations", {}),
        ("retire_votes", {"hour": hour}),
        ("retire_newest", {}),
        ("retire_series", {}),
    ):
        while await pace.write(_query(name, before=before, limit=pace.rows, **more)):
            pass


async def _retire_certificates(store: Store, pace: _Pace) -> None:
    """Delete certificates that no record has any more.

    Alone: a batch that is being stored may have found a certificate there, and refer to it.
    """
    after = ""
    while True:
        rows = await store.read(_query("certificate_page", after=after, limit=pace.rows))
        last = rows[0][0]
        if last is None:
            return
        await pace.write(_execute("retire_certificates", after=after, last=last), alone=True)
        after = last


async def _shrink(store: Store) -> None:
    """Give freed space back, in small steps too."""
    while True:
        began = time.monotonic()
        if not await store.shrink():
            break
        await asyncio.sleep(time.monotonic() - began)
    for _ in range(_SCRUB_ATTEMPTS):
        if await store.scrub():
            return
        await asyncio.sleep(_SCRUB_PAUSE)


def _query(name: str, **params: object) -> Operation[Rows]:
    return (yield Query(name, params))


def _execute(name: str, **params: object) -> Operation[None]:
    yield Execute(name, [params])
