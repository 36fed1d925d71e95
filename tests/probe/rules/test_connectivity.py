"""Rules about reach, on steps made by hand; the experiment's test covers whole records."""

import pytest

from probe.failure import Failure
from probe.judge import judge
from probe.model import Outcome, Ping, Record, Vantage, Verdict


def judged(*rounds: tuple[float, str]) -> Verdict:
    """Rounds of (time, classes that answer), e.g. "eo"."""
    steps = tuple(
        Ping(
            id=1 + n * 20 + k,
            what=what,
            try_=n + 1,
            at=at,
            failure=None if what[0] in up else Failure.TIMEOUT,
        )
        for n, (at, up) in enumerate(rounds)
        for k, what in enumerate(["gateway", *["essential", "ordinary", "foreign"] * 4])
    )
    return judge(
        Record(
            id="1",
            run="2",
            experiment="connectivity",
            input="",
            started_at="2026-11-21T21:00:00.000Z",
            elapsed=1.0,
            vantage=Vantage(),
            steps=steps,
        )
    )


@pytest.mark.parametrize(
    ("rounds", "outcome", "rule"),
    [
        ([(0.0, "geof")], Outcome.OK, "shutdown.reaches_abroad"),
        ([(0.0, "ge")], Outcome.INCONCLUSIVE, "shutdown.cut_off_once"),
        ([(0.0, "ge"), (300.0, "ge")], Outcome.BLOCKED, "shutdown.cut_off"),
        ([(0.0, "ge"), (60.0, "ge")], Outcome.INCONCLUSIVE, "shutdown.cut_off_once"),
        ([(0.0, "ge"), (300.0, "geo")], Outcome.INCONCLUSIVE, "shutdown.cut_off_once"),
        ([(0.0, "geo"), (300.0, "geo")], Outcome.BLOCKED, "shutdown.cut_off"),
        ([(0.0, "g")], Outcome.INCONCLUSIVE, "shutdown.offline"),
        ([(0.0, "")], Outcome.INCONCLUSIVE, "shutdown.offline"),
        ([], Outcome.INCONCLUSIVE, "shutdown.unclear"),
    ],
)
def test_one_round_suspects_and_two_accuse(
    rounds: list[tuple[float, str]], outcome: Outcome, rule: str
) -> None:
    verdict = judged(*rounds)
    assert verdict.outcome is outcome
    assert verdict.rules[0].id == rule
