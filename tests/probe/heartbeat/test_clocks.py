from itertools import pairwise

from probe.heartbeat.clocks import Gap, Reading, gap, read, slept


def at(
    monotonic: float, *, asleep: float = 0.0, boot: str | None = "a", reached: bool = True
) -> Reading:
    passed = monotonic + asleep
    return Reading(
        boot=boot, monotonic=monotonic, booted=passed, wall=1e9 + passed, reached=reached
    )


def test_off_asleep_cut_and_stopped_are_distinguished() -> None:
    start = at(100)
    assert gap(start, at(400), every=300) is Gap.NONE
    assert gap(start, at(50, boot="b"), every=300) is Gap.OFF
    assert gap(start, at(160, asleep=30_000), every=300) is Gap.ASLEEP
    assert gap(start, at(30_000), every=300) is Gap.STOPPED
    assert gap(start, at(400, reached=False), every=300) is Gap.CUT


def test_sleep_is_derived_from_the_wall_clock_without_a_boot_clock() -> None:
    one = Reading(boot=None, monotonic=10, booted=None, wall=1000, reached=True)
    other = Reading(boot=None, monotonic=20, booted=None, wall=4610, reached=True)
    assert slept(one, other) == 3600
    assert gap(one, other, every=300) is Gap.ASLEEP


def test_a_wall_clock_change_is_not_sleep_with_a_boot_clock() -> None:
    one = Reading(boot="a", monotonic=10, booted=10, wall=1000, reached=True)
    other = Reading(boot="a", monotonic=310, booted=310, wall=90_000, reached=True)
    assert slept(one, other) == 0


def test_only_time_awake_and_disconnected_is_cut() -> None:
    night = [
        at(0),
        at(300, reached=False),
        at(600, reached=False),
        at(660, asleep=20_000, reached=False),
        at(960, asleep=20_000, reached=False),
        at(1260, asleep=20_000),
    ]
    gaps = [gap(one, other, every=300) for one, other in pairwise(night)]
    assert gaps == [Gap.CUT, Gap.CUT, Gap.ASLEEP, Gap.CUT, Gap.CUT]


def test_the_clocks_of_this_machine_are_read() -> None:
    reading = read(reached=True)
    assert reading.monotonic > 0
    assert gap(reading, read(reached=True), every=300) is Gap.NONE
