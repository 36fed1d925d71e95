"""Notice that a network has gone silent, from the heartbeats of a handful of home machines.

Home machines leave all the time: laptops close, power fails. So each probe's own habit is learned
(how likely it falls silent in this part of the day), and an alarm needs many leaving at once beyond
what these habits explain: at least three, at least 70 % of those present, and a Poisson-binomial
tail under one in fifty thousand. At once means within ten minutes: a cut takes everybody between
two heartbeats, and the narrower the window, the less of it is explained by people going to bed.
Pure functions over times, so that history can be replayed.

An alarm is not yet a shutdown. That word needs a second source: another network, or the spools that
arrive afterwards and say "awake, and cut off" (`second_source`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from probe.analysis.statistics import poisson_binomial_tail

HEARTBEAT = 300.0
# Two heartbeats missed and two minutes of grace: a quarter of an hour would alarm after 17 minutes.
SEEN = 720.0
# Whoever left together has a last heartbeat in the same two places of five minutes.
LEAVING = 2 * HEARTBEAT
BEFORE = 1800.0
HISTORY = 28 * 86_400.0
BUCKET = 7200.0
BUCKETS = 12
# In heartbeats: how long a stranger stays, and how much the whole day weighs against a part of it.
STAYS, WEIGHT = 24, 48
PROBES_LEAST = 3
SHARE = 0.7
# There are 8,640 looks in a month: if habits are right, 0.17 false alarms in it at the very most.
TAIL = 2e-5
BACK = 0.5


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a probe was heard, and how often that was the last time for a while.

    Attributes:
        looked, left: Counts of heartbeats in each of the twelve two-hour parts of the day (UTC).
    """

    looked: tuple[int, ...] = (0,) * BUCKETS
    left: tuple[int, ...] = (0,) * BUCKETS

    def hazard(self, at: float) -> float:
        """Chance of leaving within ten minutes at this time of day; never 0 and never 1.

        A part of the day of which little is known is taken to be like the others, and a probe of
        which nothing is known to stay for two hours.
        """
        part = bucket(at)
        usual = (sum(self.left) + 1) / (sum(self.looked) + STAYS)
        rate = (self.left[part] + WEIGHT * usual) / (self.looked[part] + WEIGHT)
        return 1.0 - (1.0 - rate) ** int(LEAVING // HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Burst:
    """How many of a network's probes fell silent together, and how likely that is by habit.

    Attributes:
        present: Probes seen ten minutes ago. silent: those of them that are silent now.
        enough: There are enough probes to say anything at all.
    """

    present: frozenset[str]
    silent: frozenset[str]
    tail: float

    @property
    def enough(self) -> bool:
        """Fewer than three probes say nothing."""
        return len(self.present) >= PROBES_LEAST

    @property
    def alarms(self) -> bool:
        """Too many left at once for their habits."""
        many = len(self.silent) >= PROBES_LEAST
        return many and len(self.silent) >= SHARE * len(self.present) and self.tail < TAIL


@dataclass(frozen=True, slots=True)
class Outage:
    """An alarm of one network; `end` is None while it lasts."""

    start: float
    end: float | None
    probes: frozenset[str]
    tail: float


Beats = Mapping[str, Sequence[float]]


def bucket(at: float) -> int:
    """Which two-hour part of the day a moment lies in."""
    return int(at % 86_400.0 // BUCKET)


def seen(beats: Sequence[float], at: float) -> bool:
    """A heartbeat came in the twelve minutes up to `at`. `beats` is sorted."""
    return bisect_right(beats, at) > bisect_left(beats, at - SEEN)


def habit(beats: Sequence[float], now: float, skip: Iterable[tuple[float, float]] = ()) -> Habit:
    """Learn a probe's habit from four weeks before `now`, times of known outages left out."""
    looked, left = [0] * BUCKETS, [0] * BUCKETS
    outages = tuple(skip)
    known = beats[bisect_left(beats, now - HISTORY) : bisect_left(beats, now)]
    for at, following in pairwise((*known, now)):
        if not any(a <= at <= b for a, b in outages):
            looked[bucket(at)] += 1
            left[bucket(at)] += following - at > SEEN
    return Habit(tuple(looked), tuple(left))


def fallen(beats: Beats, now: float) -> tuple[frozenset[str], frozenset[str]]:
    """Who of one network was there ten minutes ago, and who of them is silent now."""
    present = frozenset(p for p, times in beats.items() if seen(times, now - LEAVING))
    return present, frozenset(p for p in present if not seen(beats[p], now))


def many(present: frozenset[str], silent: frozenset[str]) -> bool:
    """So many that their habits matter at all."""
    return len(silent) >= max(PROBES_LEAST, SHARE * len(present))


def burst(beats: Beats, habits: Mapping[str, Habit], now: float) -> Burst:
    """Who of one network fell silent just now."""
    present, silent = fallen(beats, now)
    if not many(present, silent):
        return Burst(present, silent, 1.0)  # no alarm whatever the habits: spare the sum
    hazards = [habits.get(probe, Habit()).hazard(now) for probe in sorted(present)]
    return Burst(present, silent, poisson_binomial_tail(hazards, len(silent)))


def follow(alarm: Outage | None, seen_now: Burst, beats: Beats, now: float) -> Outage | None:
    """The alarm after this step: begun, kept, or ended because half of its probes are back.

    Whoever left with the first of them, and was not yet known to be silent, joins them.
    """
    if alarm is None or alarm.end is not None:
        return Outage(now, None, seen_now.silent, seen_now.tail) if seen_now.alarms else None
    if now - alarm.start <= LEAVING:
        alarm = replace(alarm, probes=alarm.probes | seen_now.silent)
    back = sum(seen(beats.get(probe, ()), now) for probe in alarm.probes)
    return replace(alarm, end=now) if back >= BACK * len(alarm.probes) else alarm


def _always(_at: float) -> bool:
    return True


class Replay:
    """One network's alarms, as the collector finds them while time goes on.

    Habits are learned anew on each day on which they matter, with the times of known outages left
    out.

    Attributes:
        found: Alarms that are over, oldest first. alarm: the one that lasts, or None.
    """

    def __init__(self, start: float, *, step: float = HEARTBEAT) -> None:
        self.found: list[Outage] = []
        self.alarm: Outage | None = None
        self._next, self._step = start, step
        self._habits: dict[str, Habit] = {}
        self._day = -1.0

    @property
    def alarms(self) -> list[Outage]:
        """Every alarm so far, oldest first."""
        return [*self.found, *([self.alarm] if self.alarm is not None else [])]

    def advance(self, beats: Beats, end: float, awake: Callable[[float], bool] = _always) -> None:
        """Go on to `end`. Where nobody listened (`awake`), nobody was silent."""
        while self._next <= end:
            if awake(self._next):
                self._look(beats, self._next)
            self._next += self._step

    def _look(self, beats: Beats, now: float) -> None:
        if self.alarm is None and not many(*fallen(beats, now)):
            return
        if now // 86_400.0 != self._day:
            self._day = now // 86_400.0
            past = [(o.start - BEFORE, (o.end or now)) for o in self.found]
            # Up to an hour ago: what is happening now is nobody's habit.
            until = now - 2 * BEFORE
            self._habits = {probe: habit(times, until, past) for probe, times in beats.items()}
        alarm = follow(self.alarm, burst(beats, self._habits, now), beats, now)
        if alarm is not None and alarm.end is not None:
            self.found.append(alarm)
            alarm = None
        self.alarm = alarm


def replay(beats: Beats, start: float, end: float, *, step: float = HEARTBEAT) -> list[Outage]:
    """Go through history as the collector would have."""
    replayed = Replay(start, step=step)
    replayed.advance(beats, end)
    return replayed.alarms


def second_source(
    alarm: Outage, others: Iterable[Outage], cut: Iterable[tuple[float, float]]
) -> bool:
    """Something else says the same: another network's alarm, or spools that say "cut off"."""
    last = alarm.end if alarm.end is not None else float("inf")
    elsewhere = any(o.start <= last and (o.end or float("inf")) >= alarm.start for o in others)
    return elsewhere or any(a <= last and b >= alarm.start - BEFORE for a, b in cut)
