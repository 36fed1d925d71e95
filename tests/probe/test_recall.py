"""A verdict is confirmed when a later run comes to it again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import uuid7, wire
from probe.model import Outcome, Record, Verdict
from probe.recall import Recall
from probe.results import Results
from tests.build import record

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def seen(outcome: Outcome, *, days: float = 0.0, lab: bool = False, run: str = "") -> Record:
    return replace(
        record(),
        id=uuid7.new(),
        run=run or uuid7.new(NOW.timestamp() - days * 86400),
        lab=lab,
        started_at=(NOW - timedelta(days=days)).isoformat(),
        verdict=Verdict(outcome=outcome),
    )


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def keep(results: Results, *records: Record) -> None:
    for one in records:
        results.keep(one, wire.encode(one))


def again(results: Results, now: Record) -> bool:
    return Recall(results, now.run).seen_before(now)


def test_the_same_in_a_later_run_confirms(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=1))
    assert again(results, seen(Outcome.BLOCKED))
    assert not again(results, seen(Outcome.INTERCEPTED))


def test_the_newest_earlier_run_decides(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=2), seen(Outcome.OK, days=1))
    assert not again(results, seen(Outcome.BLOCKED))


def test_a_run_does_not_confirm_itself(results: Results) -> None:
    now = seen(Outcome.BLOCKED)
    keep(results, now)
    assert not again(results, now)


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.DOWN, Outcome.INCONCLUSIVE])
def test_only_interference_is_confirmed(results: Results, outcome: Outcome) -> None:
    keep(results, seen(outcome, days=1))
    assert not again(results, seen(outcome))


def test_what_is_long_ago_or_elsewhere_confirms_nothing(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=9))
    assert not again(results, seen(Outcome.BLOCKED))
    keep(results, seen(Outcome.BLOCKED, days=1, lab=True))
    assert not again(results, seen(Outcome.BLOCKED))


def test_without_earlier_runs_nothing_is_confirmed(results: Results) -> None:
    assert not again(results, seen(Outcome.BLOCKED))
