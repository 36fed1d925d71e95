"""The kernel's routing table: its IPv4 default routes, and whether it has a route to an address."""

import socket
import struct
from pathlib import Path
from typing import NamedTuple

from probe.system_view import text

ROUTES = Path("/proc/net/route")
_ANY = "00000000"
_GATEWAY = 0x2  # RTF_GATEWAY, linux/route.h


class DefaultRoute(NamedTuple):
    """One IPv4 default route; without a gateway (a tunnel) `address` is 0.0.0.0."""

    metric: int
    interface: str
    address: str
    has_gateway: bool


def has_route(address: str) -> bool:
    """Whether the kernel has a route there. Connecting a UDP socket asks it and sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 53))
            source = str(sock.getsockname()[0])
    except OSError:
        return False
    return not source.startswith("fe80:")


def default_routes(table: str) -> list[DefaultRoute]:
    """The default routes in the text of /proc/net/route, smallest metric first."""
    found: list[DefaultRoute] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] != _ANY or fields[7] != _ANY:
            continue
        try:
            # The kernel prints the address as one number in the machine's own byte order.
            address = socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
            flags, metric = int(fields[3], 16), int(fields[6])
        except (ValueError, struct.error):
            continue
        found.append(DefaultRoute(metric, fields[0], address, bool(flags & _GATEWAY)))
    return sorted(found)


def read_table(path: Path) -> str:
    """The text of a file of the kernel; empty if it cannot be read (not Linux)."""
    return text(path)
