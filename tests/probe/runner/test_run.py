"""The phases of a run, on a stage."""

import time
from pathlib import Path

import pytest

from probe.failure import Failure
from probe.model import Control, Dns, Outcome, Record, Role, Tls, Verdict
from probe.runner.journal import Journal
from probe.runner.run import COMPARED
from tests.probe import stage
from tests.probe.stage import FakeDesk, Manner, Performance, Stage, address_of, urls


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def outcome(record: Record) -> Outcome:
    assert record.verdict is not None
    return record.verdict.outcome


def test_what_simply_works_is_looked_at_once(journal: Journal) -> None:
    show = Performance(Stage(), journal)
    records = show.go(*urls("a.example", "b.test"))
    assert {outcome(record) for record in records.values()} == {Outcome.OK}
    assert all(step.try_ == 1 for record in records.values() for step in record.steps)
    assert show.own.facts is not None
    assert show.own.facts.measured == 2
    assert show.own.facts.ended == "finished"


def test_the_run_speaks_last_and_counts_outcomes(journal: Journal) -> None:
    show = Performance(Stage({"bad.test": "reset"}), journal)
    show.go(*urls("a.example", "bad.test"))
    assert [record.experiment for record in show.kept.records] == ["web", "web", "run"]
    assert show.own.facts is not None
    assert show.own.facts.outcomes == {"ok": 1, "blocked": 1}


def test_a_failure_is_looked_at_again_beside_a_site_that_worked(journal: Journal) -> None:
    show = Performance(Stage({"bad.test": "reset"}), journal)
    bad = show.go(*urls("a.example", "bad.test"))["https://bad.test/"]
    assert outcome(bad) is Outcome.BLOCKED
    references = [step for step in bad.steps if step.role is Role.REFERENCE]
    assert any(isinstance(step, Tls) and step.sni == "a.example" for step in references)


def test_a_failure_that_passes_accuses_nobody(journal: Journal) -> None:
    show = Performance(Stage({"flaky.test": "once"}), journal)
    flaky = show.go(*urls("a.example", "flaky.test"))["https://flaky.test/"]
    assert outcome(flaky) is Outcome.OK
    assert next(step.failure for step in flaky.steps if isinstance(step, Tls)) is Failure.RESET


def test_anchors_that_are_not_there_make_no_line_offline(journal: Journal) -> None:
    stage = Stage({"anchor.test": "silent", "bad.test": "reset"})
    show = Performance(stage, journal, anchors=urls("anchor.test"))
    records = show.go(*urls("a.example", "bad.test"))
    assert show.ending is not None
    assert not show.ending.offline
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED


def test_a_dead_line_is_offline_and_is_not_asked_twice(journal: Journal) -> None:
    show = Performance(Stage(dead=True), journal, anchors=urls("anchor.test"))
    records = show.go(*urls("a.example", "b.test", "c.test"))
    assert show.ending is not None
    assert show.ending.offline
    assert {outcome(record) for record in records.values()} == {Outcome.INCONCLUSIVE}
    assert all(step.try_ == 1 for record in records.values() for step in record.steps)


def test_a_collector_that_answers_shows_that_the_line_lives(journal: Journal) -> None:
    show = Performance(Stage(dead=True), journal, desk=FakeDesk(answered=True))
    show.go(*urls("a.example"))
    assert show.ending is not None
    assert not show.ending.offline


def test_a_bug_costs_one_target(journal: Journal) -> None:
    show = Performance(Stage({"bug.test": "bug"}), journal)
    records = show.go(*urls("a.example", "bug.test"))
    assert set(records) == {"https://a.example/"}
    assert [type(error) for error in show.bugs] == [ZeroDivisionError]
    assert show.own.facts is not None
    assert [skip.input for skip in show.own.facts.skipped] == ["https://bug.test/"]
    assert show.ending is not None
    assert show.ending.bugs == 1


def test_a_stop_leaves_what_was_seen_unconfirmed_and_names_the_rest(journal: Journal) -> None:
    stage = Stage({"bad.test": "reset", "slow.test": "slow", "b.test": "slow"})
    show = Performance(stage, journal, concurrency=2)
    started = time.monotonic()
    records = show.go(*urls("bad.test", "slow.test", "b.test", "c.test"), stop_after=0.3)
    assert time.monotonic() - started < 2.0
    facts = show.own.facts
    assert facts is not None
    assert facts.ended == "interrupted"
    assert len(records) + len(facts.skipped) == 4
    assert {skip.reason for skip in facts.skipped} == {"the run was stopped"}


def test_time_is_kept_for_second_looks(journal: Journal) -> None:
    hosts = [f"slow{n}.test" for n in range(20)]
    manners: dict[str, Manner] = dict.fromkeys(hosts, "slow")
    stage = Stage({**manners, "bad.test": "reset"})
    show = Performance(stage, journal, seconds=3.0, concurrency=30)
    started = time.monotonic()
    records = show.go(*urls("a.example", "bad.test", *hosts))
    assert time.monotonic() - started < 4.0
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED
    facts = show.own.facts
    assert facts is not None
    assert facts.ended == "time"
    assert {skip.reason for skip in facts.skipped} == {"time was up"}
    assert len(facts.skipped) == 20


