"""A control measures what probes ask for, if it is listed, and uploads it at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from probe import codec
from probe.api_types import RecheckJob
from probe.client.context import ClientContext, assemble
from probe.config import Settings
from probe.model import Record, Role, Tls
from probe.report.console import Console
from probe.runner import recheck_worker
from probe.runner.dependencies import RunDependencies
from probe.runner.recheck_worker import RecheckWorker
from tests.probe import fake_run
from tests.probe.fake_collector import FakeCollector
from tests.probe.fake_run import Behaviour, FakeSession, fake_dependencies, job_list

URL = "https://a.example/"


@pytest.fixture(autouse=True)
def _fake_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck_worker, "judge", fake_run.judge)


def measured(session: FakeSession, job: RecheckJob, state: Path) -> Record | None:
    context = assemble(Settings(role="control"), state)
    worker = RecheckWorker(context, fake_dependencies(session), Console(quiet=True))
    return asyncio.run(worker.measure(job))


def test_a_recheck_is_a_record_like_any_other(tmp_path: Path) -> None:
    found = measured(FakeSession(), RecheckJob(id="j", input=URL), tmp_path)
    assert found is not None
    assert found.input == URL
    assert found.verdict is not None
    assert found.verdict.outcome == "ok"


def test_addresses_that_a_probe_got_are_tried_with_the_name(tmp_path: Path) -> None:
    job = RecheckJob(id="j", input=URL, addresses=("192.0.2.7", "nonsense", "192.0.2.8"))
    found = measured(FakeSession(), job, tmp_path)
    assert found is not None
    extra = [s for s in found.steps if isinstance(s, Tls) and s.role is Role.NEUTRAL]
    assert [(step.address, step.sni) for step in extra] == [
        ("192.0.2.7", "a.example"),
        ("192.0.2.8", "a.example"),
    ]


def test_a_failure_is_confirmed(tmp_path: Path) -> None:
    found = measured(FakeSession({"a.example": "once"}), RecheckJob(id="j", input=URL), tmp_path)
    assert found is not None
    assert {step.try_ for step in found.steps} == {1, 2}


@pytest.mark.parametrize("behaviour", ["bug"])
def test_a_target_that_cannot_be_measured_is_skipped(tmp_path: Path, behaviour: Behaviour) -> None:
    assert (
        measured(FakeSession({"a.example": behaviour}), RecheckJob(id="j", input=URL), tmp_path)
        is None
    )


def test_only_a_repeating_control_answers_rechecks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def dependencies(_: ClientContext) -> AsyncIterator[RunDependencies]:
        yield fake_dependencies(FakeSession())

    monkeypatch.setattr(recheck_worker, "run_dependencies", dependencies)
    rechecks = [
        RecheckJob(id="1", input=URL),
        RecheckJob(id="2", input="https://unlisted.example/"),
    ]

    async def scenario(*, every: float | None) -> FakeCollector:
        async with FakeCollector(jobs=list(rechecks)) as collector:
            settings = Settings(role="control", every=every, collector=(collector.url,))
            context, jobs = assemble(settings, tmp_path), job_list("a.example")
            async with recheck_worker.recheck_workers(context, jobs, Console(quiet=True)):
                for _ in range(150):
                    await asyncio.sleep(0.02)
                    if collector.stored or every is None:
                        break
            return collector

    answered = asyncio.run(scenario(every=900.0))
    assert [codec.decode(line).input for line in answered.stored.values()] == [URL]
    assert not asyncio.run(scenario(every=None)).requests
