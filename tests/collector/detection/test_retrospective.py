"""Shutdowns from reports afterwards, of laptops whose outage is not detected at the time."""

from collections.abc import Sequence

from collector.detection.outage import Outage
from collector.detection.retrospective import retrospective_shutdowns
from collector.detection.shutdown import HeartbeatHistory

DAY = 86_400.0
NOW = 30 * DAY
SHUTDOWN = (NOW - 6 * 3600.0, NOW - 4 * 3600.0)
NETWORK = ("KZ", 9198)
Spans = Sequence[tuple[float, float]]


def heartbeats(spans: Spans) -> list[float]:
    """A heartbeat in every five minutes of these times."""
    return [
        slot * 300.0 + 150.0
        for begin, end in spans
        for slot in range(int(begin // 300), int(end // 300))
    ]


def every(keys: str, *spans: tuple[float, float]) -> dict[str, Spans]:
    return dict.fromkeys(keys, spans)


def history_of(
    cut: dict[str, Spans], awake: dict[str, Spans], unheard: dict[str, Spans] | None = None
) -> HeartbeatHistory:
    keys = {*cut, *awake}
    return HeartbeatHistory(
        networks=dict.fromkeys(keys, NETWORK),
        beats={key: heartbeats(awake.get(key, ())) for key in keys},
        cut_off=cut,
        unheard=unheard or {},
    )


# Four hours of each of the last ten evenings, and the time before and after the shutdown.
EVENINGS = [(NOW - n * DAY - 5 * 3600.0, NOW - n * DAY - 3600.0) for n in range(2, 12)]
BEFORE, AFTER = (SHUTDOWN[0] - 3600.0, SHUTDOWN[0]), (SHUTDOWN[1], NOW)
LAPTOP = [*EVENINGS, BEFORE, AFTER]


def found(
    history: HeartbeatHistory, *outages: Outage
) -> list[tuple[int, float, float | None, int, int]]:
    events = retrospective_shutdowns(history, {NETWORK: outages}, since=NOW - 7 * DAY)
    assert all((one.kind, one.sources) == ("shutdown", ("spool",)) for one in events)
    return [(e.asn, e.started_at, e.ended_at, e.probes, e.judging) for e in events]


def test_three_laptops_that_were_on_and_cut_off_make_a_shutdown() -> None:
    history = history_of(every("abc", SHUTDOWN), every("abc", *LAPTOP))
    assert found(history) == [(0, *SHUTDOWN, 3, 3), (9198, *SHUTDOWN, 3, 3)]


def test_a_detected_outage_is_not_reported_again() -> None:
    history = history_of(every("abc", SHUTDOWN), every("abc", *LAPTOP))
    outage = Outage(SHUTDOWN[0] + 720, SHUTDOWN[1] + 300, frozenset("abc"), 1e-6)
    assert [asn for asn, *_ in found(history, outage)] == [0]


def test_three_keys_without_history_prove_nothing() -> None:
    assert found(history_of(every("abc", SHUTDOWN), {})) == []
    assert found(history_of(every("abc", SHUTDOWN), every("abc", AFTER))) == []


def test_two_reports_are_too_few() -> None:
    history = history_of(every("ab", SHUTDOWN), every("abc", *LAPTOP))
    assert found(history) == []


def test_heartbeats_meanwhile_count_against_it() -> None:
    boxes = every("xy", (NOW - 10 * DAY, NOW))
    history = history_of(every("abc", SHUTDOWN), {**every("abc", *LAPTOP), **boxes})
    assert found(history) == []  # three of five


def test_probes_that_missed_only_the_collector_count_against_it() -> None:
    history = history_of(
        every("abc", SHUTDOWN),
        every("abcxy", *LAPTOP),
        every("xy", SHUTDOWN),
    )
    assert found(history) == []


def test_probes_that_were_off_do_not_count() -> None:
    history = history_of(every("abc", SHUTDOWN), every("abcxyz", *LAPTOP))
    assert [one[3:] for one in found(history)] == [(3, 3), (3, 3)]


def test_laptops_that_are_often_cut_off_prove_nothing() -> None:
    """Every evening half of their time is cut off."""
    trains = [(begin + 3600.0, begin + 3 * 3600.0) for begin, _ in EVENINGS]
    homes = [part for a, b in EVENINGS for part in ((a, a + 3600.0), (b - 3600.0, b))]
    history = history_of(every("abc", *trains, SHUTDOWN), every("abc", *homes, BEFORE, AFTER))
    assert SHUTDOWN[0] not in {began for _, began, *_ in found(history)}


def test_one_slot_is_no_shutdown_and_a_short_gap_no_end() -> None:
    moment = [(SHUTDOWN[0], SHUTDOWN[0] + 300.0)]
    history = history_of(every("abc", *moment), every("abc", *LAPTOP))
    assert found(history) == []
    middle = SHUTDOWN[0] + 3600.0
    twice = [(SHUTDOWN[0], middle), (middle + 600.0, SHUTDOWN[1])]
    history = history_of(every("abc", *twice), every("abc", *LAPTOP))
    assert [one[1:3] for one in found(history)] == [SHUTDOWN, SHUTDOWN]
