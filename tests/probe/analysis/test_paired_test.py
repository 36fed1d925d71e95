from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.analysis.paired_test import (
    Judgement,
    PairState,
    detectable,
    froze,
    judge_pairs,
    order,
    pair_up,
    rate,
)
from probe.failure import Failure
from probe.model import Sample, Transfer

SIZE = 256 * 1024
Arm = Literal["A", "B", "C", "D", "L"]


def moved(arm: Arm, pair: int, kbits: float, size: int = SIZE) -> Transfer:
    """A transfer that came whole at one rate."""
    seconds = size * 8 / (kbits * 1000)
    return Transfer(
        address="192.0.2.1",
        port=443,
        sni="x",
        arm=arm,
        pair=pair,
        asked_bytes=size,
        received_bytes=size,
        ended="full",
        handshake_seconds=0.1,
        elapsed=seconds,
        samples=(
            Sample(at=0.0, wire=3000),
            Sample(at=0.1, wire=3001),
            Sample(at=0.1 + seconds, wire=3001 + size),
        ),
    )


def broken(arm: Arm, pair: int) -> Transfer:
    return Transfer(
        address="192.0.2.1",
        port=443,
        sni="x",
        arm=arm,
        pair=pair,
        asked_bytes=SIZE,
        ended="reset",
        failure=Failure.RESET,
        connect_seconds=0.1,
    )


def frozen(arm: Arm, pair: int, at: int = 13_648) -> Transfer:
    return Transfer(
        address="192.0.2.1",
        port=443,
        sni="x",
        arm=arm,
        pair=pair,
        asked_bytes=SIZE,
        ended="stall",
        handshake_seconds=0.1,
        longest_gap=5.6,
        stalled_at=at,
        elapsed=6.0,
        samples=(Sample(at=0.0, wire=3000), Sample(at=0.1, wire=at), Sample(at=6.0, wire=at)),
    )


def pairs(*rates: tuple[float, float]) -> list[Transfer]:
    """Pairs of (A, B) rates in kbit/s."""
    return [
        step for n, (a, b) in enumerate(rates, 1) for step in (moved("A", n, a), moved("B", n, b))
    ]


def state(steps: Sequence[Transfer]) -> PairState:
    return judge_pairs(steps).state


def test_the_rate_counts_from_the_first_arrival_to_the_end() -> None:
    assert rate(moved("A", 1, 128)) == pytest.approx(16_000, rel=0.01)
    slow = rate(frozen("A", 1))
    assert slow is not None
    assert slow < 2500  # silence counts
    assert rate(broken("A", 1)) is None


def test_the_control_goes_first_and_then_in_turn() -> None:
    assert order(0, "A", "B") == ("B", "A")
    assert order(1, "A", "B") == ("A", "B")
    assert order(2, "A", "B") == ("B", "A")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (pairs((4000, 4000)), PairState.OK),
        (pairs((2100, 4000)), PairState.OK),
        (pairs((1900, 4000)), PairState.MORE),
        (pairs((100, 100)), PairState.SLOW_BOTH),
        (pairs((1900, 4000), (4000, 4000), (3900, 4000)), PairState.INCONCLUSIVE),
        (pairs((1000, 4000), (4100, 4000), (1100, 4100)), PairState.INCONCLUSIVE),
        (pairs(*[(128, 4000)] * 3), PairState.MORE),
        (pairs(*[(128, 4000)] * 5), PairState.EXTREME),
        (pairs(*[(800, 4000)] * 5), PairState.STRONG),
        (pairs(*[(1800, 4000)] * 5), PairState.SUSPECTED),
        (pairs(*[(1400, 4000)] * 4, (4500, 4400)), PairState.INCONCLUSIVE),
    ],
)
def test_the_rule_stops_after_one_three_or_five_pairs(
    steps: list[Transfer], expected: PairState
) -> None:
    assert state(steps) is expected


def test_an_accusation_has_the_exact_probability() -> None:
    found = judge_pairs(pairs(*[(128, 4000)] * 5))
    assert found.u == 0
    assert found.p == pytest.approx(1 / 252)
    assert found.ratio == pytest.approx(0.032, rel=0.01)
    assert found.detectable == pytest.approx(SIZE / 3)


def test_freezing_twice_is_a_freeze_and_the_bytes_are_kept() -> None:
    steps = [frozen("A", 1), moved("B", 1, 4000), moved("A", 2, 4000), moved("B", 2, 4000)]
    assert state(steps[:2]) is PairState.MORE
    third = [frozen("A", 3), moved("B", 3, 4000)]
    assert state([*steps, *third]) is PairState.FREEZE
    assert state([*steps[:2], frozen("A", 2), moved("B", 2, 4000)]) is PairState.FREEZE
    assert not froze(frozen("A", 1, at=70_000))


def test_when_both_names_freeze_the_line_is_at_fault() -> None:
    assert state([frozen("A", 1), frozen("B", 1)]) is PairState.INCONCLUSIVE


def test_errors_on_one_name_alone_are_blocking_and_not_slowness() -> None:
    steps = [s for n in range(1, 5) for s in (broken("A", n), moved("B", n, 4000))]
    assert state(steps[:6]) is PairState.MORE
    assert state(steps) is PairState.BLOCKED
    assert state([broken("A", 1), broken("B", 1)]) is PairState.MORE
    both = [s for n in (1, 2) for s in (broken("A", n), broken("B", n))]
    assert state(both) is PairState.INCONCLUSIVE


def test_one_error_and_then_nothing_slow_is_fine() -> None:
    steps = [broken("A", 1), moved("B", 1, 4000)]
    more = [s for n in (2, 3, 4) for s in (moved("A", n, 4000), moved("B", n, 4000))]
    assert state([*steps, *more[:4]]) is PairState.MORE
    assert state([*steps, *more]) is PairState.OK


