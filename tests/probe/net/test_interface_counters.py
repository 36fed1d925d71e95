"""The kernel's tables of routes and interfaces, as they look."""

import pytest

from probe.net import interface_counters
from probe.net.interface_counters import Counter, bytes_carried, cross_traffic, outgoing_interface

DEVICES = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 5000 10 0 0 0 0 0 0 5000 10 0 0 0 0 0 0
 wlan0: 1200 10 0 0 0 0 0 0 300 4 0 0 0 0 0 0
"""
HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
ROUTES = (
    HEAD
    + "eth0 00000000 0101A8C0 0003 0 0 600 00000000 0 0 0\n"
    + "wlan0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0\n"
    + "tun0 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\n"
)
NOWHERE = "0" * 32
ROUTES6 = (
    f"{NOWHERE} 00 {NOWHERE} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003 wlan1\n"
    f"{NOWHERE} 00 {NOWHERE} 00 {NOWHERE} ffffffff 00000001 00000000 00200200       lo\n"
)


def test_the_default_route_with_the_smallest_metric_is_used() -> None:
    assert outgoing_interface(ROUTES, ROUTES6) == "wlan0"
    assert outgoing_interface(HEAD, ROUTES6) == "wlan1"
    assert outgoing_interface("", "") is None


def test_received_and_sent_bytes_count() -> None:
    assert bytes_carried(DEVICES, "wlan0") == 1500
    assert bytes_carried(DEVICES, "eth7") is None
    assert bytes_carried("nonsense\n:::\n", "wlan0") is None


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Counter("wlan0", 2500), 600),
        (Counter("wlan0", 1700), 0),
        (Counter("wlan0", 900), None),  # it wrapped
        (Counter("eth0", 9000), None),  # the interface changed
        (None, None),
    ],
)
def test_bytes_that_are_not_ours_are_cross_traffic(
    monkeypatch: pytest.MonkeyPatch, after: Counter | None, expected: int | None
) -> None:
    monkeypatch.setattr(interface_counters, "read", lambda: after)
    assert cross_traffic(Counter("wlan0", 1500), 400) == expected
    assert cross_traffic(None, 400) is None
