"""Whether the home's own router answers. Its address is used here, and goes no further.

Linux only for now: the default route is in /proc/net/route. A router proves that it is there by
taking or refusing a connection, or, when it drops what it does not serve, by having told its
hardware address just now (ARP). Where that cannot be read, nothing is said.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from probe.failure import Failure
from probe.model import Ping
from probe.net.attempt import attempt

ROUTES = Path("/proc/net/route")
NEIGHBOURS = Path("/proc/net/arp")
LIMIT = 3.0
# DNS and web pages: what a home router serves, if it serves anything.
PORTS = (53, 80)
_GATEWAY = 0x2  # RTF_GATEWAY, linux/route.h
_COMPLETE = 0x2  # ATF_COM, linux/if_arp.h


@dataclass(frozen=True, slots=True)
class _Answer:
    failure: Failure | None
    elapsed: float


async def gateway(*, origin: float, limit: float = LIMIT) -> Ping | None:
    """Look at the default route's router; None where there is no way to ask."""
    begun = monotonic()
    address = default_gateway(_read(ROUTES))
    if address is None:
        return None
    answers = await asyncio.gather(*(_knock(address, port, limit) for port in PORTS))
    failure = _verdict([one.failure for one in answers], address)
    return Ping(
        what="gateway",
        failure=failure,
        at=begun - origin,
        elapsed=monotonic() - begun,
        limit=limit,
    )


async def _knock(address: str, port: int, limit: float) -> _Answer:
    attempted = await attempt(asyncio.open_connection(address, port), limit=limit)
    if attempted.value is not None:
        attempted.value[1].transport.abort()
    return _Answer(attempted.failure, attempted.elapsed)


def _verdict(failures: Sequence[Failure | None], address: str) -> Failure | None:
    if any(failure in {None, Failure.REFUSED, Failure.RESET} for failure in failures):
        return None
    if address in neighbours(_read(NEIGHBOURS)):
        return None
    return failures[0]


def default_gateway(table: str) -> str | None:
    """The router of the default route with the smallest metric, from /proc/net/route."""
    found: list[tuple[int, str]] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] != "00000000":
            continue
        try:
            flags, metric = int(fields[3], 16), int(fields[6])
            # The kernel prints the address as one number in the machine's own byte order.
            address = socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
        except (ValueError, struct.error):
            continue
        if flags & _GATEWAY:
            found.append((metric, address))
    return min(found)[1] if found else None


def neighbours(table: str) -> frozenset[str]:
    """Addresses that have told their hardware address, from /proc/net/arp."""
    found: set[str] = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        try:
            if len(fields) >= 4 and int(fields[2], 16) & _COMPLETE:
                found.add(fields[0])
        except ValueError:
            continue
    return frozenset(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
