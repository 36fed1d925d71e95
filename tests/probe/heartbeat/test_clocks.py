from probe.heartbeat.clocks import Gap, Reading, cut_seconds, gap, read, slept


def at(
    monotonic: float, *, asleep: float = 0.0, boot: str | None = "a", reached: bool = True
) -> Reading:
    passed = monotonic + asleep
    return Reading(
        boot=boot, monotonic=monotonic, booted=passed, wall=1e9 + passed, reached=reached
    )


def test_off_asleep_cut_and_stopped_are_four_different_nights() -> None:
    start = at(100)
    assert gap(start, at(400), every=300) is Gap.NONE
    assert gap(start, at(50, boot="b"), every=300) is Gap.OFF
    assert gap(start, at(160, asleep=30_000), every=300) is Gap.ASLEEP
    assert gap(start, at(30_000), every=300) is Gap.STOPPED
    assert gap(start, at(400, reached=False), every=300) is Gap.CUT


def test_sleep_shows_between_the_clocks_even_without_a_boot_clock() -> None:
    one = Reading(boot=None, monotonic=10, booted=None, wall=1000, reached=True)
    other = Reading(boot=None, monotonic=20, booted=None, wall=4610, reached=True)
    assert slept(one, other) == 3600
    assert gap(one, other, every=300) is Gap.ASLEEP


def test_a_clock_that_is_set_is_no_sleep_where_the_boot_clock_says_better() -> None:
    one = Reading(boot="a", monotonic=10, booted=10, wall=1000, reached=True)
    other = Reading(boot="a", monotonic=310, booted=310, wall=90_000, reached=True)
    assert slept(one, other) == 0


def test_only_time_awake_and_out_of_reach_counts_as_cut() -> None:
    night = [
        at(0),
        at(300, reached=False),
        at(600, reached=False),
        at(660, asleep=20_000, reached=False),
        at(960, asleep=20_000, reached=False),
        at(1260, asleep=20_000),
    ]
    assert cut_seconds(night, every=300) == 300 + 300 + 300 + 300


def test_this_machine_has_clocks() -> None:
    reading = read(reached=True)
    assert reading.monotonic > 0
    assert gap(reading, read(reached=True), every=300) is Gap.NONE
