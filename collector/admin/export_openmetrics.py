"""History for Prometheus: samples with times of their own, in the format OpenMetrics 1.0.

Rule: a sample lies where something was measured, not where it arrived, so that late records are
found in their hour. It is made of what is kept for ever: the counts by hour, and the events. Only
hours that are over are told. A sample is at the end of its hour, a whole hour, which is where a
panel with steps of hours looks.
"""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from typing import NamedTuple

from collector.events.model import EventState
from collector.events.reconcile import StoredEvent
from collector.events.storage import all_events
from collector.metrics.exposition import braced
from collector.store import Store, hourly
from collector.store.hourly import FIRST, HourlyCount, HourlySelection
from collector.store.queries import Selection

JOB = "qazprobe-history"
_HOUR = 3600
_PAGE = 5000
_CONFIRMED = frozenset({EventState.CONFIRMED, EventState.ENDED})


class _Counter(NamedTuple):
    """A counter, by which of the counts it adds up."""

    name: str
    help: str
    labels: tuple[str, ...]


COUNTERS = (
    _Counter(
        "qazprobe_measurements",
        "Measurements stored, by the collector's verdict and the hour in which they were made.",
        ("experiment", "outcome", "country", "asn"),
    ),
    _Counter(
        "qazprobe_target_measurements",
        "Measurements of each target, by the collector's verdict and the hour they were made in.",
        ("target", "country", "asn", "outcome"),
    ),
)
EVENT_ACTIVE = "qazprobe_event_active"
_SCHEMA = "CREATE TABLE n (family INTEGER, labels TEXT, hour INTEGER, n INTEGER, \
PRIMARY KEY (family, labels, hour)) WITHOUT ROWID"
_ADD = "INSERT INTO n VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"


async def openmetrics(
    store: Store, wanted: Selection, *, now: float, labels: Mapping[str, str]
) -> AsyncIterator[bytes]:
    """Yield the pieces of a file for `promtool tsdb create-blocks-from openmetrics`.

    Args:
        wanted: Its times are rounded down to hours; only targets and networks select further.
        labels: Of every series.
    """
    first, last = int(wanted.since // _HOUR), int(min(wanted.until, now) // _HOUR)
    # A database without a name is a temporary file that is gone when it is closed.
    with closing(sqlite3.connect("", isolation_level=None)) as sums:
        sums.execute(_SCHEMA)
        sums.execute("BEGIN")
        async for page in _counts(store, wanted, last):
            sums.executemany(_ADD, _rows(page, labels))
        for number, counter in enumerate(COUNTERS):
            yield _head(counter.name, counter.help, "counter")
            for piece in _pieces(_counted(sums, number, first)):
                yield piece
    yield _head(EVENT_ACTIVE, "Confirmed events that were under way.", "gauge")
    events = await store.read(all_events(), slow=True)
    for piece in _pieces(_active(events, wanted, (first, last), labels)):
        yield piece
    yield b"# EOF\n"


async def _counts(store: Store, wanted: Selection, last: int) -> AsyncIterator[list[HourlyCount]]:
    """All counts before an hour: what was before the first one is where a counter begins."""
    selection = HourlySelection(
        targets=[wanted.target] if wanted.target else None,
        country=wanted.country,
        asn=wanted.asn,
        experiment="",
        outcome="",
        since=0,
        until=last,
    )
    after = FIRST
    while page := await store.read(hourly.page(selection, after=after, limit=_PAGE), slow=True):
        yield page
        after = page[-1][:6]


def _rows(
    page: Iterable[HourlyCount], labels: Mapping[str, str]
) -> Iterator[tuple[int, str, int, int]]:
    for one in page:
        values = one._asdict()
        for number, counter in enumerate(COUNTERS):
            own = {name: str(values[name]) for name in counter.labels}
            yield number, _braces({**own, **labels}), one.hour, one.n


def _counted(sums: sqlite3.Connection, number: int, first: int) -> Iterator[str]:
    """The samples of a counter: series after series, each in the order of time."""
    name = f"{COUNTERS[number].name}_total"
    rows = sums.execute(
        "SELECT labels, hour, n FROM n WHERE family = ? ORDER BY labels, hour", (number,)
    )
    for labels, hours in groupby(rows, key=lambda row: row[0]):
        so_far, begun = 0, False
        for _, hour, n in hours:
            if hour >= first and not begun:
                # Where it begins, so that what is added in the first hour is an increase.
                yield f"{name}{labels} {so_far} {hour * _HOUR}\n"
                begun = True
            so_far += n
            if hour >= first:
                yield f"{name}{labels} {so_far} {(hour + 1) * _HOUR}\n"


def _active(
    events: Iterable[StoredEvent],
    wanted: Selection,
    hours: tuple[int, int],
    labels: Mapping[str, str],
) -> Iterator[str]:
    """How many confirmed events were under way at each whole hour, from their brackets."""
    changes: dict[str, Counter[int]] = {}
    for one in events:
        event = one.event
        if event.state not in _CONFIRMED or not _is_wanted(one, wanted):
            continue
        own = {"kind": event.kind, "country": event.country, "asn": str(event.asn)}
        series = changes.setdefault(_braces({**own, **labels}), Counter())
        series[_next_hour(event.began.by)] += 1
        if event.ended is not None:
            series[_next_hour(event.ended.by)] -= 1
    for series_labels, found in sorted(changes.items()):
        active = sum(n for hour, n in found.items() if hour < hours[0])
        for hour in range(max(hours[0], min(found)), hours[1] + 1):
            active += found[hour]
            if active:
                yield f"{EVENT_ACTIVE}{series_labels} {active} {hour * _HOUR}\n"


def _is_wanted(one: StoredEvent, wanted: Selection) -> bool:
    event = one.event
    return (
        wanted.target in {"", event.target}
        and wanted.country in {"", event.country}
        and wanted.asn in {-1, event.asn}
    )


def _next_hour(at: float) -> int:
    """The first whole hour that is not before an instant."""
    return -int(-at // _HOUR)


def _head(name: str, help_: str, kind: str) -> bytes:
    return f"# HELP {name} {help_}\n# TYPE {name} {kind}\n".encode()


def _braces(labels: Mapping[str, str]) -> str:
    return braced(tuple(labels), tuple(labels.values()))


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines, some thousands at a time."""
    found: list[str] = []
    for line in lines:
        found.append(line)
        if len(found) == _PAGE:
            yield "".join(found).encode()
            found.clear()
    yield "".join(found).encode()
