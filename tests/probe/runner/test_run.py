"""The phases of a run, over a fake network."""

import asyncio
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from probe import codec
from probe.api_types import BulkReply
from probe.experiments.interface import Experiment, Net, Share, Task
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Control, Dns, Outcome, Record, Role, Steps, Tls, Verdict
from probe.ordering import Job
from probe.runner.shares import OFFLINE, SPENT
from tests.probe.fake_run import (
    BULK,
    EXPERIMENTS,
    Behaviour,
    FakeControls,
    FakeRun,
    FakeSession,
    address_of,
    urls,
)


def outcome(record: Record) -> Outcome:
    assert record.verdict is not None
    return record.verdict.outcome


def test_a_target_that_works_is_measured_once(tmp_path: Path) -> None:
    run = FakeRun(FakeSession(), tmp_path)
    records = run.measure(*urls("a.example", "b.test"))
    assert {outcome(record) for record in records.values()} == {Outcome.OK}
    assert all(step.try_ == 1 for record in records.values() for step in record.steps)
    assert run.own.facts is not None
    assert run.own.facts.measured == 2
    assert run.own.facts.ended == "finished"


def test_the_runs_own_record_is_last_and_counts_outcomes(tmp_path: Path) -> None:
    run = FakeRun(FakeSession({"bad.test": "reset"}), tmp_path)
    run.measure(*urls("a.example", "bad.test"))
    assert [record.experiment for record in run.store.records] == ["web", "web", "run"]
    assert run.own.facts is not None
    assert run.own.facts.outcomes == {"ok": 1, "blocked": 1}


def test_a_failure_is_confirmed_beside_a_reference_site(tmp_path: Path) -> None:
    run = FakeRun(FakeSession({"bad.test": "reset"}), tmp_path)
    bad = run.measure(*urls("a.example", "bad.test"))["https://bad.test/"]
    assert outcome(bad) is Outcome.BLOCKED
    references = [step for step in bad.steps if step.role is Role.REFERENCE]
    assert any(isinstance(step, Tls) and step.sni == "a.example" for step in references)


def test_a_failure_that_is_not_repeated_is_no_interference(tmp_path: Path) -> None:
    run = FakeRun(FakeSession({"flaky.test": "once"}), tmp_path)
    flaky = run.measure(*urls("a.example", "flaky.test"))["https://flaky.test/"]
    assert outcome(flaky) is Outcome.OK
    assert next(step.failure for step in flaky.steps if isinstance(step, Tls)) is Failure.RESET


def test_unreachable_anchors_alone_do_not_make_a_run_offline(tmp_path: Path) -> None:
    session = FakeSession({"anchor.test": "silent", "bad.test": "reset"})
    run = FakeRun(session, tmp_path, anchors=urls("anchor.test"))
    records = run.measure(*urls("a.example", "bad.test"))
    assert run.result is not None
    assert not run.result.offline
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED


def test_on_a_dead_line_nothing_is_confirmed(tmp_path: Path) -> None:
    run = FakeRun(FakeSession(dead=True), tmp_path, anchors=urls("anchor.test"))
    records = run.measure(*urls("a.example", "b.test", "c.test"))
    assert run.result is not None
    assert run.result.offline
    assert {outcome(record) for record in records.values()} == {Outcome.INCONCLUSIVE}
    assert all(step.try_ == 1 for record in records.values() for step in record.steps)


def test_an_answer_from_a_collector_shows_that_the_line_works(tmp_path: Path) -> None:
    run = FakeRun(FakeSession(dead=True), tmp_path, controls=FakeControls(answered=True))
    run.measure(*urls("a.example"))
    assert run.result is not None
    assert not run.result.offline


