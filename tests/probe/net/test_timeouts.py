"""Limits cover retransmissions, follow the line, and are bounded."""

import pytest
from hypothesis import given, strategies as st

from probe.net.timeouts import LONGEST, RECENT, AdaptiveTimeouts, Recent


def line(round_trip: float, handshake: float, count: int = 20) -> AdaptiveTimeouts:
    timeouts = AdaptiveTimeouts()
    for _ in range(count):
        timeouts.connects.add(round_trip)
        timeouts.handshakes.add(handshake)
        timeouts.lookups.add(round_trip)
        timeouts.first_bytes.add(round_trip)
    return timeouts


@given(st.floats(0.001, 1.0))
def test_a_dropped_hello_costs_little_over_two_handshakes(handshake: float) -> None:
    timeouts = line(handshake / 2, handshake)
    assert 2 * timeouts.tls_limit(handshake / 2) <= 3 * handshake + 3.7 + 0.002


def test_a_satellite_line_is_given_time() -> None:
    timeouts = line(0.6, 1.3)
    assert timeouts.tcp_limit() >= 3 + 0.6
    assert timeouts.tls_limit(0.6) >= 1.3 + 1.8
    assert timeouts.dns_limit() >= 4
    assert timeouts.idle_limit() >= 5.8


def test_a_line_that_our_own_load_slows_down_is_given_more() -> None:
    timeouts = line(0.1, 0.3)
    before = timeouts.tls_limit(0.1), timeouts.tcp_limit(), timeouts.dns_limit()
    for _ in range(4):
        timeouts.connects.add(2.0)
        timeouts.handshakes.add(3.0)
        timeouts.lookups.add(1.5)
    after = timeouts.tls_limit(0.1), timeouts.tcp_limit(), timeouts.dns_limit()
    assert all(late > early + 1 for early, late in zip(before, after, strict=True))


def test_limits_without_history_are_cautious() -> None:
    timeouts = AdaptiveTimeouts()
    assert (timeouts.round_trip, timeouts.handshake) == (None, None)
    assert timeouts.tcp_limit() == 5.0
    assert timeouts.tls_limit(0.3) == pytest.approx(2.75)
    assert timeouts.dns_limit() == 4.0


def test_a_far_server_is_given_its_own_round_trip_but_not_a_lost_packet() -> None:
    timeouts = line(0.05, 0.1)
    assert timeouts.tls_limit(0.4) == pytest.approx(2.45)
    assert timeouts.tls_limit(1.1) == pytest.approx(2.0)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_every_limit_is_bounded(round_trip: float, handshake: float) -> None:
    timeouts = line(round_trip, handshake, count=3)
    limits = (
        timeouts.tcp_limit(),
        timeouts.tls_limit(round_trip),
        timeouts.dns_limit(),
        timeouts.secure_dns_limit(),
        timeouts.idle_limit(),
    )
    assert all(1.8 <= limit <= LONGEST for limit in limits)
    assert 0.3 <= timeouts.listening(round_trip) <= 1.5


def test_the_typical_value_is_the_median() -> None:
    timeouts = AdaptiveTimeouts()
    for seconds in (0.1, 0.2, 9.0):
        timeouts.connects.add(seconds)
    assert timeouts.round_trip == 0.2


@given(st.lists(st.floats(0, 60), min_size=1, max_size=3 * RECENT))
def test_only_the_last_durations_count(durations: list[float]) -> None:
    recent = Recent()
    for seconds in durations:
        recent.add(seconds)
    last = sorted(durations[-RECENT:])
    assert recent.p90 == last[int(len(last) * 0.9)]
    assert recent.median == pytest.approx((last[(len(last) - 1) // 2] + last[len(last) // 2]) / 2)
