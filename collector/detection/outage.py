"""Detect from heartbeats that the probes of one network fell silent together.

Home machines go offline all the time: laptops close, power fails. So each probe's own rate of
departures is learned for each part of the day (its habit). An outage needs many departures within
ten minutes beyond what these habits explain: at least three probes, at least 70 % of those present,
and a Poisson-binomial tail below 2e-5. The window is that narrow because a cut stops all probes
between two heartbeats, and a wider one contains more departures that habits explain.

An outage is not yet a shutdown: that needs a second source (`second_source`), either another
network or probes that report afterwards that they were on and cut off. The functions are pure and
take instants as arguments, so that history can be replayed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from probe.analysis.statistics import poisson_binomial_tail

HEARTBEAT = 300.0
# Two missed heartbeats and two minutes of grace. With 900 seconds detection would take 17 minutes.
SEEN = 720.0
# Probes that left together have their last heartbeats in the same two slots of five minutes.
LEAVING = 2 * HEARTBEAT
BEFORE = 1800.0
HISTORY = 28 * 86_400.0
BUCKET = 7200.0
BUCKETS = 12
# In heartbeats: how long an unknown probe is expected to stay, and the weight of the whole day
# against one part of it.
STAYS, WEIGHT = 24, 48
PROBES_LEAST = 3
SHARE = 0.7
# A month has 8,640 steps, so with correct habits at most 0.17 false positives are expected in it.
TAIL = 2e-5
BACK = 0.5


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a probe sent a heartbeat, and how often that was the last one for a while.

    Attributes:
        heartbeats, departures: Counts for each of the twelve two-hour parts of the day (UTC).
    """

    heartbeats: tuple[int, ...] = (0,) * BUCKETS
    departures: tuple[int, ...] = (0,) * BUCKETS

    def hazard(self, at: float) -> float:
        """Probability of a departure within ten minutes at this time of day; never 0 and never 1.

        A part of the day with few heartbeats is smoothed towards the whole day, and a probe without
        history is expected to stay for two hours.
        """
        part = bucket(at)
        usual = (sum(self.departures) + 1) / (sum(self.heartbeats) + STAYS)
        rate = (self.departures[part] + WEIGHT * usual) / (self.heartbeats[part] + WEIGHT)
        return 1.0 - (1.0 - rate) ** int(LEAVING // HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Burst:
    """Which of a network's probes fell silent together, and how likely that is by habit.

    Attributes:
        present: Probes seen ten minutes ago. silent: those of them that are silent now.
    """

    present: frozenset[str]
    silent: frozenset[str]
    tail: float

    @property
    def enough(self) -> bool:
        """Whether there are enough probes for a conclusion."""
        return len(self.present) >= PROBES_LEAST

    @property
    def is_outage(self) -> bool:
        """Whether more probes left at once than their habits explain."""
        return is_many(self.present, self.silent) and self.tail < TAIL


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which most probes of one network were silent; `end` is None while it lasts."""

    start: float
    end: float | None
    probes: frozenset[str]
    tail: float

    @property
    def last(self) -> float:
        """Its end, infinite while it lasts."""
        return self.end if self.end is not None else float("inf")


Beats = Mapping[str, Sequence[float]]
# Those of some probes that speak for an origin each (`collector/standing.py`).
Speakers = Callable[[frozenset[str]], frozenset[str]]


def everybody(probes: frozenset[str]) -> frozenset[str]:
    """Every probe for itself."""
    return probes


def bucket(at: float) -> int:
    """Index of the two-hour part of the day (UTC)."""
    return int(at % 86_400.0 // BUCKET)


def seen(beats: Sequence[float], at: float) -> bool:
    """Whether a heartbeat came in the twelve minutes up to `at`; `beats` is sorted."""
    return bisect_right(beats, at) > bisect_left(beats, at - SEEN)


def habit(beats: Sequence[float], now: float, skip: Iterable[tuple[float, float]] = ()) -> Habit:
    """Learn a probe's habit from the four weeks before `now`, without the times in `skip`."""
    heartbeats, departures = [0] * BUCKETS, [0] * BUCKETS
    outages = tuple(skip)
    known = beats[bisect_left(beats, now - HISTORY) : bisect_left(beats, now)]
    for at, following in pairwise((*known, now)):
        if not any(a <= at <= b for a, b in outages):
            heartbeats[bucket(at)] += 1
            departures[bucket(at)] += following - at > SEEN
    return Habit(tuple(heartbeats), tuple(departures))


def present_and_silent(
    beats: Beats, now: float, speakers: Speakers = everybody
) -> tuple[frozenset[str], frozenset[str]]:
    """The probes of one network that were seen ten minutes ago, and those of them silent now."""
    present = frozenset(p for p, times in beats.items() if seen(times, now - LEAVING))
    silent = frozenset(p for p in present if not seen(beats[p], now))
    if len(silent) < PROBES_LEAST:
        return present, silent  # too few in any case
    present = speakers(present)
    return present, silent & present


def is_many(present: frozenset[str], silent: frozenset[str]) -> bool:
    """Whether the number and share of silent probes suffice for an outage."""
    return len(silent) >= max(PROBES_LEAST, SHARE * len(present))


def burst(
    beats: Beats, habits: Mapping[str, Habit], now: float, speakers: Speakers = everybody
) -> Burst:
    """The probes of one network that fell silent within the last ten minutes."""
    present, silent = present_and_silent(beats, now, speakers)
    if not is_many(present, silent):
        return Burst(present, silent, 1.0)  # no outage in any case, so the tail is not computed
    hazards = [habits.get(probe, Habit()).hazard(now) for probe in sorted(present)]
    return Burst(present, silent, poisson_binomial_tail(hazards, len(silent)))


def update(outage: Outage | None, current: Burst, beats: Beats, now: float) -> Outage | None:
    """The outage after one step: begun, continued, or ended because half of its probes are back.

    Probes that fell silent within ten minutes of its start are added to it.
    """
    if outage is None or outage.end is not None:
        return Outage(now, None, current.silent, current.tail) if current.is_outage else None
    if now - outage.start <= LEAVING:
        outage = replace(outage, probes=outage.probes | current.silent)
    back = sum(seen(beats.get(probe, ()), now) for probe in outage.probes)
    return replace(outage, end=now) if back >= BACK * len(outage.probes) else outage


class Replay:
    """The outages of one network, found step by step as time advances.

    Habits are learned once on each day on which they are needed, without the times of known
    outages.

    Attributes:
        ended: Outages that are over, oldest first. current: the one that lasts, or None.
        speakers: Which of some probes count.
    """

    def __init__(self, start: float, *, step: float = HEARTBEAT) -> None:
        self.ended: list[Outage] = []
        self.current: Outage | None = None
        self.speakers: Speakers = everybody
        self._next, self._step = start, step
        self._habits: dict[str, Habit] = {}
        self._day = -1.0

    @property
    def outages(self) -> list[Outage]:
        """Every outage so far, oldest first."""
        return [*self.ended, *([self.current] if self.current is not None else [])]

    def advance(
        self, beats: Beats, end: float, collector_up: Callable[[float], bool] = lambda _at: True
    ) -> None:
        """Take every step up to `end` at which the collector was up."""
        while self._next <= end:
            if collector_up(self._next):
                self._take_step(beats, self._next)
            self._next += self._step

    def _take_step(self, beats: Beats, now: float) -> None:
        if self.current is None and not is_many(*present_and_silent(beats, now, self.speakers)):
            return
        if now // 86_400.0 != self._day:
            self._day = now // 86_400.0
            past = [(o.start - BEFORE, (o.end or now)) for o in self.ended]
            # Up to an hour ago, so that the present outage is not learned as a habit.
            until = now - 2 * BEFORE
            self._habits = {probe: habit(times, until, past) for probe, times in beats.items()}
        outage = update(self.current, burst(beats, self._habits, now, self.speakers), beats, now)
        if outage is not None and outage.end is not None:
            self.ended.append(outage)
            outage = None
        self.current = outage


def replay(beats: Beats, start: float, end: float, *, step: float = HEARTBEAT) -> list[Outage]:
    """The outages that the collector would have found between `start` and `end`."""
    replayed = Replay(start, step=step)
    replayed.advance(beats, end)
    return replayed.outages


def second_source(
    outage: Outage, others: Iterable[Outage], cut_off: Iterable[tuple[float, float]]
) -> bool:
    """Whether another network's outage, or a time in which a probe was cut off, overlaps it."""
    elsewhere = any(o.start <= outage.last and o.last >= outage.start for o in others)
    return elsewhere or any(overlaps(outage, span) for span in cut_off)


def overlaps(outage: Outage, span: tuple[float, float]) -> bool:
    """Whether a time overlaps an outage, which began up to half an hour before its detection."""
    return span[0] <= outage.last and span[1] >= outage.start - BEFORE
