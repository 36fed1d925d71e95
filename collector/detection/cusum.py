"""Detect that a rate has fallen for good (a change point), by a one-sided CUSUM.

Each rate becomes z = (ln rate - median) / (1.4826 MAD) against the same part of the day over four
weeks, clipped to ±3. The sum of what lies more than k = 1 below raises an alarm at h = 8; the usual
0.5 and 5 give a false positive every two weeks on real noise. During an alarm, but at most for 7
days, the baseline is frozen, since otherwise the event would become the baseline.
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
# On a line with almost constant rates every small change would raise an alarm.
SPREAD_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class CusumState:
    """The state of one series.

    Attributes:
        value: The sum. since: when the present alarm began, or None.
    """

    value: float = 0.0
    since: float | None = None

    @property
    def alarmed(self) -> bool:
        """Whether the series has fallen."""
        return self.since is not None


RatePoint = tuple[float, float]  # (seconds since the epoch, rate in any unit above zero)


def part_of_day(at: float) -> int:
    """Index of the quarter of the day (UTC, since only equality matters)."""
    return int(at % 86_400.0 // PART)


def baseline(history: Iterable[RatePoint], at: float) -> tuple[float, float] | None:
    """Median and robust spread of ln rate in the same part of the day; None with too few points."""
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
    """Distance from the baseline in robust standard deviations, clipped."""
    middle, spread = base
    return max(-CLIP, min(CLIP, (math.log(rate) - middle) / spread))


def step(state: CusumState, score: float, at: float) -> CusumState:
    """Add one score; the alarm ends when the sum is zero again."""
    value = min(max(0.0, state.value - score - K), 2 * H)
    if state.alarmed:
        # A rate at its old level subtracts k twice, so that recovery is as fast as detection.
        value = max(0.0, value - K) if score > -K else value
        over = value == 0.0 or at - (state.since or at) > FROZEN
        return CusumState() if over else replace(state, value=value)
    return CusumState(value, at if value > H else None)


def replay(points: Sequence[RatePoint]) -> list[tuple[float, CusumState]]:
    """The state after every point of a series, in order of time.

    Points during an alarm are not added to the history, unless the alarm lasted so long that they
    are the new baseline.
    """
    state = CusumState()
    states: list[tuple[float, CusumState]] = []
    history: list[RatePoint] = []
    held: list[RatePoint] = []
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
