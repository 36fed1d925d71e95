"""What the way out carried besides: the kernel's tables, as they look."""

import pytest

from probe.net import interface_counters
from probe.net.interface_counters import Counter, besides, carried, way_out

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


def test_the_way_out_is_the_default_route_with_the_smallest_metric() -> None:
    assert way_out(ROUTES, ROUTES6) == "wlan0"
    assert way_out(HEAD, ROUTES6) == "wlan1"
    assert way_out("", "") is None


def test_both_ways_count() -> None:
    assert carried(DEVICES, "wlan0") == 1500
    assert carried(DEVICES, "eth7") is None
    assert carried("nonsense\n:::\n", "wlan0") is None


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Counter("wlan0", 2500), 600),
        (Counter("wlan0", 1700), 0),
        (Counter("wlan0", 900), None),  # it began again
        (Counter("eth0", 9000), None),  # another cable was plugged in
        (None, None),
    ],
)
def test_what_is_not_ours_is_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, after: Counter | None, expected: int | None
) -> None:
    monkeypatch.setattr(interface_counters, "read", lambda: after)
    assert besides(Counter("wlan0", 1500), 400) == expected
    assert besides(None, 400) is None
