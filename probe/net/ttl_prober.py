"""Send requests with a limited TTL, and return what answered.

A connection is opened as usual and its TTL is limited afterwards, so that the limited packets are
those with the name. The kernel retransmits a lost segment (RFC 6298) with the same TTL: one
measurement is up to three packets, and a single lost one does not change the result.

A flow is a number with a local port of its own: packets of one flow go one way, with any content.

With the raw helper (`probe.net.raw`), each step also has the packets received.
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
from probe.net.dial import ServerEndpoint, TargetContext, connected, tls_handshake
from probe.net.dns import Question, measure_dns
from probe.net.flow_ports import FlowPorts
from probe.net.flow_prober import SocketFlowProber
from probe.net.http import fetch_plain, plan_fetch
from probe.net.raw import Raw
from probe.net.resolver_connections import ResolverConnections
from probe.net.routers import find_routers
from probe.net.stream import Stream

S = TypeVar("S", bound=Base)

# Seconds for three transmissions of one segment, and for the answer to the last.
WAIT_SECONDS = 2.0
_PAGE = 16 * 1024
_MAX_PACKETS = 8  # of one measurement: the rest are retransmissions
_AFTERMATH = 0.25  # seconds, plus two round trips, in which a slower second answer arrives


class SocketTtlProber:
    """The measurements of one target's trace: `async with SocketTtlProber(...) as prober`."""

    def __init__(
        self,
        target: TargetContext,
        connections: ResolverConnections,
        addresses: Sequence[str],
        *,
        keep: Callable[[bytes], None] | None = None,
    ) -> None:
        self._target, self._connections = target, connections
        self._raw = Raw(addresses)
        self._keep = keep
        self._known: set[str] = set()
        self._ports = FlowPorts()
        self._flows = SocketFlowProber(target, self._ports)

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
        """Why packets are not captured, or None if they are."""
        return self._raw.missing

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        """Send one SYN with this TTL."""
        return await self._flows.syn(address, port, ttl, flow)

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None, flow: int | None = None
    ) -> tuple[Tcp, Tls | None]:
        """Connect, limit the TTL, offer `sni`."""
        destination = ServerEndpoint(address, port, sni, local_port=self._ports.of(flow))

        async def ask(tcp: Tcp, stream: Stream) -> Tls:
            limit = self._limit(tcp, ttl)
            if limit is None:
                limit = self._target.session.timeouts.tls_limit(tcp.elapsed)
            return (await tls_handshake(self._target, destination, stream, limit))[0]

        return await self._connected(destination, ttl, ask)

    async def request(
        self, url: str, address: str, host: str, ttl: int | None, flow: int | None = None
    ) -> Steps:
        """Connect, limit the TTL, request `host`'s front page over plain HTTP."""
        what = plan_fetch(url, address, host=host)

        async def ask(tcp: Tcp, stream: Stream) -> Http:
            return await fetch_plain(self._target, what, stream, _PAGE, self._limit(tcp, ttl))

        destination = ServerEndpoint(address, what.port, local_port=self._ports.of(flow))
        tcp, http = await self._connected(destination, ttl, ask)
        return (tcp,) if http is None else (tcp, http)

    async def query(self, name: str, resolver: Resolver, ttl: int, flow: int | None = None) -> Dns:
        """Query a resolver over UDP; the query is sent three times."""
        question = Question(name, "A", resolver, ttl, local_port=self._ports.of(flow))
        return await measure_dns(self._target, self._connections, question, WAIT_SECONDS)

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        """The routers on the path; their addresses may be recorded."""
        found = await find_routers(self._target, address, hops, tries)
        self._known.update(step.address for step in found if step.address is not None)
        return found

    def _limit(self, tcp: Tcp, ttl: int | None) -> float | None:
        return None if ttl is None else round(WAIT_SECONDS + 2 * min(tcp.elapsed, 1.0), 3)

    def _one_syn_limit(self) -> float:
        """A limit for connect that ends before the second SYN (RFC 6298: after 1 s).

        Else an address that does not answer for a while would seem to answer slowly.
        """
        usual = self._target.session.timeouts.round_trip
        return round(0.9 + 2 * min(0.5 if usual is None else usual, 1.0), 3)

    async def _connected(
        self,
        destination: ServerEndpoint,
        ttl: int | None,
        ask: Callable[[Tcp, Stream], Awaitable[S]],
    ) -> tuple[Tcp, S | None]:
        """Connect, limit the TTL, call `ask`; add the packets to both steps."""
        async with connected(self._target, destination, self._one_syn_limit()) as (tcp, stream):
            if stream is None:
                return tcp, None
            opened = monotonic()
            port = stream.local_port
            if ttl is not None:
                stream.limit(ttl)
            step = await ask(tcp, stream)
        began = self._target.origin + tcp.at
        packets = await self._packets(destination, port, tcp)
        first = [packet for packet in packets if packet.at < opened]
        tcp = replace(tcp, travel=Travel(packets=_relative(first, began)) if first else None)
        rest = [packet for packet in packets if packet.at >= opened]
        travel = Travel(ttl=ttl, expired=stream.expired, packets=_relative(rest, opened))
        return tcp, _with_travel(step, travel)

    async def _packets(self, destination: ServerEndpoint, port: int, tcp: Tcp) -> Sequence[Packet]:
        """The packets received on one connection; `at` is monotonic time."""
        if self._raw.missing is not None:
            return ()
        await asyncio.sleep(_AFTERMATH + 2 * min(tcp.elapsed, 0.5))
        return await self._raw.packets(destination.address, port, self._known)


def _with_travel(step: S, travel: Travel) -> S:
    """After an ICMP error, report that error rather than a timeout."""
    failure = step.failure
    if failure is Failure.TIMEOUT and travel.expired:
        failure = Failure.HOST_UNREACHABLE
    return replace(step, failure=failure, travel=travel)


def _relative(packets: Sequence[Packet], began: float) -> tuple[Packet, ...]:
    """The first packets, with times relative to `began`."""
    first = packets[:_MAX_PACKETS]
    return tuple(replace(packet, at=round(packet.at - began, 6)) for packet in first)
