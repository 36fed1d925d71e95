"""What one target's experiment gets of the network: the port, a clock, the certificates seen."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeVar

from probe.experiments.interface import Resolver, TtlProber
from probe.experiments.operations import (
    DnsQuery,
    Exchange,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.model import Dns, Ping, Quic, Steps, Tcp, Tls, Transfer
from probe.net.address_policy import is_dialable
from probe.net.dial import Peer, TargetContext, look_tcp, look_tls
from probe.net.dns import Question, look_up
from probe.net.http import fetch, plan_fetch
from probe.net.resolver_connections import ResolverConnections
from probe.net.resolver_pool import SYSTEM, ResolverPool

T = TypeVar("T")


class SocketNet:
    """A `TransferNet` whose steps count from one target's origin."""

    def __init__(
        self,
        look: TargetContext,
        channels: ResolverConnections,
        roster: ResolverPool,
        *,
        ipv6: bool,
        body_cap: int,
    ) -> None:
        self._look = look
        self._channels = channels
        self._roster = roster
        self._ipv6 = ipv6
        self._body_cap = body_cap
        self.captures: list[bytes] = []

    @property
    def certs(self) -> dict[str, bytes]:
        """DER by SHA-256, of every certificate that this target's steps saw."""
        return self._look.certs

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return self._roster.resolvers

    @property
    def ipv6(self) -> bool:
        return self._ipv6

    async def dns(self, query: DnsQuery) -> Dns:
        """Ask one resolver once and collect every reply.

        Where the system's resolver does not answer over UDP, return its answer over TCP if it has
        one; the step's `transport` says which it was.
        """
        question = Question(query.name, query.type, query.resolver)
        step = await self._ask(question, query.limit)
        if step.replies or query.resolver.label != SYSTEM or query.resolver.transport != "udp":
            return step
        again = await self._over_tcp(question, query.limit)
        return again if again is not None and again.replies else step

    async def _ask(self, question: Question, limit: float | None) -> Dns:
        step = await look_up(self._look, self._channels, question, limit)
        self._roster.note(question.resolver, answered=bool(step.replies))
        return step

    async def _over_tcp(self, question: Question, limit: float | None) -> Dns | None:
        """The same question over TCP, where that is the only way or may be."""
        async with self._roster.trying:
            untried = self._roster.untried(question.resolver)
            if self._roster.over_tcp is None and untried is not None:
                return await self._ask(replace(question, resolver=untried), limit)
        known = self._roster.over_tcp
        return None if known is None else await self._ask(replace(question, resolver=known), limit)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        """Connect and close."""
        return await look_tcp(self._look, Peer(connect.address, connect.port), connect.limit)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        """Connect and complete a handshake."""
        one = handshake
        peer = Peer(one.address, one.port, one.sni, one.hello, one.verify)
        if one.hello == "ech":
            from probe.net.ech import look_ech

            return await look_ech(self._look, peer, one.limit)
        return await look_tls(self._look, peer, one.limit)

    async def http(self, request: HttpRequest) -> Steps:
        """Fetch one URL from one address."""
        one = request
        what = plan_fetch(one.url, one.address, host=one.host, sni=one.sni, path=one.path)
        return await fetch(self._look, what, self._body_cap, one.limit)

    async def transfer(self, request: TransferRequest) -> Transfer:
        """Time one transfer, on its own connection and its own thread."""
        from probe.net.transfer import transfer

        async with self._look.door.gate.enter(request.address):
            done = await transfer(request, origin=self._look.origin)
        budget = self._look.door.budget
        if request.direction == "down":
            budget.bytes_in += done.wire_bytes
        else:
            budget.bytes_out += done.wire_bytes
        return done

    async def gateway(self) -> Ping | None:
        """Whether the home router answers; None where it cannot be tested."""
        from probe.net.gateway import gateway

        return await gateway(origin=self._look.origin)

    async def quic(self, handshake: QuicHandshake) -> Quic:
        """One QUIC handshake; needs the extra `[quic]`."""
        from probe.net.quic import look_quic

        peer = Peer(handshake.address, handshake.port, handshake.sni)
        return await look_quic(self._look, peer, handshake.limit)

    def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """Probes with a limited TTL; with `keep`, captures go to `captures`."""
        from probe.net.ttl_prober import TtlProber as Walking

        keeping = self.captures.append if keep else None
        return Walking(self._look, self._channels, addresses, keep=keeping)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        """Send a message in datagrams and wait for the answer."""
        from probe.net.datagram_exchange import over_udp

        return await over_udp(self._look, exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        """Connect, send a message, wait for the answer."""
        from probe.net.datagram_exchange import over_tcp

        return await over_tcp(self._look, exchange)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Do several asks at once; a bug in one stops the others."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_awaited(ask)) for ask in asks]
        return [task.result() for task in tasks]

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def safe(self, address: str) -> bool:
        return is_dialable(address, lab=self._look.door.lab)


async def _awaited(ask: Awaitable[T]) -> T:
    return await ask
