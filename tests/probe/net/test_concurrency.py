"""Concurrency grows while delays are low and shrinks when they grow; one lost packet is ignored."""

from probe.net.concurrency import AdaptiveConcurrency


def note(concurrency: AdaptiveConcurrency, *seconds: float, times: int = 1) -> int:
    for _ in range(times):
        for one in seconds:
            concurrency.note(one)
    return concurrency.allowed


def test_a_good_line_is_used_fully() -> None:
    assert AdaptiveConcurrency(64).allowed == 8
    assert note(AdaptiveConcurrency(64), 0.05, times=80) == 64
    assert note(AdaptiveConcurrency(8), 0.05, times=80) == 8


def test_a_filling_queue_reduces_concurrency() -> None:
    concurrency = AdaptiveConcurrency(64)
    note(concurrency, 0.05, times=80)
    assert note(concurrency, 0.9, times=8) < 64
    assert note(concurrency, 0.9, times=80) == 4
    assert note(concurrency, 0.1, times=80) > 16


def test_a_line_that_was_never_fast_gets_few() -> None:
    assert note(AdaptiveConcurrency(64), 2.0, times=80) == 4
    assert note(AdaptiveConcurrency(2), 2.0, times=80) == 2


def test_a_satellite_is_no_queue() -> None:
    assert note(AdaptiveConcurrency(64), 0.65, times=80) == 64


def test_lost_packets_and_far_servers_are_no_queue() -> None:
    assert note(AdaptiveConcurrency(64), 0.05, 0.05, 1.06, 0.05, 0.3, times=40) == 64
