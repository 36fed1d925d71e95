import pytest

from probe.model import Sample
from probe.transfer_rate import plateau

MSS = 1448


def steady(rate: float, *, seconds: float = 5.0, head: int = 0, every: float = 0.1) -> list[Sample]:
    """A transfer that gets `head` bytes at once and then settles."""
    samples = [Sample(at=0.0, wire=0, segments=0, out_of_order=0)]
    for tick in range(1, int(seconds / every) + 1):
        wire = int(head + rate * tick * every)
        samples.append(Sample(at=tick * every, wire=wire, segments=wire // MSS, out_of_order=0))
    return samples


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
