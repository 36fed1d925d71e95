"""What else this home sends and receives meanwhile: the byte counters of the way out (Linux).

A film in the next room makes a transfer slow as well. The kernel counts every
byte of an interface, so what is not ours is somebody else's here. Elsewhere nothing is known.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

DEVICES = Path("/proc/net/dev")
ROUTES = Path("/proc/net/route")
ROUTES6 = Path("/proc/net/ipv6_route")
_NOWHERE = "00000000"
_NOWHERE6 = "0" * 32
# Columns of /proc/net/dev after the name: received bytes first, sent bytes ninth.
_RECEIVED, _SENT = 0, 8


@dataclass(frozen=True, slots=True)
class Counter:
    """One interface's bytes, both ways, at one moment."""

    interface: str
    count: int


def towards(address: str) -> Counter | None:
    """The counter of the way to an address; None where nobody tells, and on this machine itself."""
    return None if ip_address(address).is_loopback else read()


def read() -> Counter | None:
    """The counter of the interface that the default route leaves by; None where nobody tells."""
    interface = way_out(_read(ROUTES), _read(ROUTES6))
    count = carried(_read(DEVICES), interface) if interface is not None else None
    return Counter(interface, count) if interface is not None and count is not None else None


def besides(before: Counter | None, own: int) -> int | None:
    """Bytes since `before` that were not `own`; headers and what was sent twice are among them."""
    after = read() if before is not None else None
    if before is None or after is None or after.interface != before.interface:
        return None
    if after.count < before.count:
        return None  # a 32-bit counter began again
    return max(after.count - before.count - own, 0)


def way_out(routes: str, routes6: str) -> str | None:
    """The interface of the default route with the smallest metric; IPv6 where there is no other."""
    found: list[tuple[int, str]] = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == _NOWHERE and fields[6].isdigit():
            found.append((int(fields[6]), fields[0]))
    return min(found)[1] if found else _way_out6(routes6)


def _way_out6(routes: str) -> str | None:
    found: list[tuple[int, str]] = []
    for line in routes.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[0] == _NOWHERE6 and fields[1] == "00" and fields[9] != "lo":
            found.append((int(fields[5], 16), fields[9]))
    return min(found)[1] if found else None


def carried(devices: str, interface: str) -> int | None:
    """Bytes that an interface has received and sent since it came up."""
    for line in devices.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and name.strip() == interface and len(fields) > _SENT:
            return int(fields[_RECEIVED]) + int(fields[_SENT])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
