"""Ask one address with packets that cross so many routers only, and say what came of it.

A connection is opened as usual; only then is its time to live limited, so that the limited packets
are those that carry the name. The kernel sends a lost segment again (RFC 6298), at the same
distance: one look is up to three packets, and a single lost one does not change what is seen.

Where packets can be seen one by one (`probe.net.raw`), each step also gets those that came back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.failure import Failure
from probe.model import Base, Dns, Http, Packet, Ping, Steps, Tcp, Tls, Travel
from probe.net.dial import Peer, TargetContext, open_tcp, shake_hands
from probe.net.dns import Question, look_up
from probe.net.http import ask_plainly, plan_fetch
from probe.net.raw import Raw
from probe.net.resolver_connections import ResolverConnections
from probe.net.routers import find_routers
from probe.net.stream import Stream

S = TypeVar("S", bound=Base)

# Time for three sendings of one segment, and for the answer to the last.
PATIENCE = 2.0
_PAGE = 16 * 1024
_SHOWN = 8  # packets of one look: retransmissions only repeat the first few
_AFTERMATH = 0.25  # seconds, and two round trips, in which an overtaken answer still comes


class TtlProber:
    """Looks of one target's trace: `async with Stepper(...) as stepper`."""

    def __init__(
        self,
        look: TargetContext,
        channels: ResolverConnections,
        addresses: Sequence[str],
        *,
        keep: Callable[[bytes], None] | None = None,
    ) -> None:
        self._look, self._channels = look, channels
        self._raw = Raw(addresses)
        self._keep = keep
        self._known: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._raw.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._keep is not None and self._raw.missing is None:
                self._keep(await self._raw.capture(self._known))
        finally:
            await self._raw.stop()

    @property
    def raw(self) -> str | None:
        """Why packets can not be seen one by one, or None when they are."""
        return self._raw.missing

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None
    ) -> tuple[Tcp, Tls | None]:
        """Connect as usual, then offer `sni`."""
        peer = Peer(address, port, sni)

        async def ask(tcp: Tcp, stream: Stream) -> Tls:
            limit = self._limit(tcp, ttl)
            if limit is None:
                limit = self._look.door.pace.tls_limit(tcp.elapsed)
            return (await shake_hands(self._look, peer, stream, limit))[0]

        return await self._connected(peer, ttl, ask)

    async def request(self, url: str, address: str, host: str, ttl: int | None) -> Steps:
        """Connect as usual, then ask for `host`'s front page over plain http."""
        what = plan_fetch(url, address, host=host)

        async def ask(tcp: Tcp, stream: Stream) -> Http:
            return await ask_plainly(self._look, what, stream, _PAGE, self._limit(tcp, ttl))

        tcp, http = await self._connected(Peer(address, what.port), ttl, ask)
        return (tcp,) if http is None else (tcp, http)

    async def query(self, name: str, resolver: Resolver, ttl: int) -> Dns:
        """Ask a resolver over UDP; the question is sent three times."""
        question = Question(name, "A", resolver, ttl)
        return await look_up(self._look, self._channels, question, PATIENCE)

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        """Who is on the way."""
        found = await find_routers(self._look, address, hops, tries)
        self._known.update(step.address for step in found if step.address is not None)
        return found

    def _limit(self, tcp: Tcp, ttl: int | None) -> float | None:
        return None if ttl is None else round(PATIENCE + 2 * min(tcp.elapsed, 1.0), 3)

    def _one_syn(self) -> float:
        """Seconds for one SYN, and none for a second (RFC 6298: after 1 s).

        An address that is silent for a while must not seem to answer slowly.
        """
        usual = self._look.door.pace.round_trip
        return round(0.9 + 2 * min(0.5 if usual is None else usual, 1.0), 3)

    async def _connected(
        self, peer: Peer, ttl: int | None, ask: Callable[[Tcp, Stream], Awaitable[S]]
    ) -> tuple[Tcp, S | None]:
        """Connect, limit, ask; and tell each step how its packets travelled."""
        async with self._look.door.gate.enter(peer.address):
            began = monotonic()
            tcp, stream = await open_tcp(self._look, peer, self._one_syn())
            if stream is None:
                return tcp, None
            opened = monotonic()
            try:
                port = stream.local_port
                if ttl is not None:
                    stream.limit(ttl)
                step = await ask(tcp, stream)
            finally:
                stream.close()
        packets = await self._packets(peer, port, tcp)
        first = [packet for packet in packets if packet.at < opened]
        tcp = replace(tcp, travel=Travel(packets=_from(first, began)) if first else None)
        rest = [packet for packet in packets if packet.at >= opened]
        travel = Travel(ttl=ttl, expired=stream.expired, packets=_from(rest, opened))
        return tcp, _told(step, travel)

    async def _packets(self, peer: Peer, port: int, tcp: Tcp) -> Sequence[Packet]:
        """What was seen of one connection; `at` is a monotonic instant still."""
        if self._raw.missing is not None:
            return ()
        await asyncio.sleep(_AFTERMATH + 2 * min(tcp.elapsed, 0.5))
        return await self._raw.packets(peer.address, port, self._known)


def _told(step: S, travel: Travel) -> S:
    """Silence after a router's word is that word."""
    failure = step.failure
    if failure is Failure.TIMEOUT and travel.expired:
        failure = Failure.HOST_UNREACHABLE
    return replace(step, failure=failure, travel=travel)


def _from(packets: Sequence[Packet], began: float) -> tuple[Packet, ...]:
    return tuple(_since(packet, began) for packet in packets[:_SHOWN])


def _since(packet: Packet, began: float) -> Packet:
    return replace(packet, at=round(packet.at - began, 6))
