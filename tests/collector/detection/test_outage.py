import random

import pytest

from collector.detection.outage import (
    HEARTBEAT,
    Habit,
    Outage,
    burst,
    habit,
    replay,
    second_source,
    seen,
    update,
)

DAY = 86_400.0


def boxes(count: int, days: int, cut: tuple[float, float] | None = None) -> dict[str, list[float]]:
    """Heartbeats of probes that are always on, with none during the cut."""
    times = {
        f"probe{n}": [n * 37.0 + k * HEARTBEAT for k in range(int(days * DAY / HEARTBEAT))]
        for n in range(count)
    }
    first, last = cut or (-1.0, -1.0)
    return {name: [t for t in kept if not first <= t < last] for name, kept in times.items()}


CUT = (29 * DAY + 40_000, 29 * DAY + 47_200)


def test_an_outage_is_detected_within_a_quarter_of_an_hour() -> None:
    (outage,) = replay(boxes(5, 31, CUT), 29 * DAY, 30 * DAY)
    assert 0 < outage.start - CUT[0] <= 900
    assert outage.end is not None
    assert 0 <= outage.end - CUT[1] <= 600
    assert len(outage.probes) >= 4


def test_a_quiet_day_has_no_outage() -> None:
    assert replay(boxes(5, 31), 29 * DAY, 30 * DAY) == []


def test_three_machines_that_are_always_on_are_enough() -> None:
    (outage,) = replay(boxes(3, 31, CUT), 29 * DAY, 30 * DAY)
    assert 0 < outage.start - CUT[0] <= 900
    assert outage.probes == {"probe0", "probe1", "probe2"}


def test_probes_that_fall_silent_with_the_first_join_the_outage() -> None:
    """An outage is detected as soon as most are silent; some fall silent a little later."""
    (outage,) = replay(boxes(10, 31, CUT), 29 * DAY, 30 * DAY)
    assert len(outage.probes) == 10


def test_departures_one_after_the_other_are_no_outage() -> None:
    """Five in one hour, each a quarter of an hour after another."""
    beats = {
        name: [t for t in times if t < CUT[0] + 900 * n or t >= CUT[1] + 900 * n]
        for n, (name, times) in enumerate(boxes(5, 31).items())
    }
    assert replay(beats, 29 * DAY, 30 * DAY) == []


def test_a_part_of_the_day_without_history_is_smoothed_towards_the_others() -> None:
    """At noon the hazard of an evening laptop lies between that of evening and night."""
    evenings = [
        day * DAY + 68_400 + k * HEARTBEAT for day in range(28) for k in range(20 + day % 5)
    ]
    learned = habit(evenings, 28 * DAY)
    assert learned.hazard(68_400.0) < learned.hazard(43_200.0) < learned.hazard(75_600.0)
    assert habit(boxes(1, 28)["probe0"], 28 * DAY).hazard(43_200.0) < 0.001


@pytest.mark.parametrize("gone", [1, 2])
def test_one_or_two_silent_machines_are_no_outage(gone: int) -> None:
    beats = boxes(gone, 31, CUT)
    assert replay(beats, 29 * DAY, 30 * DAY) == []
    beats.update({f"other{n}": times for n, times in enumerate(boxes(4, 31).values())})
    assert replay(beats, 29 * DAY, 30 * DAY) == []


def test_probes_that_leave_every_night_are_no_outage() -> None:
    dice = random.Random(1)
    beats = {
        f"laptop{n}": sorted(
            day * DAY + 64_800 + k * HEARTBEAT + dice.uniform(0, 60)
            for day in range(31)
            for k in range(48 + dice.randrange(-3, 3))
        )
        for n in range(4)
    }
    assert replay(beats, 29 * DAY, 30 * DAY) == []


def test_fewer_than_three_probes_are_too_few() -> None:
    beats = boxes(2, 2)
    found = burst(beats, {}, 1.5 * DAY)
    assert not found.enough
    assert not found.is_outage


def test_a_habit_is_learned_for_each_part_of_the_day_and_outages_are_left_out() -> None:
    times = boxes(1, 30, CUT)["probe0"]
    now = 30 * DAY
    part = CUT[0] + 600
    with_it = habit(times, now).hazard(part)
    without = habit(times, now, [(CUT[0] - 1800, CUT[1])]).hazard(part)
    assert without < with_it
    assert 1 / 13 < Habit().hazard(0.0) < 1 / 12  # it stays for two hours


def test_a_heartbeat_counts_for_twelve_minutes() -> None:
    assert seen([100.0], 100.0)
    assert seen([100.0], 800.0)
    assert not seen([100.0], 830.0)
    assert not seen([100.0], 99.0)


def test_an_outage_lasts_until_half_of_its_probes_are_back() -> None:
    outage = Outage(1000.0, None, frozenset("abcd"), 1e-6)
    none_back = {name: [0.0] for name in "abcd"}
    assert update(outage, burst(none_back, {}, 5000.0), none_back, 5000.0) == outage
    half = none_back | {"a": [5000.0], "b": [5000.0]}
    ended = update(outage, burst(half, {}, 5000.0), half, 5000.0)
    assert ended is not None
    assert ended.end == 5000.0


def test_second_sources() -> None:
    outage = Outage(1000.0, 9000.0, frozenset("abc"), 1e-6)
    assert not second_source(outage, [], [])
    assert second_source(outage, [Outage(8000.0, None, frozenset("xyz"), 1e-6)], [])
    assert not second_source(outage, [Outage(9500.0, None, frozenset("xyz"), 1e-6)], [])
    assert second_source(outage, [], [(2000.0, 3000.0)])
