"""How much of what should always answer was reached from each country, hour by hour."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.api.http import instant_text
from collector.api.pages import page
from collector.api.pages.chart import ChartTable
from collector.standing import Standings
from collector.store import Operation
from collector.store.interface import Query, Rows
from collector.web.time_axis import TimeAxis

HOUR = 3600.0


class ReachedShares(NamedTuple):
    """Mean shares of anchors that answered in an hour (None: not measured), by how many probes."""

    domestic: float | None
    foreign: float | None
    probes: int


@dataclass(frozen=True, slots=True)
class ReachedByHour:
    """What a country's probes reached in each of the last hours; None where too few measured."""

    country: str
    hours: Sequence[ReachedShares | None]
    since: float

    @property
    def axis(self) -> TimeAxis:
        """The time that the hours are of."""
        return TimeAxis(self.since, self.since + len(self.hours) * HOUR)

    @property
    def domestic(self) -> list[tuple[float, float]]:
        """Each share in the country with the beginning of its hour."""
        return [(at, of.domestic) for at, of in self._each() if of.domestic is not None]

    @property
    def foreign(self) -> list[tuple[float, float]]:
        """The same abroad."""
        return [(at, of.foreign) for at, of in self._each() if of.foreign is not None]

    def _each(self) -> list[tuple[float, ReachedShares]]:
        hours = enumerate(self.hours)
        return [(self.since + n * HOUR, of) for n, of in hours if of is not None]


def read_reached(hour: int, hours: int) -> Operation[Rows]:
    """What each key reached on average in each of the last hours."""
    return (yield Query("reached_by_hour", {"since": (hour - hours + 1) * HOUR}))


def reached_by_hour(
    rows: Rows, hour: int, hours: int, *, standings: Standings, least: int
) -> list[ReachedByHour]:
    """The hours of each country, by the keys that count.

    Args:
        rows: Of `read_reached`.
        least: With fewer keys in an hour it is left out, so that a reader does not see when the
            only probe was on.
    """
    first = hour - hours + 1
    found: dict[str, dict[int, list[tuple[float | None, float | None]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for at, country, key_id, foreign, domestic in rows:
        if first <= at <= hour and standings.is_trusted(key_id):
            found[country][at - first].append((domestic, foreign))
    shown = [
        ReachedByHour(country, [_shares(of.get(n, ()), least) for n in range(hours)], first * HOUR)
        for country, of in sorted(found.items())
    ]
    return [one for one in shown if any(one.hours)]


def _shares(
    measured: Sequence[tuple[float | None, float | None]], least: int
) -> ReachedShares | None:
    if not measured or len(measured) < least:
        return None
    domestic, foreign = (page.mean(one[n] for one in measured) for n in (0, 1))
    return ReachedShares(domestic, foreign, len(measured))


def reached_table(reached: Iterable[ReachedByHour]) -> ChartTable:
    """The same as rows."""
    rows = [
        (one.country, instant_text(one.since + n * HOUR), *of)
        for one in reached
        for n, of in enumerate(one.hours)
        if of is not None
    ]
    return ChartTable(("country", "hour", "domestic", "foreign", "probes"), rows)
