"""Judging transfers of hostile records; the experiment's own test covers the honest ones."""

import pytest
from hypothesis import given, settings, strategies as st

from probe import codec
from probe.clip import within_bounds
from probe.judge import judge
from probe.model import Outcome, Record, Sample, Transfer, Vantage
from probe.rules import RULES
from probe.rules.throttle import kbits

numbers = st.none() | st.integers(-(10**400), 10**400) | st.integers(0, 10**7)
samples = st.builds(
    Sample,
    at=st.floats(-10, 10) | st.just(1e308),
    wire=numbers.map(lambda n: n or 0),
    segments=numbers,
    out_of_order=numbers,
    rcv_rtt=st.none() | st.floats(0, 1e308),
    min_rtt=st.none() | st.floats(0, 10),
)
transfers = st.builds(
    Transfer,
    address=st.just("192.0.2.1"),
    port=st.just(443),
    sni=st.just("x"),
    arm=st.sampled_from(["A", "B", "C", "D", "E", "F", "L"]),
    pair=st.integers(-1, 6),
    ended=st.sampled_from(["full", "cap", "stall", "eof", "reset", "error", "budget"]),
    asked_bytes=numbers.map(lambda n: n or 0),
    handshake_seconds=st.none() | st.floats(0, 10),
    longest_gap=st.none() | st.floats(0, 10),
    stalled_at=numbers,
    samples=st.lists(samples, max_size=4).map(tuple),
)


@settings(deadline=None)
@given(st.lists(transfers, max_size=12), st.sampled_from(["throttle", "speed", "connectivity"]))
def test_any_transfers_are_judged_and_nothing_raises(steps: list[Transfer], kind: str) -> None:
    record = Record(
        id="1",
        run="2",
        experiment=kind,
        input="https://x/",
        started_at="2026-11-21T21:00:00.000Z",
        elapsed=1.0,
        vantage=Vantage(),
        steps=tuple(steps),
    )
    received = codec.decode(codec.encode(within_bounds(record)))
    for verdict in (judge(record), judge(received)):
        assert verdict.outcome in set(Outcome)
        assert verdict.rules


def test_each_experiment_is_judged_by_its_own_rules() -> None:
    layers = {
        name: {r.id.partition(".")[0] for r in RULES if name in r.experiments}
        for name in ("throttle", "web", "speed", "connectivity")
    }
    assert layers["throttle"] == {"throttle"}
    assert layers["speed"] == {"speed"}
    assert layers["connectivity"] == {"shutdown"}
    assert layers["web"].isdisjoint({"throttle", "speed", "shutdown"})


@pytest.mark.parametrize(
    ("rate", "text"),
    [(16_000.0, "128 kbit/s"), (250_000.0, "2.0 Mbit/s"), (None, "an unknown rate")],
)
def test_rates_are_written_in_kbit_and_mbit(rate: float | None, text: str) -> None:
    assert kbits(rate) == text
