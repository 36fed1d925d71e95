"""A target that cannot be measured is skipped with a reason."""

import asyncio

import pytest
from msgspec.structs import replace

from probe import extras
from probe.experiments.interface import Net, Task
from probe.model import Steps
from probe.ordering import Job
from probe.runner.byte_budget import ByteBudget
from probe.runner.measurer import Measurer, NotMeasured
from tests.probe.fake_run import EXPERIMENTS, FakeSession

URL = "https://fine.test/"


def measurer(session: FakeSession) -> Measurer:
    needs_extra = replace(EXPERIMENTS["web"], name="quic", extra="quic")
    return Measurer(
        {"quic": needs_extra},
        session,
        ByteBudget(10_000_000, lambda: 0),
        harmless=(),
        profile="full",
        options={},
        seed=1,
        report_bug=lambda _job, error: pytest.fail(repr(error)),
    )


def test_a_missing_extra_is_the_reason_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(NotMeasured, match=r"quic needs an extra .* pip install 'qazprobe\[quic\]'"):
        asyncio.run(measurer(FakeSession()).measure(Job("quic", URL)))


def test_with_the_extra_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    assert asyncio.run(measurer(FakeSession()).measure(Job("quic", URL))).steps


def test_a_bug_in_the_confirmation_keeps_what_the_sweep_saw() -> None:
    async def broken(*_: object) -> Steps:
        raise RuntimeError("ours")

    bugs: list[BaseException] = []
    ours = measurer(FakeSession())
    ours = replace(
        ours,
        experiments={"web": replace(EXPERIMENTS["web"], confirm=broken)},
        report_bug=lambda _job, error: bugs.append(error),
    )

    async def both() -> tuple[Steps, Steps]:
        seen = await ours.measure(Job("web", URL))
        return seen.steps, (await ours.confirm(seen, (), ())).steps

    seen, confirmed = asyncio.run(both())
    assert confirmed == seen
    assert [str(error) for error in bugs] == ["ours"]


@pytest.mark.parametrize("loads_the_line", [True, False])
def test_only_what_loads_the_line_is_told_of_an_earlier_suspicion(
    loads_the_line: bool,  # noqa: FBT001 - both sorts of experiment
) -> None:
    """It may spend more on what drew suspicion; for no other is the history read."""
    told: list[bool] = []
    asked: list[Job] = []

    async def measure(task: Task, _: Net) -> Steps:
        told.append(task.suspected)
        return ()

    def suspects(job: Job) -> bool:
        asked.append(job)
        return True

    one = replace(EXPERIMENTS["web"], measure=measure, exclusive=loads_the_line)
    ours = replace(measurer(FakeSession()), experiments={"web": one}, suspects=suspects)
    asyncio.run(ours.measure(Job("web", URL)))
    assert told == [loads_the_line]
    assert bool(asked) is loads_the_line
