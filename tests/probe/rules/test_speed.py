"""Golden cases of the throughput experiments: a stored record gets the verdict it was given."""

from pathlib import Path

import pytest

from probe import codec
from probe.analysis.line_speed import speed
from probe.judge import judge
from probe.model import Outcome, Sample, Transfer

CASES = Path(__file__).parents[2] / "cases"
FILES = sorted(
    p for kind in ("throttle", "speed", "connectivity") for p in (CASES / kind).glob("*.json")
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_stored_record_is_judged_to_the_bit_as_it_was(path: Path) -> None:
    record = codec.decode(path.read_bytes())
    assert judge(record) == record.verdict


@pytest.mark.parametrize(
    ("case", "outcome", "mechanism"),
    [
        ("throttle/open", Outcome.OK, None),
        ("throttle/slow_plan", Outcome.OK, None),
        ("throttle/policed", Outcome.THROTTLED, "throttle.policed"),
        ("throttle/frozen", Outcome.THROTTLED, "throttle.frozen"),
        ("speed/line", Outcome.OK, None),
        ("connectivity/whitelist", Outcome.BLOCKED, "access.whitelist"),
        ("connectivity/foreign_cut", Outcome.BLOCKED, "access.foreign_cut"),
        ("connectivity/operator_down", Outcome.INCONCLUSIVE, "access.offline"),
    ],
)
def test_the_cases_are_what_they_are_called(
    case: str, outcome: Outcome, mechanism: str | None
) -> None:
    verdict = judge(codec.decode((CASES / f"{case}.json").read_bytes()))
    assert verdict.outcome is outcome
    assert verdict.mechanisms == ((mechanism,) if mechanism else ())


def test_a_quick_line_is_told_by_its_number_and_not_by_a_bound() -> None:
    looks = [Sample(at=0.01 * n, wire=1_000_000 * n) for n in range(1, 5)]
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
        samples=tuple(looks),
    )
    assert speed(moved) == pytest.approx(1e8, rel=0.01)
