"""The rate of one transfer; the verdicts on whole records are in `tests/cases`."""

import pytest

from probe.analysis.line_speed import speed
from probe.model import Sample, Transfer


def test_a_fast_line_has_its_measured_rate_and_no_bound() -> None:
    samples = [Sample(at=0.01 * n, wire=1_000_000 * n) for n in range(1, 5)]
    moved = Transfer(
        address="192.0.2.1",
        port=443,
        sni=None,
        arm="L",
        pair=1,
        asked_bytes=4_000_000,
        received_bytes=4_000_000,
        ended="full",
        elapsed=0.04,
        samples=tuple(samples),
    )
    assert speed(moved) == pytest.approx(1e8, rel=0.01)
