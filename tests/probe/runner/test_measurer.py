"""What a target costs when it cannot be measured: a word, not an error."""

import asyncio
from dataclasses import replace

import pytest

from probe import extras
from probe.ordering import Job
from probe.runner.byte_budget import ByteBudget
from probe.runner.measurer import Measurer, NotMeasured
from tests.probe.stage import EXPERIMENTS, Stage

URL = "https://fine.test/"


def looker(stage: Stage) -> Measurer:
    needy = replace(EXPERIMENTS["web"], name="quic", extra="quic")
    return Measurer(
        {"quic": needy},
        stage,
        ByteBudget(10_000_000, lambda: 0),
        harmless=(),
        profile="full",
        options={},
        seed=1,
        bug=lambda _job, error: pytest.fail(repr(error)),
    )


def test_a_missing_extra_is_a_reason_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(NotMeasured, match=r"quic needs an extra .* pip install 'qazprobe\[quic\]'"):
        asyncio.run(looker(Stage()).first(Job("quic", URL)))


def test_with_the_extra_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    assert asyncio.run(looker(Stage()).first(Job("quic", URL))).steps
