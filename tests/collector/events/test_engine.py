"""Events do not depend on when a look arrived, and match the truth of a generated history."""

import random

from hypothesis import given, strategies as st

from bench.history import Score, score
from bench.history_world import World
from collector.events.bracket import common
from collector.events.engine import EventEngine, replay
from collector.events.model import Bracket, Look
from collector.events.timeline import Rules
from collector.standing import EVERYBODY

RULES = Rules(2, EVERYBODY)

some_looks = st.lists(
    st.builds(
        Look,
        at=st.integers(0, 40).map(float),
        id=st.uuids().map(str),
        key=st.sampled_from("abcd"),
        experiment=st.sampled_from(("web", "sni", "throttle")),
        target=st.sampled_from(("https://a.example/", "https://b.example/")),
        country=st.just("KZ"),
        asn=st.sampled_from((1, 2)),
        outcome=st.sampled_from(("ok", "blocked", "intercepted", "throttled", "inconclusive")),
        mechanisms=st.sampled_from(("", "tls.timeout", "dns.nxdomain")),
    ),
    max_size=60,
    unique_by=lambda look: look.id,
)


@given(looks=some_looks, seed=st.integers(0, 2**16))
def test_any_order_of_arrival_gives_the_same_events(looks: list[Look], seed: int) -> None:
    expected = replay(looks, RULES)
    arriving = looks[:]
    random.Random(seed).shuffle(arriving)
    engine = EventEngine(RULES)
    for look in arriving:
        engine.add([look])
        list(engine.events())
    assert list(engine.events()) == expected


@given(looks=some_looks)
def test_events_are_plausible(looks: list[Look]) -> None:
    for event in replay(looks, RULES):
        assert event.began.after is None or event.began.after <= event.began.by
        assert event.began.by <= event.last_seen_at
        assert 0 <= event.agree <= event.able
        assert event.lasts == (event.ended is None)
        if event.ended is not None:
            assert event.ended.after is not None
            assert event.began.by <= event.ended.by
            assert event.ended.after <= event.ended.by


def bracket(ends: tuple[int, int], *, open_: bool) -> Bracket:
    return Bracket(None if open_ else float(min(ends)), float(max(ends)))


instants = st.integers(0, 20)
brackets = st.lists(
    st.builds(lambda a, b, open_: bracket((a, b), open_=open_), instants, instants, st.booleans()),
    min_size=1,
    max_size=8,
)


@given(brackets=brackets)
def test_the_common_bracket_is_in_as_many_as_it_says(brackets: list[Bracket]) -> None:
    found = common(brackets)
    low = float("-inf") if found.bracket.after is None else found.bracket.after
    inside = [
        one
        for one in brackets
        if (float("-inf") if one.after is None else one.after) <= low and found.bracket.by <= one.by
    ]
    assert len(inside) >= found.probes >= 1


def test_one_stray_bracket_moves_nothing() -> None:
    honest = [Bracket(3.0, 7.0), Bracket(4.0, 9.0), Bracket(2.0, 6.0)]
    assert common(honest).bracket == Bracket(4.0, 6.0)
    assert common([*honest, Bracket(0.0, 1.0)]).bracket == Bracket(4.0, 6.0)


def test_a_slice_of_the_benchmark_reaches_its_numbers() -> None:
    total = Score()
    score(World(20261130, days=36, networks=3, targets=16), total)
    assert total.planted >= 10
    assert total.found == total.planted
    assert total.bracketed >= 0.95 * total.found
    assert (total.split, total.touched_by_shutdown, total.false) == (0, 0, 0)
    assert total.throttled_found >= 0.9 * total.throttled
    assert total.whitelists_told == total.whitelists
