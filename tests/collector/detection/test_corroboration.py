from collector.detection.corroboration import confirmed_at, is_event

HOUR = 3600.0


def test_a_second_suspected_run_half_an_hour_to_two_hours_later_confirms() -> None:
    assert confirmed_at([(0, True), (HOUR, True)]) == (HOUR,)
    assert confirmed_at([(0, True), (600, True)]) == ()
    assert confirmed_at([(0, True), (3 * HOUR, True)]) == ()
    assert confirmed_at([(0, True)]) == ()


def test_a_run_in_between_without_suspicion_resets_it() -> None:
    assert confirmed_at([(0, True), (1800, False), (HOUR, True)]) == ()


def test_two_confirming_probes_within_a_day_are_an_event() -> None:
    assert is_event({"a": [0.0], "b": [20 * HOUR]})
    assert not is_event({"a": [0.0], "b": [25 * HOUR]})
    assert not is_event({"a": [0.0, HOUR, 2 * HOUR]})
    assert not is_event({})
