from itertools import accumulate

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.analysis.plateau import burst, limiter, plateau, queueing, reordered, standing
from probe.model import Sample, Transfer

MSS = 1448


def steady(rate: float, *, seconds: float = 5.0, head: int = 0, every: float = 0.1) -> list[Sample]:
    """A transfer that gets `head` bytes at once and then settles."""
    samples = [Sample(at=0.0, wire=0, segments=0, out_of_order=0)]
    for tick in range(1, int(seconds / every) + 1):
        wire = int(head + rate * tick * every)
        samples.append(Sample(at=tick * every, wire=wire, segments=wire // MSS, out_of_order=0))
    return samples


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


@pytest.mark.parametrize("rate", [16_000.0, 65_000.0, 1_000_000.0])
def test_a_steady_rate_is_found_whatever_came_before_it(rate: float) -> None:
    assert plateau(steady(rate, head=30_000), MSS) == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("rate", [16_000.0, 1_000_000.0])
def test_bytes_do_where_segments_are_not_known(rate: float) -> None:
    samples = [Sample(at=s.at, wire=s.wire) for s in steady(rate, head=30_000)]
    assert plateau(samples, None) == pytest.approx(rate, rel=0.03)


def test_segments_are_right_where_bytes_leap_over_a_filled_hole() -> None:
    samples = [
        Sample(at=s.at, wire=s.wire if s.at < 1.2 or s.at > 4.9 else 20_000, segments=s.segments)
        for s in steady(20_000)
    ]
    assert plateau(samples, MSS) == pytest.approx(20_000, rel=0.03)


def test_segments_far_from_full_are_counted_at_their_own_size() -> None:
    samples = [
        Sample(at=t / 10, wire=t * 10_000, segments=t * 2) for t in range(50)
    ]  # loopback: 5,000-byte segments under an MSS of 65,483
    assert plateau(samples, 65_483) == pytest.approx(100_000, rel=0.01)


def test_too_little_gives_no_number() -> None:
    assert plateau([], MSS) is None
    assert plateau([Sample(at=0.0, wire=0, segments=0)], MSS) is None
    assert (
        plateau([Sample(at=0.0, wire=9, segments=1), Sample(at=6.0, wire=9, segments=1)], 9) is None
    )


def test_the_burst_is_what_came_before_the_line() -> None:
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
def test_the_limiter_is_named_only_against_a_clean_control(
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


def test_without_counters_nothing_is_told() -> None:
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
    burst(samples, rate)
