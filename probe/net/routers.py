"""A traceroute over UDP, without privileges.

The addresses of routers near the user are not recorded: every router up to and including the first
public address that answers, every address in its /24, and every private address (the home, the
operator's internal network, the access concentrator).
"""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_network

from msgspec import Struct

from probe.failure import Failure
from probe.model import Ping, Travel
from probe.net.address_policy import is_dialable, is_global
from probe.net.attempt import attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import TargetContext
from probe.net.ttl import IcmpError

FIRST_PORT = 33434  # traceroute's customary first port
_WAIT_SECONDS = 1.0
_CONCURRENT = 8
ROUTER, SERVER = "router", "server"


class _HopReply(Struct, frozen=True):
    ttl: int
    error: IcmpError | None
    at: float
    elapsed: float


async def find_routers(
    target: TargetContext, address: str, hops: int, tries: int
) -> tuple[Ping, ...]:
    """One step per hop, up to the destination."""
    if ":" in address or not is_dialable(address, lab=target.session.lab):
        return ()
    slots = asyncio.Semaphore(_CONCURRENT)

    async def one(ttl: int) -> _HopReply:
        async with slots:
            return await _ask(target, address, ttl, tries)

    replies = await asyncio.gather(*(one(ttl) for ttl in range(1, hops + 1)))
    return _steps(replies, address)


async def _ask(target: TargetContext, address: str, ttl: int, tries: int) -> _HopReply:
    at, elapsed = target.now(), 0.0
    for _ in range(tries):
        asked = await attempt(_icmp_error(target, address, ttl), limit=_WAIT_SECONDS)
        elapsed += asked.elapsed
        if asked.value is not None or asked.failure is not Failure.TIMEOUT:
            return _HopReply(ttl, asked.value, at, round(elapsed, 6))
    return _HopReply(ttl, None, at, round(elapsed, 6))


async def _icmp_error(target: TargetContext, address: str, ttl: int) -> IcmpError:
    sock = Datagrams(address, FIRST_PORT + ttl, target.session.counter, ttl=ttl)
    try:
        sock.send(b"\0" * 32)
        return await sock.icmp_error()
    finally:
        sock.close()


def _steps(replies: Sequence[_HopReply], server: str) -> tuple[Ping, ...]:
    hidden = near([one.error.address if one.error else None for one in replies])
    steps: list[Ping] = []
    for one in replies:
        arrived = one.error is not None and (one.error.unreachable or one.error.address == server)
        steps.append(_step(one, arrived=arrived, hidden=hidden))
        if arrived:
            break
    else:  # it is named all the same: the routers are compared with its network
        unheard = Ping(what=SERVER, address=server, failure=Failure.TIMEOUT)
        steps.append(unheard)
    return tuple(steps)


def _step(one: _HopReply, *, arrived: bool, hidden: frozenset[str]) -> Ping:
    address = one.error.address if one.error else None
    return Ping(
        what=SERVER if arrived else ROUTER,
        address=None if address in hidden else address,
        failure=None if one.error else Failure.TIMEOUT,
        at=one.at,
        elapsed=one.elapsed,
        limit=_WAIT_SECONDS,
        travel=Travel(ttl=one.ttl, expired=one.error.expired if one.error else None),
    )


def near(addresses: Sequence[str | None]) -> frozenset[str]:
    """The addresses of a path, in hop order, that must not be recorded."""
    answered = [address for address in addresses if address is not None]
    first = next((address for address in answered if is_global(address)), None)
    private = {address for address in answered if not is_global(address)}
    if first is None:
        return frozenset(private)
    first_network = ip_network(f"{first}/24", strict=False)
    return frozenset(private | {one for one in answered if IPv4Address(one) in first_network})