def test_a_control_that_is_slow_only_afterwards_is_residual() -> None:
    found = judge_pairs(pairs((128, 4000), (128, 130), (129, 126)))
    assert found.state is PairState.INCONCLUSIVE
    assert found.residual
    assert "had been offered" in found.why


def test_a_used_up_quota_is_named_and_unpaired_transfers_do_not_count() -> None:
    unaffordable = Transfer(address="192.0.2.1", port=443, sni="x", arm="B", pair=2, ended="budget")
    assert state([*pairs((128, 4000)), unaffordable]) is PairState.BUDGET
    assert state([*pairs((4000, 4000)), unaffordable]) is PairState.OK
    assert pair_up([moved("A", 0, 1), moved("B", 0, 1)], "A", "B") == ()


def test_an_unproven_neutral_server_measures_nothing() -> None:
    forged = Transfer(
        address="192.0.2.1",
        port=443,
        sni="x",
        arm="B",
        pair=1,
        failure=Failure.SSL_CERTIFICATE,
    )
    assert state([moved("A", 1, 128), forged]) is PairState.INVALID


def test_the_object_size_bounds_the_detectable_limit() -> None:
    assert detectable([moved("B", 1, 4000, 64 * 1024)]) * 8 == pytest.approx(175_000, rel=0.01)
    assert detectable([moved("B", 1, 4000, 256 * 1024)]) * 8 == pytest.approx(700_000, rel=0.01)


def test_very_fast_transfers_count_as_equally_fast() -> None:
    assert state(pairs((10**6, 9 * 10**6))) is PairState.OK


def test_the_first_burst_of_a_policer_is_not_in_the_rate() -> None:
    sampled = (
        Sample(at=0.0, wire=3000),
        Sample(at=0.1, wire=4000),
        Sample(at=0.2, wire=4000 + SIZE // 2),  # a burst, and then 16 kB a second
        Sample(at=0.2 + SIZE / 2 / 16_000, wire=4000 + SIZE),
    )
    policed = replace(moved("A", 1, 1), samples=sampled)
    assert rate(policed) == pytest.approx(16_000, rel=0.01)


def test_segments_are_counted_where_a_hole_holds_the_bytes_back() -> None:
    sampled = (
        Sample(at=0.0, wire=0, segments=0, out_of_order=0),
        Sample(at=0.1, wire=1000, segments=1, out_of_order=0),
        Sample(at=1.1, wire=1000, segments=11, out_of_order=10),  # all behind one that was lost
        Sample(at=2.1, wire=21_000, segments=21, out_of_order=10),
    )
    holed = replace(moved("A", 1, 1), samples=sampled, segment_bytes=1000)
    assert rate(holed) == pytest.approx(10_000, rel=0.01)
    assert rate(replace(holed, direction="up")) == pytest.approx(20_000, rel=0.01)


def noisy(*more: tuple[float, float]) -> list[Transfer]:
    """Five pairs that accuse, though the two names' rates nearly meet; and perhaps more pairs."""
    return pairs((900, 4000), (900, 4000), (1300, 1700), (900, 4000), (900, 4000), *more)


def test_a_suspicion_that_is_not_obvious_needs_two_more_pairs() -> None:
    once = judge_pairs(noisy())
    assert once.state is PairState.STRONG
    assert once.unsettled
    assert judge_pairs(noisy((900, 4000))).open
    again = judge_pairs(noisy((900, 4000), (900, 4000)))
    assert again.state is PairState.STRONG
    assert not again.open
    refuted = judge_pairs(noisy((4000, 900), (4000, 900)))
    assert refuted.state is PairState.INCONCLUSIVE
    assert not refuted.open


def test_an_obvious_suspicion_needs_no_more_pairs() -> None:
    assert not judge_pairs(pairs(*[(128, 4000)] * 5)).open


def test_a_suspicion_stands_when_no_more_pairs_are_possible() -> None:
    unaffordable = Transfer(address="192.0.2.1", port=443, sni="x", arm="B", pair=6, ended="budget")
    spent = judge_pairs([*noisy(), unaffordable])
    assert spent.state is PairState.STRONG
    assert not spent.open
    errors = [step for n in (6, 7, 8, 9) for step in (broken("A", n), moved("B", n, 4000))]
    assert judge_pairs([*noisy(), *errors[:6]]).open
    assert judge_pairs([*noisy(), *errors]).state is PairState.BLOCKED
    last = judge_pairs([*noisy(), *errors[:6], moved("A", 9, 900), broken("B", 9)])
    assert last.state is PairState.STRONG
    assert not last.open


def judged(rates: list[tuple[float, float]]) -> Judgement:
    return judge_pairs(pairs(*rates))


speeds = st.floats(20, 10**5)


@given(st.lists(st.tuples(speeds, speeds), min_size=1, max_size=7))
def test_a_longer_sequence_never_changes_what_was_decided(
    rates: list[tuple[float, float]],
) -> None:
    decided = [judged(rates[:n]) for n in range(1, len(rates) + 1)]
    final = next((found.state for found in decided if not found.open), decided[-1].state)
    assert decided[-1].state is final


@given(st.lists(st.tuples(speeds, speeds), min_size=5, max_size=5))
def test_overlapping_rates_are_not_accused(
    rates: list[tuple[float, float]],
) -> None:
    found = judged(rates)
    if found.state.accuses:
        assert found.u is not None
        assert found.u <= 1
        assert found.ratio is not None
        assert found.ratio <= 0.5
