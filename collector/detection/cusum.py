"""Notice that a rate has fallen for good: a one-sided CUSUM that real noise does not drown.

Each rate becomes z = (ln rate - median) / (1.4826 MAD) against the same part of the day over four
weeks, clipped to 3 either way, and the sum of what lies more than k = 1 below adds up until h = 8.
The textbook's 0.5 and 5 raise a false alarm every two weeks on real noise. While an alarm lasts the
baseline is frozen (7 days at most), or the event would soon be the normal state.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

K, H, CLIP = 1.0, 8.0, 3.0
HISTORY = 28 * 86_400.0
FROZEN = 7 * 86_400.0
PART = 6 * 3600.0  # night, morning, afternoon, evening
LEAST = 8
# A line that repeats itself to the percent would otherwise alarm at every breath.
SPREAD_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class Sum:
    """The state of one series.

    Attributes:
        value: The sum. since: when the running alarm began, or None.
    """

    value: float = 0.0
    since: float | None = None

    @property
    def alarmed(self) -> bool:
        """The series has fallen."""
        return self.since is not None


Point = tuple[float, float]  # (seconds since the epoch, rate in any unit above zero)


def part_of_day(at: float) -> int:
    """Which quarter of the day a moment lies in (UTC: only sameness matters)."""
    return int(at % 86_400.0 // PART)


def baseline(history: Iterable[Point], at: float) -> tuple[float, float] | None:
    """Median and robust spread of ln rate in the same part of the day; None when too little."""
    logs = [
        math.log(rate)
        for when, rate in history
        if at - HISTORY <= when < at and rate > 0 and part_of_day(when) == part_of_day(at)
    ]
    if len(logs) < LEAST:
        return None
    middle = median(logs)
    spread = 1.4826 * median(abs(value - middle) for value in logs)
    return middle, max(spread, SPREAD_LEAST)


def z(rate: float, base: tuple[float, float]) -> float:
    """How far from normal, in robust standard deviations, clipped."""
    middle, spread = base
    return max(-CLIP, min(CLIP, (math.log(rate) - middle) / spread))


def step(state: Sum, score: float, at: float) -> Sum:
    """Add one score; the alarm ends when the sum has come back to nothing."""
    value = min(max(0.0, state.value - score - K), 2 * H)
    if state.alarmed:
        # Come back as fast as it went: a rate at its old level takes two steps' worth away.
        value = max(0.0, value - K) if score > -K else value
        over = value == 0.0 or at - (state.since or at) > FROZEN
        return Sum() if over else replace(state, value=value)
    return Sum(value, at if value > H else None)


def replay(points: Sequence[Point]) -> list[tuple[float, Sum]]:
    """The state after every point of a series, in order of time.

    What was measured during an alarm never becomes history, unless the alarm lasted so long that it
    is the new normal.
    """
    state = Sum()
    states: list[tuple[float, Sum]] = []
    history: list[Point] = []
    held: list[Point] = []
    for at, rate in sorted(point for point in points if point[1] > 0):
        base = baseline(history, at)
        before, state = state, step(state, z(rate, base), at) if base else state
        if state.alarmed:
            held.append((at, rate))
        else:
            if before.since is not None and at - before.since > FROZEN:
                history = held
            history.append((at, rate))
            held = []
        states.append((at, state))
    return states
