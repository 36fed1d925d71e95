"""What a comparison could not have seen, of each kind of limit, and where rates are taken."""

from typing import Literal

import pytest

from probe.analysis.later_half import later_half
from probe.analysis.paired_test import PairState, judge_pairs
from probe.analysis.unseen_limits import unseen_limits
from probe.model import Sample, Transfer

KB = 1000


def moved(
    arm: Literal["A", "B", "E", "F"],
    *points: tuple[float, int],
    pair: int = 1,
    held: float = 0.0,
    ended: Literal["full", "reset"] = "full",
) -> Transfer:
    """A transfer with so many bytes by these times."""
    size = points[-1][1]
    return Transfer(
        address="192.0.2.1",
        port=443,
        arm=arm,
        pair=pair,
        asked_bytes=size,
        received_bytes=size,
        ended=ended,
        held=held,
        handshake_seconds=0.1,
        samples=tuple(Sample(at=at, wire=wire) for at, wire in points),
    )


def test_the_later_half_begins_in_the_middle_of_the_bytes() -> None:
    half = later_half(moved("A", (0.0, 0), (0.1, 10 * KB), (1.1, 210 * KB), (2.1, 310 * KB)))
    assert half is not None
    assert (half.before, half.size) == (160 * KB, 150 * KB)
    assert half.begins == pytest.approx(0.85)
    assert half.ends == 2.1


def test_what_came_while_a_transfer_was_held_is_no_burst() -> None:
    points = ((0.0, 0), (0.1, 2 * KB), (4.0, 100 * KB), (4.2, 400 * KB), (4.4, 702 * KB))
    half = later_half(moved("E", *points, held=4.0))
    assert half is not None
    assert half.before == 352 * KB
    assert half.burst == 252 * KB
    assert half.begins > 4.0


def test_a_failed_transfer_has_no_later_half() -> None:
    assert later_half(moved("A", (0.0, 0), (1.0, 9), ended="reset")) is None
    assert later_half(moved("A", (0.0, 0))) is not None


QUICK = ((0.0, 0), (0.01, 1 * KB), (0.5, 300 * KB))


def test_each_kind_of_limit_has_its_bound() -> None:
    found = judge_pairs([moved("B", *QUICK), moved("A", *QUICK)])
    assert found.state is PairState.OK
    unseen = unseen_limits(found)
    assert unseen.rate == pytest.approx(100 * KB)
    assert unseen.burst == unseen.size == pytest.approx(150 * KB, rel=0.01)
    assert unseen.seconds == pytest.approx(0.25, abs=0.02)


def test_a_control_transfer_that_broke_does_not_lower_the_bound() -> None:
    first = [moved("B", *QUICK, ended="reset"), moved("A", *QUICK)]
    more = [moved(arm, *QUICK, pair=n) for n in (2, 3, 4) for arm in ("A", "B")]
    found = judge_pairs([*first, *more])
    assert found.state is PairState.OK
    assert unseen_limits(found).rate == pytest.approx(100 * KB)
