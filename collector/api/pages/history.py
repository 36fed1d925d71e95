"""Days of sites on networks, from the counts by day: what a strip shows. Pure, but for `read`.

Rule: a day is shown by shares of measurements that could tell. It is sure where at least half of
them found interference, and a hint where fewer did.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from collector.api.pages.chart import ChartTable
from collector.places import NetworkKey
from collector.store.interface import Operation, Query
from collector.store.measurements import CONCLUSIVE, INTERFERENCE
from collector.web.times import day_text
from collector.web.words import OUTCOMES

_WEIGHT = {outcome: place for place, outcome in enumerate(OUTCOMES)}
DAY = 86_400.0
# A strip has rows of so many days, which fit a phone.
ROW = 28


@dataclass(frozen=True, slots=True)
class DayShown:
    """One day of one site on one network.

    Attributes:
        outcome: The gravest that half of the conclusive measurements found, else that any found,
            else the most frequent one; empty where nothing was measured.
        sure: Whether at least half found it. found, able: how many found it, of how many that could
            tell. mechanisms: those of the day, the most frequent first.
    """

    day: int
    outcome: str = ""
    sure: bool = True
    found: int = 0
    able: int = 0
    mechanisms: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Spell:
    """Days in a row that look the same."""

    first: int
    last: int
    outcome: str
    sure: bool
    found: int
    able: int
    mechanisms: Sequence[str]


@dataclass(slots=True)
class DayCounts:
    """What was counted on one day."""

    outcomes: dict[str, int] = field(default_factory=dict)
    mechanisms: dict[str, int] = field(default_factory=dict)

    def shown(self, day: int) -> DayShown:
        """What the day is shown as."""
        found = [(one, n) for one, n in self.outcomes.items() if n > 0]
        if not found:
            return DayShown(day)
        able = sum(n for one, n in found if one in CONCLUSIVE)
        bad = [(one, n) for one, n in found if one in INTERFERENCE]
        if bad:
            worst, most = min(bad, key=lambda one: (-one[1], _WEIGHT[one[0]]))
            sure = 2 * sum(n for _, n in bad) >= able
            return DayShown(day, worst, sure, most, able, self._means())
        word, _ = max(found, key=lambda one: (one[0] in CONCLUSIVE, one[1]))
        word = word if word in _WEIGHT else "inconclusive"
        return DayShown(day, word, sure=True, found=self.outcomes.get(word, 0), able=able)

    def _means(self) -> tuple[str, ...]:
        """The most frequent mechanisms."""
        means = sorted(self.mechanisms.items(), key=lambda one: -one[1])
        return tuple(word for word, _ in means[:3])


History = Mapping[NetworkKey, Mapping[int, DayCounts]]


def read(target: str, since: int, *, asn: int = -1, mechanisms: bool = True) -> Operation[History]:
    """The days of a site since a day, by network."""
    found: dict[NetworkKey, dict[int, DayCounts]] = defaultdict(lambda: defaultdict(DayCounts))
    rows = yield Query("days_of_target", {"target": target, "since": since, "asn": asn})
    for country, number, day, outcome, n in rows:
        _add(found[country, number][day].outcomes, [(outcome, n)])
    if mechanisms:
        rows = yield Query("mechanisms_of_target", {"target": target, "since": since * DAY})
        for country, number, day, _, words, n in rows:
            if (country, number) in found:
                _add(found[country, number][day].mechanisms, ((one, n) for one in words.split()))
    return found


def _add(sums: dict[str, int], more: Iterable[tuple[str, int]]) -> None:
    """Like `Counter.update`, which takes longer than all else that a page does with days."""
    for word, n in more:
        sums[word] = sums.get(word, 0) + n


def days(of: Mapping[int, DayCounts], since: int, until: int) -> list[DayShown]:
    """Every day of a period, also those on which nothing was measured."""
    return [of[day].shown(day) if day in of else DayShown(day) for day in range(since, until)]


def together(of: Iterable[Mapping[int, DayCounts]]) -> Mapping[int, DayCounts]:
    """The days of several networks as one."""
    every = list(of)
    if len(every) == 1:
        return every[0]
    sums: dict[int, DayCounts] = defaultdict(DayCounts)
    for one in every:
        for day, counts in one.items():
            _add(sums[day].outcomes, counts.outcomes.items())
            _add(sums[day].mechanisms, counts.mechanisms.items())
    return sums


def rows(shown: Sequence[DayShown]) -> list[Sequence[DayShown]]:
    """The days in rows that fit a phone."""
    return [shown[at : at + ROW] for at in range(0, len(shown), ROW)]


def table(
    columns: Sequence[str], of: Iterable[tuple[Sequence[object], Iterable[DayShown]]]
) -> ChartTable:
    """Strips as data: each day that was measured, after what tells its strip from others."""
    rows = [
        (*strip, day_text(one.day), one.outcome, int(one.sure), one.found, one.able, means)
        for strip, days_ in of
        for one in days_
        if one.outcome
        for means in (" ".join(one.mechanisms),)
    ]
    days_columns = ("day", "outcome", "sure", "found", "able", "mechanisms")
    return ChartTable((*columns, *days_columns), rows)


def spells(shown: Iterable[DayShown]) -> list[Spell]:
    """Days in a row that look the same, the newest first; those without a measurement are left."""
    found = []
    for _, group in groupby(shown, lambda one: (one.outcome, one.sure, tuple(one.mechanisms))):
        of = list(group)
        if of[0].outcome:
            found.append(
                Spell(
                    of[0].day,
                    of[-1].day,
                    of[0].outcome,
                    of[0].sure,
                    sum(one.found for one in of),
                    sum(one.able for one in of),
                    of[0].mechanisms,
                )
            )
    return found[::-1]
