"""A control looks at what probes ask for: only what is listed, and sends it at once."""

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
from probe.runner.ports import RunDependencies
from probe.runner.recheck_worker import RecheckWorker
from tests.probe.fake_collector import FakeCollector
from tests.probe.stage import Manner, Stage, assignment, kit

URL = "https://a.example/"


def measured(stage: Stage, job: RecheckJob, state: Path) -> Record | None:
    outfit = assemble(Settings(role="control"), state)
    return asyncio.run(RecheckWorker(outfit, kit(stage), Console(quiet=True)).measure(job))


def test_a_recheck_is_a_record_like_any_other(tmp_path: Path) -> None:
    found = measured(Stage(), RecheckJob(id="j", input=URL), tmp_path)
    assert found is not None
    assert found.input == URL
    assert found.verdict is not None
    assert found.verdict.outcome == "ok"


def test_addresses_that_a_probe_was_given_are_asked_for_the_name(tmp_path: Path) -> None:
    job = RecheckJob(id="j", input=URL, addresses=("192.0.2.7", "nonsense", "192.0.2.8"))
    found = measured(Stage(), job, tmp_path)
    assert found is not None
    extra = [s for s in found.steps if isinstance(s, Tls) and s.role is Role.NEUTRAL]
    assert [(step.address, step.sni) for step in extra] == [
        ("192.0.2.7", "a.example"),
        ("192.0.2.8", "a.example"),
    ]


def test_a_failure_is_looked_at_twice(tmp_path: Path) -> None:
    found = measured(Stage({"a.example": "once"}), RecheckJob(id="j", input=URL), tmp_path)
    assert found is not None
    assert {step.try_ for step in found.steps} == {1, 2}


@pytest.mark.parametrize("manner", ["bug"])
def test_what_cannot_be_measured_is_passed_over(tmp_path: Path, manner: Manner) -> None:
    assert measured(Stage({"a.example": manner}), RecheckJob(id="j", input=URL), tmp_path) is None


def test_a_control_that_repeats_answers_and_any_other_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def staged(_: ClientContext) -> AsyncIterator[RunDependencies]:
        yield kit(Stage())

    monkeypatch.setattr(recheck_worker, "kit", staged)
    jobs = [
        RecheckJob(id="1", input=URL),
        RecheckJob(id="2", input="https://unlisted.example/"),
    ]

    async def story(*, every: float | None) -> FakeCollector:
        async with FakeCollector(jobs=list(jobs)) as collector:
            settings = Settings(role="control", every=every, collector=(collector.url,))
            made = assemble(settings, tmp_path)
            async with recheck_worker.answering(made, assignment("a.example"), Console(quiet=True)):
                for _ in range(150):
                    await asyncio.sleep(0.02)
                    if collector.stored or every is None:
                        break
            return collector

    answered = asyncio.run(story(every=900.0))
    assert [codec.decode(line).input for line in answered.stored.values()] == [URL]
    assert not asyncio.run(story(every=None)).requests
