import pytest
from msgspec.structs import replace

from probe.analysis.shutdown import Mode, Reach, Tally, classify, reach, seen_twice
from probe.failure import Failure
from probe.model import Ping

UP = True


def reach_of(essential: int, ordinary: int, foreign: int, *, gateway: bool | None = True) -> Reach:
    return Reach(gateway, Tally(essential, 5), Tally(ordinary, 5), Tally(foreign, 5))


@pytest.mark.parametrize(
    ("seen", "mode"),
    [
        (reach_of(5, 5, 5), Mode.NORMAL),
        (reach_of(0, 0, 1), Mode.NORMAL),
        (reach_of(5, 0, 0), Mode.WHITELIST),
        (reach_of(3, 1, 0), Mode.WHITELIST),
        (reach_of(2, 1, 0), Mode.UNCLEAR),
        (reach_of(3, 2, 0), Mode.UNCLEAR),
        (reach_of(5, 5, 0), Mode.FOREIGN_CUT),
        (reach_of(0, 3, 0), Mode.FOREIGN_CUT),
        (reach_of(0, 0, 0), Mode.OPERATOR_DOWN),
        (reach_of(0, 0, 0, gateway=False), Mode.HOME_DOWN),
        (reach_of(0, 0, 0, gateway=None), Mode.OFFLINE),
        (reach_of(5, 5, 5, gateway=False), Mode.NORMAL),  # a router that answers no ping
    ],
)
def test_the_four_shutdowns_are_distinguished(seen: Reach, mode: Mode) -> None:
    assert classify(seen) is mode


@pytest.mark.parametrize(("essential", "ordinary"), [(0, 0), (5, 0), (5, 2)])
def test_a_name_server_that_accepts_connections_is_not_a_foreign_site(
    essential: int, ordinary: int
) -> None:
    seen = replace(reach_of(essential, ordinary, 0), addresses=Tally(3, 3))
    assert classify(seen) is Mode.UNCLEAR
    assert classify(replace(reach_of(5, 5, 1), addresses=Tally(0, 3))) is Mode.NORMAL
    assert classify(replace(reach_of(0, 5, 0), addresses=Tally(1, 3))) is Mode.NORMAL


@pytest.mark.parametrize(("essential", "ordinary"), [(0, 0), (5, 0), (5, 5)])
def test_port_443_of_a_name_server_abroad_is_neither_a_cut_nor_a_whole_line(
    essential: int, ordinary: int
) -> None:
    seen = replace(reach_of(essential, ordinary, 0), addresses=Tally(0, 3), ports=Tally(1, 3))
    assert classify(seen) is Mode.UNCLEAR


def test_too_few_sites_conclude_nothing() -> None:
    assert classify(Reach(UP, Tally(1, 1), Tally(0, 0), Tally(0, 2))) is Mode.UNCLEAR
    assert classify(Reach(UP, Tally(3, 3), Tally(0, 1), Tally(0, 5))) is Mode.UNCLEAR


def test_a_cut_counts_when_it_is_seen_twice_minutes_apart() -> None:
    cut, fine = Mode.FOREIGN_CUT, Mode.NORMAL
    assert seen_twice(cut, [(0.0, cut), (300.0, cut)])
    assert not seen_twice(cut, [(0.0, cut), (60.0, cut)])
    assert not seen_twice(cut, [(0.0, cut)])
    assert not seen_twice(cut, [(0.0, cut), (150.0, fine), (300.0, cut)])


def test_pings_are_counted_by_class() -> None:
    pings = [
        Ping(what="gateway"),
        Ping(what="foreign", failure=Failure.TIMEOUT),
        Ping(what="foreign"),
        Ping(what="essential"),
    ]
    assert reach(pings) == Reach(UP, Tally(1, 1), Tally(0, 0), Tally(1, 2))


@pytest.mark.parametrize(
    ("unclassed", "addresses", "foreign", "mode"),
    [
        (Tally(3, 3), Tally(0, 3), Tally(), Mode.UNCLEAR),  # they may all be domestic
        (Tally(0, 3), Tally(0, 3), Tally(), Mode.UNCLEAR),
        (Tally(3, 3), Tally(3, 3), Tally(), Mode.NORMAL),
        (Tally(0, 9), Tally(3, 3), Tally(), Mode.UNCLEAR),
        (Tally(3, 3), Tally(0, 3), Tally(0, 3), Mode.FOREIGN_CUT),
    ],
)
def test_sites_of_an_unknown_class_count_neither_as_foreign_nor_as_domestic(
    unclassed: Tally, addresses: Tally, foreign: Tally, mode: Mode
) -> None:
    seen = Reach(UP, Tally(), Tally(2, 2), foreign, addresses, unclassed=unclassed)
    assert classify(seen) is mode


def test_a_site_of_an_unknown_class_shows_that_the_line_is_not_dead() -> None:
    assert classify(Reach(UP, foreign=Tally(0, 3), unclassed=Tally(1, 3))) is Mode.UNCLEAR
    assert classify(Reach(UP, foreign=Tally(0, 3), unclassed=Tally(0, 3))) is Mode.OPERATOR_DOWN
