"""Rollups: counts that are stored in the same transaction as the records.

Rule: a rollup is the sum over stored records. Storing a record adds its counts, erasing it or
judging it again subtracts them, and records of controls are not counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from collector.store.interface import Execute, Operation, Params, Query

# Upper bounds of the histogram's buckets, seconds; the last is infinite.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))

_HOURLY = ("hour", "experiment", "target", "country", "asn", "outcome", "n")
_DAILY = ("target", "day", "country", "asn", "experiment", "outcome", "n")
_TOTAL = ("experiment", "outcome", "country", "asn", "n")
_TIMING = ("country", "asn", "op", "bucket", "n", "seconds")

Timings = dict[str, tuple[tuple[int, int, float], ...]]
_timings = msgspec.json.Decoder(Timings)


class RecordCounts(NamedTuple):
    """What one record adds to the counts.

    Attributes:
        timings: JSON of `Timings`: operation → (bucket, number, total seconds).
    """

    experiment: str
    outcome: str
    country: str
    asn: int
    target: str
    at: float
    timings: str


def hour_of(at: float) -> int:
    """The hour an instant lies in, counted from 1970."""
    return int(at // 3600)


class CountChanges:
    """Changes of counts, written at once.

    A transaction writes them once, last: rows that several collectors write are then locked in one
    order, and no two of them wait for each other.
    """

    def __init__(self) -> None:
        self._hourly: Counter[tuple[int, str, str, str, int, str]] = Counter()
        self._total: Counter[tuple[str, str, str, int]] = Counter()
        self._timing: dict[tuple[str, int, str, int], tuple[int, float]] = {}

    def add(self, one: RecordCounts, sign: int = 1) -> None:
        """Add (or with -1 subtract) the counts of a record."""
        network = (one.country, one.asn)
        self._hourly[hour_of(one.at), one.experiment, one.target, *network, one.outcome] += sign
        self._total[one.experiment, one.outcome, *network] += sign
        _add_timings(self._timing, one, sign)

    def write(self) -> Operation[None]:
        """Write the counts that changed."""
        hourly = ((*key, n) for key, n in self._hourly.items() if n)
        daily: Counter[tuple[str, int, str, int, str, str]] = Counter()
        for (hour, experiment, target, country, asn, outcome), n in self._hourly.items():
            daily[target, hour // 24, country, asn, experiment, outcome] += n
        days = ((*key, n) for key, n in daily.items() if n)
        total = ((*key, n) for key, n in self._total.items() if n)
        timing = ((*key, *sums) for key, sums in self._timing.items())
        yield Execute("hourly_add", _params(_HOURLY, hourly))
        yield Execute("daily_add", _params(_DAILY, days))
        yield Execute("total_add", _params(_TOTAL, total))
        yield Execute("timing_add", _params(_TIMING, timing))


def roll(records: Iterable[RecordCounts], sign: int = 1) -> Operation[None]:
    """Add (or with -1 subtract) the counts of records."""
    tally = CountChanges()
    for one in records:
        tally.add(one, sign)
    yield from tally.write()


def _params(names: Sequence[str], rows: Iterable[Sequence[object]]) -> list[Params]:
    """Parameters in a fixed order, so that two collectors on one store cannot deadlock."""
    return [dict(zip(names, row, strict=True)) for row in sorted(rows, key=repr)]


def _add_timings(
    timing: dict[tuple[str, int, str, int], tuple[int, float]], record: RecordCounts, sign: int
) -> None:
    if not record.timings:
        return
    for op, buckets in _timings.decode(record.timings).items():
        for bucket, n, seconds in buckets:
            key = (record.country, record.asn, op, bucket)
            known = timing.get(key, (0, 0.0))
            timing[key] = (known[0] + sign * n, known[1] + sign * seconds)


def sweep() -> Operation[None]:
    """Delete counts that are zero."""
    for name in ("hourly_sweep", "daily_sweep", "total_sweep", "timing_sweep"):
        yield Execute(name, [{}])


def unroll_key(key_id: str) -> Operation[None]:
    """Subtract the counts of every record of one key."""
    after, tally = -1, CountChanges()
    while rows := (yield Query("rolled_of", {"key_id": key_id, "after": after})):
        for row in rows:
            tally.add(RecordCounts(*row[1:]), -1)
        after = rows[-1][0]
    yield from tally.write()
    yield from sweep()
