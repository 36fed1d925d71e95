"""Limits cover retransmissions, follow the line, and keep to their bounds."""

import pytest
from hypothesis import given, strategies as st

from probe.net.timeouts import LONGEST, AdaptiveTimeouts


def line(round_trip: float, handshake: float, count: int = 20) -> AdaptiveTimeouts:
    pace = AdaptiveTimeouts()
    for _ in range(count):
        pace.connects.add(round_trip)
        pace.handshakes.add(handshake)
        pace.lookups.add(round_trip)
        pace.first_bytes.add(round_trip)
    return pace


@given(st.floats(0.001, 1.0))
def test_a_dropped_hello_costs_little_over_two_looks(handshake: float) -> None:
    pace = line(handshake / 2, handshake)
    assert 2 * pace.tls_limit(handshake / 2) <= 3 * handshake + 3.7 + 0.002


def test_a_satellite_line_is_given_time() -> None:
    pace = line(0.6, 1.3)
    assert pace.tcp_limit() >= 3 + 0.6
    assert pace.tls_limit(0.6) >= 1.3 + 1.8
    assert pace.dns_limit() >= 4
    assert pace.idle_limit() >= 5.8


def test_a_line_that_our_own_load_slows_down_is_given_more() -> None:
    pace = line(0.1, 0.3)
    before = pace.tls_limit(0.1), pace.tcp_limit(), pace.dns_limit()
    for _ in range(4):
        pace.connects.add(2.0)
        pace.handshakes.add(3.0)
        pace.lookups.add(1.5)
    after = pace.tls_limit(0.1), pace.tcp_limit(), pace.dns_limit()
    assert all(late > early + 1 for early, late in zip(before, after, strict=True))


def test_nothing_known_is_cautious() -> None:
    pace = AdaptiveTimeouts()
    assert (pace.round_trip, pace.handshake) == (None, None)
    assert pace.tcp_limit() == 5.0
    assert pace.tls_limit(0.3) == pytest.approx(2.75)
    assert pace.dns_limit() == 4.0


def test_a_far_server_is_given_its_own_round_trip_but_not_a_lost_packet() -> None:
    pace = line(0.05, 0.1)
    assert pace.tls_limit(0.4) == pytest.approx(2.45)
    assert pace.tls_limit(1.1) == pytest.approx(2.0)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_every_limit_is_bounded(round_trip: float, handshake: float) -> None:
    pace = line(round_trip, handshake, count=3)
    limits = (
        pace.tcp_limit(),
        pace.tls_limit(round_trip),
        pace.dns_limit(),
        pace.secure_dns_limit(),
        pace.idle_limit(),
    )
    assert all(1.8 <= limit <= LONGEST for limit in limits)
    assert 0.3 <= pace.listening(round_trip) <= 1.5


def test_what_is_usual_is_the_middle() -> None:
    pace = AdaptiveTimeouts()
    for seconds in (0.1, 0.2, 9.0):
        pace.connects.add(seconds)
    assert pace.round_trip == 0.2