def test_bytes_run_out_within_one_exchange(journal: Journal) -> None:
    stage = Stage(cost=100_000, delay=0.01)
    show = Performance(stage, journal, bytes=1_000_000)
    show.go(*urls(*(f"site{n}.test" for n in range(40))))
    assert 1_000_000 <= stage.bytes_in + stage.bytes_out <= 1_100_000
    facts = show.own.facts
    assert facts is not None
    assert facts.ended == "bytes"
    assert facts.measured + len(facts.skipped) == 40
    assert {skip.reason for skip in facts.skipped} == {"the byte budget was spent"}


def test_one_host_is_asked_one_thing_at_a_time(journal: Journal) -> None:
    stage = Stage(delay=0.02)
    show = Performance(stage, journal)
    show.go(*(f"https://one.test/{n}" for n in range(6)))
    # A reference is asked for a handshake and a plain page together, after the sweep.
    assert stage.most_abreast <= 2


def test_controls_are_asked_again_about_what_failed(journal: Journal) -> None:
    url = "https://bad.test/"
    control = Control(id="c1", age=-5.0, steps=(Dns(name="bad.test", resolver="system"),))
    desk = FakeDesk(again={url: (control,)})
    show = Performance(Stage({"bad.test": "reset"}), journal, desk=desk)
    bad = show.go(*urls("a.example"), url)[url]
    assert [ask.input for ask in desk.rechecked] == [url]
    assert desk.rechecked[0].addresses == (address_of("bad.test"),)
    assert [one.id for one in bad.control] == ["c1"]
    assert -6.0 < bad.control[0].age < 0.0


def test_what_is_held_back_is_on_disk_until_it_is_kept(journal: Journal, tmp_path: Path) -> None:
    stage = Stage({"bad.test": "reset"}, delay=0.2)
    show = Performance(stage, journal)
    seen: list[int] = []
    hold = journal.hold

    def watched(record: Record) -> None:
        hold(record)
        seen.append(len(journal.left_over()))

    journal.hold = watched  # type: ignore[method-assign]
    show.go(*urls("a.example", "bad.test"))
    assert seen == [1, 1]
    assert journal.left_over() == ()


def test_what_the_rules_do_not_find_fine_is_looked_at_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def doubtful(record: Record) -> Verdict:
        looks.append(max(step.try_ for step in record.steps))
        outcome = Outcome.OK if looks[-1] > 1 else Outcome.INCONCLUSIVE
        return Verdict(outcome=outcome)

    monkeypatch.setattr(stage, "judge", doubtful)
    show = Performance(Stage(), journal)
    records = show.go(*urls("a.example"))
    assert looks == [1, 2]
    assert outcome(records["https://a.example/"]) is Outcome.OK
    assert show.own.facts is not None
    assert show.own.facts.outcomes == {"ok": 1}


def test_a_rule_that_breaks_costs_the_verdict_and_not_the_evidence(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(record: Record) -> Verdict:
        raise ZeroDivisionError

    monkeypatch.setattr(stage, "judge", broken)
    show = Performance(Stage(), journal)
    record = show.go(*urls("a.example"))["https://a.example/"]
    assert record.verdict is None
    assert record.steps
    assert show.ending is not None
    assert show.ending.bugs == 1


def compared(show: Performance) -> list[str]:
    return [one.input for one in show.kept.records if one.experiment == "throttle"]


@pytest.mark.parametrize("left", [True, False])
def test_a_slow_page_is_followed_up_where_the_day_allows(journal: Journal, left: bool) -> None:  # noqa: FBT001 - both ways
    async def comparing() -> dict[str, object] | None:
        return {"bulk": "93.184.0.1"} if left else None

    show = Performance(Stage({"drips.test": "drips"}), journal, comparing=comparing)
    records = show.go(*urls("a.example", "drips.test"))
    assert outcome(records["https://a.example/"]) is Outcome.OK
    assert compared(show) == (["https://drips.test/"] if left else [])
    assert show.own.facts is not None
    assert show.own.facts.targets == show.own.facts.measured


def test_where_nothing_was_slow_nobody_is_asked_for_servers(journal: Journal) -> None:
    async def comparing() -> dict[str, object] | None:
        raise AssertionError

    show = Performance(Stage(), journal, comparing=comparing)
    show.go(*urls("a.example", "b.example"))
    assert compared(show) == []


def test_only_the_slowest_few_are_followed_up(journal: Journal) -> None:
    async def comparing() -> dict[str, object] | None:
        return {"bulk": "93.184.0.1"}

    hosts = [f"drips{n}.test" for n in range(9)]
    show = Performance(Stage(dict.fromkeys(hosts, "drips")), journal, comparing=comparing)
    show.go(*urls(*hosts))
    assert len(compared(show)) == COMPARED
