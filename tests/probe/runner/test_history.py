"""A verdict is confirmed when a later run repeats it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import codec, uuid7
from probe.analysis import confirmation
from probe.model import Outcome, Record, RuleHit, Verdict
from probe.ordering import Job
from probe.runner.history import History
from probe.runner.results import Results
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
        results.keep(one, codec.encode(one))


def again(results: Results, now: Record) -> bool:
    """Whether the record would be confirmed by the earlier verdicts."""
    assert now.verdict is not None
    extended = replace(now, earlier=History(results, now.run).earlier(now))
    return confirmation.again(extended, now.verdict.outcome, now.verdict.mechanisms)


def test_the_same_in_a_later_run_confirms(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=1))
    assert again(results, seen(Outcome.BLOCKED))
    assert not again(results, seen(Outcome.INTERCEPTED))


@pytest.mark.parametrize("between", [Outcome.OK, Outcome.DOWN, Outcome.REFUSED])
def test_an_earlier_run_without_interference_ends_the_chain(
    results: Results, between: Outcome
) -> None:
    keep(results, seen(Outcome.BLOCKED, days=2), seen(between, days=1))
    assert not again(results, seen(Outcome.BLOCKED))


def test_an_inconclusive_run_does_not_end_the_chain(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=2), seen(Outcome.INCONCLUSIVE, days=1))
    assert again(results, seen(Outcome.BLOCKED))


def test_earlier_verdicts_are_newest_first_with_their_age(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=2), seen(Outcome.BLOCKED, days=1))
    now = seen(Outcome.BLOCKED)
    earlier = History(results, now.run).earlier(now)
    assert [one.age for one in earlier] == [-86400, -2 * 86400]


def test_a_suspicion_has_its_earlier_verdicts(results: Results) -> None:
    hit = RuleHit(id=confirmation.SUSPECTED_ONCE)
    doubt = Verdict(outcome=Outcome.INCONCLUSIVE, rules=(hit,))
    before, now = (replace(seen(Outcome.OK, days=days), verdict=doubt) for days in (1 / 24, 0))
    keep(results, before)
    (earlier,) = History(results, now.run).earlier(now)
    assert earlier.rule == confirmation.SUSPECTED_ONCE


def test_a_run_does_not_confirm_itself(results: Results) -> None:
    now = seen(Outcome.BLOCKED)
    keep(results, now)
    assert not again(results, now)


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.DOWN, Outcome.INCONCLUSIVE])
def test_only_interference_is_confirmed(results: Results, outcome: Outcome) -> None:
    keep(results, seen(outcome, days=1))
    assert not again(results, seen(outcome))


def test_old_verdicts_and_those_of_a_laboratory_confirm_nothing(results: Results) -> None:
    keep(results, seen(Outcome.BLOCKED, days=9))
    assert not again(results, seen(Outcome.BLOCKED))
    keep(results, seen(Outcome.BLOCKED, days=1, lab=True))
    assert not again(results, seen(Outcome.BLOCKED))


def test_without_earlier_runs_nothing_is_confirmed(results: Results) -> None:
    assert not again(results, seen(Outcome.BLOCKED))


def test_what_was_suspected_before_is_suspected_until_a_run_found_nothing(results: Results) -> None:
    once = RuleHit(id=confirmation.SUSPECTED_ONCE)
    slow = replace(
        seen(Outcome.INCONCLUSIVE, days=2),
        verdict=Verdict(outcome=Outcome.INCONCLUSIVE, rules=(once,)),
    )
    job = Job(slow.experiment, slow.input)
    assert not History(results, "now").suspects(job)
    keep(results, slow)
    assert History(results, "now").suspects(job)
    keep(results, seen(Outcome.INCONCLUSIVE, days=1.5))
    assert History(results, "now").suspects(job)
    keep(results, seen(Outcome.OK, days=1))
    assert not History(results, "now").suspects(job)