def test_a_bug_costs_one_target(tmp_path: Path) -> None:
    run = FakeRun(FakeSession({"bug.test": "bug"}), tmp_path)
    records = run.measure(*urls("a.example", "bug.test"))
    assert set(records) == {"https://a.example/"}
    assert [type(error) for error in run.bugs] == [ZeroDivisionError]
    assert run.own.facts is not None
    assert [skip.input for skip in run.own.facts.skipped] == ["https://bug.test/"]
    assert run.result is not None
    assert run.result.bugs == 1


def test_a_stop_leaves_measurements_unconfirmed_and_lists_the_rest(tmp_path: Path) -> None:
    session = FakeSession({"bad.test": "reset", "slow.test": "slow", "b.test": "slow"})
    run = FakeRun(session, tmp_path, concurrency=2)
    started = time.monotonic()
    records = run.measure(*urls("bad.test", "slow.test", "b.test", "c.test"), stop_after=0.3)
    assert time.monotonic() - started < 15.0  # a slow host takes 30
    facts = run.own.facts
    assert facts is not None
    assert facts.ended == "interrupted"
    assert len(records) + len(facts.skipped) == 4
    assert {skip.reason for skip in facts.skipped} == {"the run was stopped"}


def test_time_is_reserved_for_confirmations(tmp_path: Path) -> None:
    hosts = [f"slow{n}.test" for n in range(20)]
    behaviours: dict[str, Behaviour] = dict.fromkeys(hosts, "slow")
    session = FakeSession({**behaviours, "bad.test": "reset"})
    run = FakeRun(session, tmp_path, seconds=3.0, concurrency=30)
    started = time.monotonic()
    records = run.measure(*urls("a.example", "bad.test", *hosts))
    assert time.monotonic() - started < 15.0  # a slow host takes 30
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED
    facts = run.own.facts
    assert facts is not None
    assert facts.ended == "time"
    assert {skip.reason for skip in facts.skipped} == {"time was up"}
    assert len(facts.skipped) == 20
    assert facts.skipped_counts == {"time was up": 20}


def test_the_record_of_a_long_list_stays_small(tmp_path: Path) -> None:
    hosts = [f"slow{n}.test" for n in range(5000)]
    behaviours: dict[str, Behaviour] = dict.fromkeys(hosts, "slow")
    run = FakeRun(FakeSession(behaviours), tmp_path, seconds=2.0)
    run.measure(*urls(*hosts))
    facts = run.own.facts
    assert facts is not None
    assert facts.skipped_counts == {"time was up": 5000}
    assert len(facts.skipped) == 50
    assert len(codec.encode(run.own)) < 20_000


def test_a_long_list_of_one_exclusive_experiment_is_ordered_at_once(tmp_path: Path) -> None:
    jobs = tuple(Job("throttle", url) for url in urls(*(f"site{n}.test" for n in range(20_000))))
    run = FakeRun(FakeSession(), tmp_path, seconds=1.0)
    # Of the processor, so that what else runs on this machine does not count.
    started = time.process_time()
    run.measure_jobs(jobs)
    assert time.process_time() - started < 5.0
    assert run.own.facts is not None
    assert run.own.facts.targets == 20_000


def test_nothing_of_ours_is_measured_beside_what_loads_the_line(tmp_path: Path) -> None:
    session = FakeSession({"late.test": "late"})
    run = FakeRun(session, tmp_path, anchors=urls("anchor.test", "late.test"))
    site = "https://site.test/"
    run.measure_jobs((Job("web", site), Job("throttle", site)))
    assert "late.test" in session.hosts
    assert session.beside[BULK.address] == 0


def test_the_byte_budget_is_exceeded_by_one_exchange_at_most(tmp_path: Path) -> None:
    session = FakeSession(page_bytes=100_000, delay=0.01)
    run = FakeRun(session, tmp_path, bytes=1_000_000)
    run.measure(*urls(*(f"site{n}.test" for n in range(40))))
    assert 1_000_000 <= session.bytes_in + session.bytes_out <= 1_100_000
    facts = run.own.facts
    assert facts is not None
    assert facts.ended == "bytes"
    assert facts.measured + len(facts.skipped) == 40
    assert {skip.reason for skip in facts.skipped} == {"the byte budget was spent"}


