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
    """Probes that are always on, and silent only during the cut."""
    times = {
        f"probe{n}": [n * 37.0 + k * HEARTBEAT for k in range(int(days * DAY / HEARTBEAT))]
        for n in range(count)
    }
    first, last = cut or (-1.0, -1.0)
    return {name: [t for t in kept if not first <= t < last] for name, kept in times.items()}


CUT = (29 * DAY + 40_000, 29 * DAY + 47_200)


def test_a_network_that_falls_silent_is_noticed_within_a_quarter_of_an_hour() -> None:
    (alarm,) = replay(boxes(5, 31, CUT), 29 * DAY, 30 * DAY)
    assert 0 < alarm.start - CUT[0] <= 900
    assert alarm.end is not None
    assert 0 <= alarm.end - CUT[1] <= 600
    assert len(alarm.probes) >= 4


def test_a_quiet_day_alarms_nobody() -> None:
    assert replay(boxes(5, 31), 29 * DAY, 30 * DAY) == []


def test_three_machines_that_are_always_on_are_enough() -> None:
    (alarm,) = replay(boxes(3, 31, CUT), 29 * DAY, 30 * DAY)
    assert 0 < alarm.start - CUT[0] <= 900
    assert alarm.probes == {"probe0", "probe1", "probe2"}


def test_who_left_with_the_first_joins_the_alarm() -> None:
    """The alarm comes as soon as most are silent; the last of them was heard a little later."""
    (alarm,) = replay(boxes(10, 31, CUT), 29 * DAY, 30 * DAY)
    assert len(alarm.probes) == 10


def test_leaving_one_after_the_other_is_not_leaving_together() -> None:
    """Five in one hour, each a quarter of an hour after another."""
    beats = {
        name: [t for t in times if t < CUT[0] + 900 * n or t >= CUT[1] + 900 * n]
        for n, (name, times) in enumerate(boxes(5, 31).items())
    }
    assert replay(beats, 29 * DAY, 30 * DAY) == []


def test_a_part_of_the_day_of_which_little_is_known_is_like_the_others() -> None:
    """A laptop that is only ever on in the evening is no stranger at noon, and no box either."""
    evenings = [
        day * DAY + 68_400 + k * HEARTBEAT for day in range(28) for k in range(20 + day % 5)
    ]
    learned = habit(evenings, 28 * DAY)
    assert learned.hazard(68_400.0) < learned.hazard(43_200.0) < learned.hazard(75_600.0)
    assert habit(boxes(1, 28)["probe0"], 28 * DAY).hazard(43_200.0) < 0.001


@pytest.mark.parametrize("gone", [1, 2])
def test_one_or_two_machines_off_never_alarm(gone: int) -> None:
    beats = boxes(gone, 31, CUT)
    assert replay(beats, 29 * DAY, 30 * DAY) == []
    beats.update({f"other{n}": times for n, times in enumerate(boxes(4, 31).values())})
    assert replay(beats, 29 * DAY, 30 * DAY) == []


def test_those_who_always_leave_at_night_are_no_outage() -> None:
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


def test_fewer_than_three_probes_are_too_few_to_say() -> None:
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
    assert 1 / 13 < Habit().hazard(0.0) < 1 / 12  # a stranger stays for two hours


def test_a_heartbeat_counts_for_twelve_minutes() -> None:
    assert seen([100.0], 100.0)
    assert seen([100.0], 800.0)
    assert not seen([100.0], 830.0)
    assert not seen([100.0], 99.0)


def test_an_alarm_lasts_until_half_are_back() -> None:
    alarm = Outage(1000.0, None, frozenset("abcd"), 1e-6)
    nobody = {name: [0.0] for name in "abcd"}
    assert update(alarm, burst(nobody, {}, 5000.0), nobody, 5000.0) == alarm
    half = nobody | {"a": [5000.0], "b": [5000.0]}
    ended = update(alarm, burst(half, {}, 5000.0), half, 5000.0)
    assert ended is not None
    assert ended.end == 5000.0


def test_the_word_shutdown_needs_a_second_source() -> None:
    alarm = Outage(1000.0, 9000.0, frozenset("abc"), 1e-6)
    assert not second_source(alarm, [], [])
    assert second_source(alarm, [Outage(8000.0, None, frozenset("xyz"), 1e-6)], [])
    assert not second_source(alarm, [Outage(9500.0, None, frozenset("xyz"), 1e-6)], [])
    assert second_source(alarm, [], [(2000.0, 3000.0)])
