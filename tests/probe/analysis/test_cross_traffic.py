"""Other traffic of the home explains a slow transfer."""

from msgspec.structs import replace

from probe.analysis.cross_traffic import crowded, explains
from probe.analysis.paired_test import PairState, judge_pairs
from probe.model import Transfer
from tests.probe.analysis.test_paired_test import pairs


def moved(other: int | None, *, elapsed: float = 1.0) -> Transfer:
    return Transfer(
        address="192.0.2.1",
        port=443,
        arm="L",
        pair=1,
        wire_bytes=1000,
        elapsed=elapsed,
        other_bytes=other,
    )


def test_headers_and_retransmissions_do_not_count_as_other_traffic() -> None:
    assert not crowded(moved(None))
    assert not crowded(moved(200))
    assert crowded(moved(400))


def test_only_additional_traffic_beside_the_tested_name_explains_slowness() -> None:
    assert explains(moved(900), moved(100), 1000.0)
    assert not explains(moved(900), moved(900), 1000.0)
    assert not explains(moved(900), moved(None), 10_000.0)
    assert not explains(moved(None), moved(None), 0.0)


def test_a_name_offered_during_other_traffic_is_not_called_slow() -> None:
    """Five pairs at less than a tenth; beside the slow ones the way out carried what they lack."""
    steps = pairs(*[(90.0, 1000.0)] * 5)
    assert judge_pairs(steps).state is PairState.EXTREME

    def with_film(share: float) -> list[Transfer]:
        lacking = 900_000 / 8
        return [
            replace(one, other_bytes=int(share * lacking * one.elapsed)) if one.arm == "A" else one
            for one in steps
        ]

    disturbed = judge_pairs(with_film(0.8))
    assert disturbed.state is PairState.INCONCLUSIVE
    assert "other traffic of this machine" in disturbed.why
    assert judge_pairs(with_film(0.2)).state is PairState.EXTREME
    both = [replace(one, other_bytes=int(90_000 * one.elapsed)) for one in steps]
    assert judge_pairs(both).state is PairState.EXTREME


def test_a_busy_home_does_not_hide_a_limit() -> None:
    """What lasts longer meets more of what else goes on: that must be so every time to count."""
    steps = pairs(*[(90.0, 1000.0)] * 5)
    busy = [
        replace(one, other_bytes=int(125_000 * one.elapsed))
        if one.arm == "A" and one.pair < 5
        else one
        for one in steps
    ]
    assert judge_pairs(busy).state is PairState.EXTREME


def test_a_shared_line_does_not_explain_a_hundredth_of_its_rate() -> None:
    steps = pairs(*[(90.0, 10_000.0)] * 5)
    beside = [
        replace(one, other_bytes=int(1_000_000 * one.elapsed)) if one.arm == "A" else one
        for one in steps
    ]
    assert judge_pairs(beside).state is PairState.EXTREME