def test_one_host_gets_one_job_at_a_time(tmp_path: Path) -> None:
    session = FakeSession(delay=0.02)
    run = FakeRun(session, tmp_path)
    run.measure(*(f"https://one.test/{n}" for n in range(6)))
    # The check of a reference site makes a handshake and fetches a plain page concurrently.
    assert session.max_concurrent <= 2


def test_what_failed_is_rechecked_by_controls(tmp_path: Path) -> None:
    url = "https://bad.test/"
    control = Control(id="c1", age=-5.0, steps=(Dns(name="bad.test", resolver="system"),))
    controls = FakeControls(again={url: (control,)})
    run = FakeRun(FakeSession({"bad.test": "reset"}), tmp_path, controls=controls)
    bad = run.measure(*urls("a.example"), url)[url]
    assert [ask.input for ask in controls.rechecked] == [url]
    assert controls.rechecked[0].addresses == (address_of("bad.test"),)
    assert [one.id for one in bad.control] == ["c1"]
    assert -6.0 < bad.control[0].age < 0.0


def test_held_records_are_in_the_journal_until_they_are_stored(tmp_path: Path) -> None:
    session = FakeSession({"bad.test": "reset"}, delay=0.2)
    run = FakeRun(session, tmp_path)
    held: list[int] = []
    hold = run.journal.hold

    def counted(record: Record) -> None:
        hold(record)
        held.append(len(run.journal.held()))

    run.journal.hold = counted  # type: ignore[method-assign]
    run.measure(*urls("a.example", "bad.test"))
    assert held == [1, 1]
    assert run.journal.held() == ()


def test_what_the_rules_do_not_find_ok_is_confirmed(tmp_path: Path) -> None:
    tries: list[int] = []

    def doubtful(record: Record) -> Verdict:
        tries.append(max(step.try_ for step in record.steps))
        outcome = Outcome.OK if tries[-1] > 1 else Outcome.INCONCLUSIVE
        return Verdict(outcome=outcome)

    run = FakeRun(FakeSession(), tmp_path, judge=doubtful)
    records = run.measure(*urls("a.example"))
    assert tries == [1, 2]
    assert outcome(records["https://a.example/"]) is Outcome.OK
    assert run.own.facts is not None
    assert run.own.facts.outcomes == {"ok": 1}


def test_a_rule_that_raises_costs_the_verdict_and_not_the_record(tmp_path: Path) -> None:
    def broken(record: Record) -> Verdict:
        raise ZeroDivisionError

    run = FakeRun(FakeSession(), tmp_path, judge=broken)
    record = run.measure(*urls("a.example"))["https://a.example/"]
    assert record.verdict is None
    assert record.steps
    assert run.result is not None
    assert run.result.bugs == 1


def followed_up(run: FakeRun) -> list[str]:
    return [one.input for one in run.store.records if one.experiment == "throttle"]


@pytest.mark.parametrize("left", [True, False])
def test_a_slow_page_is_followed_up_if_the_quota_allows(tmp_path: Path, left: bool) -> None:  # noqa: FBT001 - both ways
    options = {} if left else {"throttle": {"daily_bytes": 0}}
    run = FakeRun(FakeSession({"drips.test": "drips"}), tmp_path, options=options)
    records = run.measure(*urls("a.example", "drips.test"))
    assert outcome(records["https://a.example/"]) is Outcome.OK
    assert followed_up(run) == (["https://drips.test/"] if left else [])
    assert run.own.facts is not None
    assert run.own.facts.targets == run.own.facts.measured


def test_without_a_slow_page_collectors_are_not_asked_for_servers(tmp_path: Path) -> None:
    async def bulk_servers() -> tuple[BulkReply, ...]:
        raise AssertionError

    run = FakeRun(FakeSession(), tmp_path, bulk_servers=bulk_servers)
    run.measure(*urls("a.example", "b.example"))
    assert followed_up(run) == []


