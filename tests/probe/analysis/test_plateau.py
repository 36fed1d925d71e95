import math
from itertools import accumulate

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.analysis.plateau import burst, limiter, queueing, reordered, standing
from probe.model import Sample, Transfer
from probe.transfer_rate import plateau
from tests.probe.test_transfer_rate import steady


def flow(*, late: float, rtt: float, floor: float = 0.04, arm: str = "A") -> Transfer:
    sample = Sample(
        at=5.0, wire=10**6, segments=1000, out_of_order=int(1000 * late), rcv_rtt=rtt, min_rtt=floor
    )
    return Transfer(
        address="192.0.2.1",
        port=443,
        sni="x.example",
        arm="A" if arm == "A" else "B",
        pair=1,
        samples=(Sample(at=0.0, wire=0), sample),
    )


def test_the_burst_is_counted_above_the_plateau() -> None:
    samples = steady(20_000, head=100_000)
    assert burst(samples, 20_000) == pytest.approx(100_000, rel=0.05)
    assert burst(steady(20_000), 20_000) is None


CLEAN = [flow(late=0.0, rtt=0.045, arm="B")]


@pytest.mark.parametrize(
    ("slowed", "control", "kind"),
    [
        (flow(late=0.12, rtt=0.045), CLEAN, "policer"),
        (flow(late=0.10, rtt=0.400), CLEAN, "shaper"),
        (flow(late=0.00, rtt=0.400), CLEAN, "shaper"),
        (flow(late=0.00, rtt=0.045), CLEAN, "unknown"),
        (flow(late=0.12, rtt=0.045), [flow(late=0.08, rtt=0.045, arm="B")], "unknown"),
        (flow(late=0.00, rtt=0.400), [flow(late=0.0, rtt=0.300, arm="B")], "unknown"),
        (flow(late=0.12, rtt=0.045), [], "unknown"),
    ],
)
def test_the_limiter_s_kind_needs_a_clean_control(
    slowed: Transfer, control: list[Transfer], kind: str
) -> None:
    assert limiter([slowed], control) == kind


def test_on_a_short_path_a_policer_is_known_by_its_pauses() -> None:
    # The round trip is measured across the pause, so it looks like a queue of 200 ms.
    samples = tuple(
        Sample(
            at=n / 10,
            wire=n // 3 * 7_000,
            segments=n // 3 * 5,
            out_of_order=n // 5,
            rcv_rtt=0.208,
            min_rtt=0.0001,
        )
        for n in range(50)
    )
    paused = replace(flow(late=0.1, rtt=0.208, floor=0.0001), samples=samples)
    clean = [flow(late=0.0, rtt=0.001, floor=0.0001, arm="B")]
    assert standing([paused]) == pytest.approx(2 / 3, abs=0.05)
    assert limiter([paused], clean) == "policer"
    assert standing([flow(late=0.1, rtt=0.4)]) == 0.0


def test_without_counters_the_limiter_is_unknown() -> None:
    blind = Transfer(
        address="192.0.2.1", port=443, sni=None, arm="A", pair=1, samples=(Sample(at=1.0, wire=5),)
    )
    assert reordered([blind]) is None
    assert queueing([blind]) is None
    assert limiter([blind], CLEAN) == "unknown"


steps = st.lists(
    st.tuples(st.floats(0, 5), st.integers(0, 10**7), st.none() | st.integers(0, 10**5)),
    max_size=64,
)


@given(steps, st.none() | st.integers(1, 70_000))
def test_no_samples_of_a_hostile_record_raise(
    raw: list[tuple[float, int, int | None]], mss: int | None
) -> None:
    times = list(accumulate(at for at, _, _ in raw))
    samples = [
        Sample(at=at, wire=wire, segments=n) for at, (_, wire, n) in zip(times, raw, strict=True)
    ]
    rate = plateau(samples, mss)
    assert rate is None or 0 <= rate < math.inf
    first = burst(samples, rate)
    assert first is None or 0 < first <= sum(wire for _, wire, _ in raw)
