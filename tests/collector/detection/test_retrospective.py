"""What three laptops tell afterwards is heard, though their silence was not."""

from collections.abc import Sequence

from collector.detection.outage import Outage
from collector.detection.retrospective import told
from collector.detection.shutdown import Watched

DAY = 86_400.0
NOW = 30 * DAY
DARK = (NOW - 6 * 3600.0, NOW - 4 * 3600.0)
PLACE = ("KZ", 9198)
Spans = Sequence[tuple[float, float]]


def heard(spans: Spans) -> list[float]:
    """A beat in every five minutes of these times."""
    return [
        place * 300.0 + 150.0
        for begin, end in spans
        for place in range(int(begin // 300), int(end // 300))
    ]


def every(keys: str, *spans: tuple[float, float]) -> dict[str, Spans]:
    return dict.fromkeys(keys, spans)


def town(
    cut: dict[str, Spans], awake: dict[str, Spans], missed: dict[str, Spans] | None = None
) -> Watched:
    keys = {*cut, *awake}
    return Watched(
        homes=dict.fromkeys(keys, PLACE),
        beats={key: heard(awake.get(key, ())) for key in keys},
        cut=cut,
        missed=missed or {},
    )


# Four hours of each of the last ten evenings, up to the darkness and after it.
EVENINGS = [(NOW - n * DAY - 5 * 3600.0, NOW - n * DAY - 3600.0) for n in range(2, 12)]
BEFORE, AFTER = (DARK[0] - 3600.0, DARK[0]), (DARK[1], NOW)
LAPTOP = [*EVENINGS, BEFORE, AFTER]


def seen(watched: Watched, *alarms: Outage) -> list[tuple[int, float, float | None, int, int]]:
    events = told(watched, {PLACE: alarms}, since=NOW - 7 * DAY)
    assert all((one.kind, one.sources) == ("shutdown", ("spool",)) for one in events)
    return [(e.asn, e.started_at, e.ended_at, e.probes, e.judging) for e in events]


def test_three_laptops_that_were_awake_and_cut_off_make_a_shutdown() -> None:
    watched = town(every("abc", DARK), every("abc", *LAPTOP))
    assert seen(watched) == [(0, *DARK, 3, 3), (9198, *DARK, 3, 3)]


def test_what_an_alarm_found_is_left_to_it() -> None:
    watched = town(every("abc", DARK), every("abc", *LAPTOP))
    alarm = Outage(DARK[0] + 720, DARK[1] + 300, frozenset("abc"), 1e-6)
    assert [asn for asn, *_ in seen(watched, alarm)] == [0]


def test_three_that_nobody_knew_before_prove_nothing() -> None:
    assert seen(town(every("abc", DARK), {})) == []
    assert seen(town(every("abc", DARK), every("abc", AFTER))) == []


def test_two_are_too_few() -> None:
    watched = town(every("ab", DARK), every("abc", *LAPTOP))
    assert seen(watched) == []


def test_who_was_heard_meanwhile_speaks_against_it() -> None:
    boxes = every("xy", (NOW - 10 * DAY, NOW))
    watched = town(every("abc", DARK), {**every("abc", *LAPTOP), **boxes})
    assert seen(watched) == []  # three of five


def test_who_reached_everything_but_us_speaks_against_it_too() -> None:
    watched = town(
        every("abc", DARK),
        every("abcxy", *LAPTOP),
        every("xy", DARK),
    )
    assert seen(watched) == []


def test_who_was_asleep_says_nothing() -> None:
    watched = town(every("abc", DARK), every("abcxyz", *LAPTOP))
    assert [one[3:] for one in seen(watched)] == [(3, 3), (3, 3)]


def test_laptops_that_are_often_without_a_line_are_no_news() -> None:
    """On trains every evening: half of their waking time is cut off."""
    trains = [(begin + 3600.0, begin + 3 * 3600.0) for begin, _ in EVENINGS]
    homes = [part for a, b in EVENINGS for part in ((a, a + 3600.0), (b - 3600.0, b))]
    watched = town(every("abc", *trains, DARK), every("abc", *homes, BEFORE, AFTER))
    assert DARK[0] not in {began for _, began, *_ in seen(watched)}


def test_a_moment_is_no_shutdown_and_a_moment_of_light_no_end() -> None:
    moment = [(DARK[0], DARK[0] + 300.0)]
    watched = town(every("abc", *moment), every("abc", *LAPTOP))
    assert seen(watched) == []
    middle = DARK[0] + 3600.0
    twice = [(DARK[0], middle), (middle + 600.0, DARK[1])]
    watched = town(every("abc", *twice), every("abc", *LAPTOP))
    assert [one[1:3] for one in seen(watched)] == [DARK, DARK]
