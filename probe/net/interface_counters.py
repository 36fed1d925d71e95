"""Cross traffic during a transfer: byte counters of the outgoing interface (Linux only).

Other traffic on this machine or, on a router, in this home makes a transfer slow as well. The
kernel counts every byte of an interface, so what is not ours is cross traffic.
"""

import re
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from probe.net.route import ROUTES, default_routes, read_table
from probe.system_view import never_fatal

DEVICES = Path("/proc/net/dev")
ROUTES6 = Path("/proc/net/ipv6_route")
_ANY6 = "0" * 32
_NUMBERS = re.compile(r"[0-9]{1,20} [0-9]{1,20}")
# Columns of /proc/net/dev after the name: received bytes first, sent bytes ninth.
_RECEIVED, _SENT = 0, 8


class Counter(Struct, frozen=True):
    """Bytes of one interface, received and sent together, at one moment."""

    interface: str
    count: int


def counter_towards(address: str) -> Counter | None:
    """The counter of the outgoing interface; None if unknown or if the address is loopback."""
    return None if ip_address(address).is_loopback else read()


@never_fatal(None)
def read() -> Counter | None:
    """The counter of the default route's interface; None where the kernel has none."""
    interface = outgoing_interface(read_table(ROUTES), read_table(ROUTES6))
    count = bytes_carried(read_table(DEVICES), interface) if interface is not None else None
    return Counter(interface, count) if interface is not None and count is not None else None


def cross_traffic(before: Counter | None, own: int) -> int | None:
    """Bytes since `before` other than `own`, with headers and retransmissions; None if unknown."""
    after = read() if before is not None else None
    if before is None or after is None or after.interface != before.interface:
        return None
    if after.count < before.count:
        return None  # a 32-bit counter wrapped
    return max(after.count - before.count - own, 0)


def outgoing_interface(routes: str, routes6: str) -> str | None:
    """The interface of the IPv4 default route with the smallest metric, else of the IPv6 one."""
    if found := default_routes(routes):
        return found[0].interface
    found6: list[tuple[int, str]] = []
    for line in routes6.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[0] == _ANY6 and fields[1] == "00" and fields[9] != "lo":
            with suppress(ValueError):
                found6.append((int(fields[5], 16), fields[9]))
    return min(found6)[1] if found6 else None


def bytes_carried(devices: str, interface: str) -> int | None:
    """Bytes that an interface has received and sent, from the text of /proc/net/dev."""
    for line in devices.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and name.strip() == interface and len(fields) > _SENT:
            received, sent = fields[_RECEIVED], fields[_SENT]
            return int(received) + int(sent) if _NUMBERS.fullmatch(f"{received} {sent}") else None
    return None