def test_only_the_slowest_few_are_followed_up(tmp_path: Path) -> None:
    hosts = [f"drips{n}.test" for n in range(9)]
    run = FakeRun(FakeSession(dict.fromkeys(hosts, "drips")), tmp_path)
    run.measure(*urls(*hosts))
    follow_up = EXPERIMENTS["throttle"].follow_up
    assert follow_up is not None
    assert len(followed_up(run)) == follow_up.most


def throttle_jobs(*hosts: str) -> tuple[Job, ...]:
    return tuple(Job("throttle", url) for url in urls(*hosts))


def test_a_share_that_is_spent_skips_the_rest_with_its_reason(tmp_path: Path) -> None:
    hosts = ("a.example", "b.example", "c.example")
    run = FakeRun(
        FakeSession(),
        tmp_path,
        more_jobs=throttle_jobs(*hosts),
        shares={"web": Share(), "throttle": Share(seconds=0.0)},
    )
    run.measure(*urls(*hosts))
    facts = run.own.facts
    assert facts is not None
    assert facts.ended == "finished"
    assert facts.measured == 3
    assert facts.skipped_counts == {SPENT: 3}


def test_what_loads_a_dead_line_is_not_begun_in_a_profile(tmp_path: Path) -> None:
    run = FakeRun(
        FakeSession(dead=True),
        tmp_path,
        anchors=urls("anchor.test"),
        more_jobs=throttle_jobs("a.example"),
        shares={"throttle": Share(seconds=60.0)},
    )
    run.measure(*urls("a.example"))
    facts = run.own.facts
    assert facts is not None
    assert facts.skipped_counts == {OFFLINE: 1}


def test_a_slow_page_is_followed_up_although_its_share_was_spent(tmp_path: Path) -> None:
    run = FakeRun(
        FakeSession({"drips.test": "drips"}),
        tmp_path,
        more_jobs=throttle_jobs("drips.test"),
        shares={"throttle": Share(seconds=0.0)},
    )
    run.measure(*urls("a.example", "drips.test"))
    assert followed_up(run) == ["https://drips.test/"]


def test_a_second_look_is_made_while_the_sweep_goes_on(tmp_path: Path) -> None:
    session = FakeSession({"bad.test": "reset"}, delay=0.005)
    run = FakeRun(session, tmp_path, concurrency=2)
    records = run.measure(*urls("bad.test", *(f"site{n}.example" for n in range(40))))
    looks = [n for n, host in enumerate(session.hosts) if host == "bad.test"]
    firsts = {host: session.hosts.index(host) for host in session.hosts}
    assert len(looks) == 2
    assert looks[1] < max(firsts.values())
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED


def test_a_second_look_does_not_wait_for_silent_anchors(tmp_path: Path) -> None:
    session = FakeSession({"bad.test": "reset", "anchor.test": "slow"}, delay=0.005)
    run = FakeRun(session, tmp_path, anchors=urls("anchor.test"), seconds=5.0)
    records = run.measure(*urls("bad.test", *(f"site{n}.example" for n in range(40))))
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED


def test_a_second_look_waits_only_for_what_may_find_a_reference_site(tmp_path: Path) -> None:
    session = FakeSession({"bad.test": "reset"})
    looks: list[int] = []

    async def measure(_: Task, net: Net) -> Steps:
        while session.hosts.count("bad.test") < 2 and len(looks) < 300:
            looks.append(len(session.hosts))
            await asyncio.sleep(0.01)
        return (await net.dns(DnsQuery("line.example", net.resolvers[0])),)

    with patch.dict(EXPERIMENTS, {"line": Experiment("line", 1, measure, once=True)}):
        run = FakeRun(session, tmp_path, more_jobs=(Job("line", ""),))
        records = run.measure(*urls("bad.test", "a.example"))
    assert len(looks) < 300
    assert outcome(records["https://bad.test/"]) is Outcome.BLOCKED
