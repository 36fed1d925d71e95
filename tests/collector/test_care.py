"""Which looks are coarse, and what is left of them."""

from collections.abc import Mapping, Sequence

import pytest

from collector.care import Care, coarsened, without_rare_regions
from collector.standing import DAY, EVERYBODY, OPEN, KeyStanding, Standings
from collector.store.interface import Query
from collector.store.queries import Selection

AT = 20_000 * DAY + 79_145.123
KEYS = Sequence[str]


def learned(
    care: Care, keys: Mapping[tuple[str, int], KEYS], looks: Sequence[tuple[str, int, float]]
) -> int:
    """Let it ask a store with these keys on each network; how often it asked."""
    asked = 0
    operation = care.learn(looks)
    try:
        statement = next(operation)
        while True:
            assert isinstance(statement, Query)
            asked += 1
            params = statement.params
            found = keys.get((str(params["country"]), int(str(params["asn"]))), ())
            statement = operation.send([(key,) for key in found[: int(str(params["limit"]))]])
    except StopIteration:
        return asked


@pytest.mark.parametrize(
    ("keys", "coarse"), [("", True), ("ab", True), ("abc", False), ("abcd", False)]
)
def test_fewer_probes_than_the_least_number_make_a_look_coarse(keys: str, *, coarse: bool) -> None:
    care = Care(3, EVERYBODY)
    learned(care, {("KZ", 1): keys}, [("KZ", 1, AT)])
    assert care.is_coarse("KZ", 1, AT) == coarse


def test_a_store_is_asked_once_for_each_network_and_day() -> None:
    care = Care(2, EVERYBODY)
    looks = [("KZ", 1, AT), ("KZ", 1, AT + 60), ("KZ", 2, AT), ("KZ", 1, AT + DAY)]
    assert learned(care, {("KZ", 1): "ab", ("KZ", 2): "ab"}, looks) == 3
    assert learned(care, {}, looks) == 0


def test_without_a_least_number_nothing_is_asked_and_nothing_coarse() -> None:
    care = Care(1, Standings())
    assert learned(care, {}, [("KZ", 1, AT)]) == 0
    assert not care.is_coarse("KZ", 1, AT)
    assert care.widened(Selection(since=AT)) == Selection(since=AT)


def test_strangers_hide_nobody_even_if_they_come_first() -> None:
    """An attacker with many open keys could else make a network look crowded."""
    strangers = [KeyStanding(f"a{n}", way=OPEN, enrolled_at=AT) for n in range(20)]
    trusted = [KeyStanding(f"z{n}") for n in range(3)]
    standings = Standings([*strangers, *trusted], now=AT)
    for known, coarse in ((1, True), (2, True), (3, False)):
        keys = [one.key_id for one in (*strangers, *trusted[:known])]
        care = Care(3, standings)
        learned(care, {("KZ", 1): keys}, [("KZ", 1, AT)])
        assert care.is_coarse("KZ", 1, AT) == coarse, known


def test_a_coarse_row_has_the_networks_usual_name() -> None:
    row = {"id": "x", "asn": 9198, "network": "the line of my aunt", "outcome": "ok"}
    shown = coarsened(row)
    assert shown["id"] is None
    assert shown["outcome"] == "ok"
    assert "aunt" not in shown["network"]


def test_a_period_is_widened_to_whole_hours() -> None:
    wide = Care(3, EVERYBODY).widened(Selection(since=3601.5, until=7200.5))
    assert (wide.since, wide.until) == (3600.0, 10800.0)
    exact = Selection(since=3600.0, until=7200.0)
    assert Care(3, EVERYBODY).widened(exact) == exact


def test_regions_of_networks_with_few_probes_are_not_told() -> None:
    rows = [("KZ", 1, "KZ-75", 1, 5.0), ("KZ", 1, "", 1, 9.0), ("KZ", 2, "KZ-10", 3, 7.0)]
    assert without_rare_regions(rows, 3) == [("KZ", 1, "", 2, 9.0), ("KZ", 2, "KZ-10", 3, 7.0)]
    assert without_rare_regions(rows, 1) == rows
