"""Whether the home's own router answers. Its address is used here and not recorded.

Linux only: the default route is read from /proc/net/route. The router is present if it accepts or
refuses a connection, or if it has answered ARP (routers may drop packets to closed ports).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from probe.failure import Failure
from probe.model import Ping
from probe.net.attempt import attempt
from probe.net.route import ROUTES, default_routes, read_table

NEIGHBOURS = Path("/proc/net/arp")
LIMIT = 3.0
# DNS and HTTP: what a home router serves, if it serves anything.
PORTS = (53, 80)
_COMPLETE = 0x2  # ATF_COM, linux/if_arp.h


async def gateway(*, origin: float, limit: float = LIMIT) -> Ping | None:
    """Try the default route's router; None if the route is not known.

    Args:
        origin: The `time.monotonic()` that `at` counts from.
    """
    begun = monotonic()
    address = default_gateway(read_table(ROUTES))
    if address is None:
        return None
    failures = await asyncio.gather(*(_connect(address, port, limit) for port in PORTS))
    return Ping(
        what="gateway",
        failure=_failure(failures, address),
        at=begun - origin,
        elapsed=monotonic() - begun,
        limit=limit,
    )


async def _connect(address: str, port: int, limit: float) -> Failure | None:
    attempted = await attempt(asyncio.open_connection(address, port), limit=limit)
    if attempted.value is not None:
        attempted.value[1].transport.abort()
    return attempted.failure


def _failure(failures: Sequence[Failure | None], address: str) -> Failure | None:
    """None if the router is present, else the first failure."""
    if any(failure in {None, Failure.REFUSED, Failure.RESET} for failure in failures):
        return None
    if address in neighbours(read_table(NEIGHBOURS)):
        return None
    return failures[0]


def default_gateway(table: str) -> str | None:
    """The gateway of the default route with the smallest metric, from /proc/net/route."""
    gateways = (route.address for route in default_routes(table) if route.has_gateway)
    return next(gateways, None)


def neighbours(table: str) -> frozenset[str]:
    """Addresses whose hardware address is known, from /proc/net/arp."""
    found: set[str] = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        try:
            if len(fields) >= 4 and int(fields[2], 16) & _COMPLETE:
                found.add(fields[0])
        except ValueError:
            continue
    return frozenset(found)
