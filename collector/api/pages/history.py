"""Days of sites on networks, from the counts by day: what a strip shows. Pure, but for `read`.

Rule: a day is shown by shares of measurements that could tell. It is sure where at least half of
them found interference, and a hint where fewer did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from collector.places import NetworkKey
from collector.store.interface import Operation, Query
from collector.store.measurements import CONCLUSIVE, INTERFERENCE
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


@dataclass
class DayCounts:
    """What was counted on one day."""

    outcomes: Counter[str] = field(default_factory=Counter)
    mechanisms: Counter[str] = field(default_factory=Counter)

    def shown(self, day: int) -> DayShown:
        """What the day is shown as."""
        able = sum(self.outcomes[one] for one in CONCLUSIVE)
        bad = [one for one in INTERFERENCE if self.outcomes[one]]
        found = [one for one in self.outcomes if self.outcomes[one] > 0]
        if not found:
            return DayShown(day)
        if bad:
            worst = min(bad, key=lambda one: (-self.outcomes[one], _WEIGHT[one]))
            all_bad = sum(self.outcomes[one] for one in bad)
            means = tuple(word for word, _ in self.mechanisms.most_common(3))
            return DayShown(day, worst, 2 * all_bad >= able, self.outcomes[worst], able, means)
        most = max(found, key=lambda one: (one in CONCLUSIVE, self.outcomes[one]))
        most = most if most in _WEIGHT else "inconclusive"
        return DayShown(day, most, sure=True, found=self.outcomes[most], able=able)


History = Mapping[NetworkKey, Mapping[int, DayCounts]]


def read(target: str, since: int, *, asn: int = -1, mechanisms: bool = True) -> Operation[History]:
    """The days of a site since a day, by network."""
    found: dict[NetworkKey, dict[int, DayCounts]] = defaultdict(lambda: defaultdict(DayCounts))
    rows = yield Query("days_of_target", {"target": target, "since": since, "asn": asn})
    for country, number, day, outcome, n in rows:
        found[country, number][day].outcomes[outcome] += n
    if mechanisms:
        rows = yield Query("mechanisms_of_target", {"target": target, "since": since * DAY})
        for country, number, day, _, words, n in rows:
            if (country, number) in found:
                found[country, number][day].mechanisms.update(dict.fromkeys(words.split(), n))
    return found


def days(of: Mapping[int, DayCounts], since: int, until: int) -> list[DayShown]:
    """Every day of a period, also those on which nothing was measured."""
    return [of[day].shown(day) if day in of else DayShown(day) for day in range(since, until)]


def together(of: Iterable[Mapping[int, DayCounts]]) -> dict[int, DayCounts]:
    """The days of several networks as one."""
    sums: dict[int, DayCounts] = defaultdict(DayCounts)
    for one in of:
        for day, counts in one.items():
            sums[day].outcomes.update(counts.outcomes)
            sums[day].mechanisms.update(counts.mechanisms)
    return sums


def rows(shown: Sequence[DayShown]) -> list[Sequence[DayShown]]:
    """The days in rows that fit a phone."""
    return [shown[at : at + ROW] for at in range(0, len(shown), ROW)]


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
