"""A trace accuses only for acts at a distance where the server cannot be the cause."""

import pytest

from probe.analysis.trace_analysis import Layer
from probe.judge import judge
from probe.model import Mechanism, Outcome, Record, Steps, Vantage
from tests.probe.wayfarer import walk


def record(steps: Steps) -> Record:
    return Record(
        id="0",
        run="0",
        experiment="trace",
        input="https://n/",
        started_at="2026-11-22T00:00:00.000Z",
        elapsed=1.0,
        vantage=Vantage(),
        steps=steps,
    )


@pytest.mark.parametrize(
    ("layer", "target", "mechanism"),
    [
        ("tls", "xxrr", Mechanism.TLS_RESET),
        ("tls", "xxss", Mechanism.TLS_TIMEOUT),
        ("tls", "xxcc", Mechanism.TLS_EOF),
        ("tls", "xxaa", Mechanism.TLS_ALERT),
        ("http", "xxrr", Mechanism.HTTP_RESET),
        ("http", "xxss", Mechanism.HTTP_TIMEOUT),
        ("http", "xxaa", Mechanism.HTTP_INJECTED),
        ("dns", "xxaa", Mechanism.DNS_INJECTED),
        ("dns", "xxss", Mechanism.DNS_TIMEOUT),
    ],
)
def test_an_act_before_the_server_is_blocking(
    layer: Layer, target: str, mechanism: Mechanism
) -> None:
    verdict = judge(record(walk(layer, "xxxa", target)))
    assert (verdict.outcome, verdict.mechanisms) == (Outcome.BLOCKED, (mechanism,))
    assert "between hop 2 and hop 3" in verdict.rules[0].reason


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        (walk("tls", "xxxa", "xxxr"), "path.differs_at_the_server"),
        (walk("tls", "xxxa", "xxxa"), "path.both_names_fare_alike"),
        (walk("tls", "xxxa", "xxrr", tries=1), "path.both_names_fare_alike"),
        (walk("tls", "ssss", ""), "path.no_way_to_compare"),
        ((), "path.no_way_to_compare"),
    ],
)
def test_other_traces_are_inconclusive_and_never_ok(steps: Steps, rule: str) -> None:
    verdict = judge(record(steps))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert rule in {hit.id for hit in verdict.rules}
