"""Who is on the way to an address: an ordinary traceroute over UDP, without any privilege.

Rule: the routers near the volunteer are counted but never named. That is every one up to and
including the first public address that answers, whatever shares its /24, and everything private:
the home, the provider's inner network, and the box where the line ends.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from probe.failure import Failure
from probe.model import Ping, Travel
from probe.net.address_policy import is_dialable, is_global
from probe.net.attempt import attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import TargetContext
from probe.net.ttl import Icmp

_FIRST_PORT = 33434  # where traceroute has always begun
_PATIENCE = 1.0
_AT_ONCE = 8
ROUTER, SERVER = "router", "server"


@dataclass(frozen=True, slots=True)
class _Heard:
    ttl: int
    said: Icmp | None
    at: float
    elapsed: float


async def find_routers(
    look: TargetContext, address: str, hops: int, tries: int
) -> tuple[Ping, ...]:
    """One step a hop, up to where the far host itself answers."""
    if ":" in address or not is_dialable(address, lab=look.door.lab):
        return ()
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(ttl: int) -> _Heard:
        async with turn:
            return await _ask(look, address, ttl, tries)

    heard = await asyncio.gather(*(one(ttl) for ttl in range(1, hops + 1)))
    return _told(heard, address)


async def _ask(look: TargetContext, address: str, ttl: int, tries: int) -> _Heard:
    at, elapsed = look.now(), 0.0
    for _ in range(tries):
        asked = await attempt(_word(look, address, ttl), limit=_PATIENCE)
        elapsed += asked.elapsed
        if asked.value is not None or asked.failure is not Failure.TIMEOUT:
            return _Heard(ttl, asked.value, at, round(elapsed, 6))
    return _Heard(ttl, None, at, round(elapsed, 6))


async def _word(look: TargetContext, address: str, ttl: int) -> Icmp:
    sock = Datagrams(address, _FIRST_PORT + ttl, look.door.budget, ttl=ttl)
    try:
        sock.send(b"\0" * 32)
        return await sock.word()
    finally:
        sock.close()


def _told(heard: Sequence[_Heard], server: str) -> tuple[Ping, ...]:
    hidden = near([one.said.address if one.said else None for one in heard])
    steps: list[Ping] = []
    for one in heard:
        arrived = one.said is not None and (one.said.unreachable or one.said.address == server)
        steps.append(_step(one, arrived=arrived, hidden=hidden))
        if arrived:
            break
    return tuple(steps)


def _step(one: _Heard, *, arrived: bool, hidden: frozenset[str]) -> Ping:
    address = one.said.address if one.said else None
    return Ping(
        what=SERVER if arrived else ROUTER,
        address=None if address in hidden else address,
        failure=None if one.said else Failure.TIMEOUT,
        at=one.at,
        elapsed=one.elapsed,
        limit=_PATIENCE,
        travel=Travel(ttl=one.ttl, expired=one.said.expired if one.said else None),
    )


def near(addresses: Sequence[str | None]) -> frozenset[str]:
    """Of the addresses on the way, in order, those that may not be told."""
    said = [address for address in addresses if address is not None]
    first = next((address for address in said if is_global(address)), None)
    private = {address for address in said if not is_global(address)}
    if first is None:
        return frozenset(private)
    home = ip_network(f"{first}/24", strict=False)
    return frozenset(private | {one for one in said if IPv4Address(one) in home})
