from typing import Literal

import pytest

from probe.analysis.neutral_rate import beyond_limits, outruns, vouched_for
from probe.analysis.paired_test import judge_pairs
from probe.model import Sample, Transfer

Arm = Literal["A", "B", "C"]
SIZE = 256 * 1024


def moved(arm: Arm, kbits: float, *, size: int = SIZE, pair: int = 1) -> Transfer:
    """One object at an even rate, cut short after six seconds."""
    seconds = min(size / (kbits * 125), 6.0)
    got = round(kbits * 125 * seconds)
    samples = tuple(Sample(at=seconds * n / 20, wire=got * n // 20) for n in range(21))
    return Transfer(
        address="192.0.2.1",
        port=443,
        arm=arm,
        pair=pair,
        asked_bytes=size,
        received_bytes=got,
        wire_bytes=got,
        ended="full" if got >= size else "cap",
        connect_seconds=0.04,
        handshake_seconds=0.1,
        elapsed=seconds,
        samples=samples,
    )


@pytest.mark.parametrize(
    ("own", "neutral", "vouched"),
    [
        (20_000, 20_000, True),
        (20_000, 100, True),  # faster than any limit that it could show, at any rate of the other
        (180, 200, True),
        (110, 200, True),
        (90, 200, False),  # slower by half
        (390, 200, True),
        (450, 200, False),  # the neutral server was slow itself
        (400, 20_000, False),
    ],
)
def test_an_equal_neutral_rate_clears_the_target(
    own: float,
    neutral: float,
    vouched: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = judge_pairs((moved("B", neutral), moved("A", neutral)))
    assert vouched_for(moved("C", own, pair=0), found) is vouched


def test_a_failed_transfer_is_never_cleared() -> None:
    found = judge_pairs((moved("B", 200), moved("A", 200)))
    broken = Transfer(address="192.0.2.1", port=443, arm="C", pair=0, ended="reset")
    assert not vouched_for(broken, found)
    assert not beyond_limits(broken)


def test_a_small_object_on_a_slow_line_does_not_outrun_the_neutral_server() -> None:
    found = judge_pairs((moved("B", 200), moved("A", 200)))
    assert not outruns(moved("C", 250, size=16 * 1024), found)
    assert outruns(moved("C", 450, size=16 * 1024), found)


def test_a_small_object_shows_slow_limits_only() -> None:
    assert beyond_limits(moved("C", 200, size=16 * 1024))
    assert not beyond_limits(moved("C", 200))
