import math
import random

from collector.detection.cusum import CusumState, RatePoint, baseline, replay, step, z

DAY = 86_400.0


def series(days: int, *, level: float = 1e6, spread: float = 0.2, seed: int = 1) -> list[RatePoint]:
    """Four tests a day with ordinary noise."""
    dice = random.Random(seed)
    return [
        (day * DAY + part * 21_600 + 60, level * math.exp(dice.gauss(0, spread)))
        for day in range(days)
        for part in range(4)
    ]


def alarms(points: list[RatePoint]) -> list[float]:
    return [at for at, state in replay(points) if state.alarmed]


def test_a_year_of_ordinary_noise_raises_no_alarm() -> None:
    assert alarms(series(365)) == []


def test_a_collapse_is_detected_within_five_tests_and_a_halving_within_twelve() -> None:
    start = series(60)
    for ratio, tests in ((0.1, 5), (0.5, 12)):
        after = [(60 * DAY + at, rate * ratio) for at, rate in series(10, seed=2)]
        found = alarms([*start, *after])
        assert found
        position = [at for at, _ in after].index(found[0])
        assert position < tests


def test_an_event_does_not_become_the_baseline_within_a_week() -> None:
    slow = [(60 * DAY + at, rate / 10) for at, rate in series(6, seed=2)]
    found = alarms([*series(60), *slow])
    assert len(found) > 15  # still alarmed on the sixth day


def test_an_alarm_ends_when_the_rate_is_back() -> None:
    slow = [(60 * DAY + at, rate / 10) for at, rate in series(3, seed=2)]
    back = [(63 * DAY + at, rate) for at, rate in series(6, seed=3)]
    states = replay([*series(60), *slow, *back])
    assert not states[-1][1].alarmed


def test_after_a_week_the_new_rate_is_the_baseline() -> None:
    slow = [(60 * DAY + at, rate / 10) for at, rate in series(40, seed=2)]
    states = replay([*series(60), *slow])
    assert not states[-1][1].alarmed


def test_failures_have_no_rate_and_a_short_history_no_baseline() -> None:
    assert replay([(1.0, 0.0), (2.0, -1.0)]) == []
    assert baseline(series(1), 2 * DAY) is None


def test_scores_are_clipped_so_that_one_stall_raises_no_alarm() -> None:
    base = (math.log(1e6), 0.2)
    assert z(1.0, base) == -3.0
    assert z(1e12, base) == 3.0
    once = step(CusumState(), -3.0, 1.0)
    assert once.value == 2.0
    assert not once.alarmed
