"""The network as one target's experiment sees it: operations, a clock, certificates received."""

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
from probe.net.dial import ServerEndpoint, TargetContext, measure_tcp, measure_tls
from probe.net.dns import Question, measure_dns
from probe.net.http import fetch, plan_fetch
from probe.net.resolver_connections import ResolverConnections
from probe.net.resolver_pool import SYSTEM, ResolverPool

T = TypeVar("T")


class SocketNet:
    """A `TransferNet` whose steps count from one target's origin."""

    def __init__(
        self,
        target: TargetContext,
        connections: ResolverConnections,
        pool: ResolverPool,
        *,
        ipv6: bool,
        body_cap: int,
    ) -> None:
        self._target = target
        self._connections = connections
        self._pool = pool
        self._ipv6 = ipv6
        self._body_cap = body_cap
        self.captures: list[bytes] = []

    @property
    def certs(self) -> dict[str, bytes]:
        """DER by SHA-256 of every certificate that this target's steps received."""
        return self._target.certs

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return self._pool.resolvers

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
        step = await measure_dns(self._target, self._connections, question, limit)
        self._pool.note(question.resolver, answered=bool(step.replies))
        return step

    async def _over_tcp(self, question: Question, limit: float | None) -> Dns | None:
        """Ask over TCP if the system's resolver answers only there, or may."""
        async with self._pool.trying:
            untried = self._pool.untried(question.resolver)
            if self._pool.over_tcp is None and untried is not None:
                return await self._ask(replace(question, resolver=untried), limit)
        known = self._pool.over_tcp
        return None if known is None else await self._ask(replace(question, resolver=known), limit)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        """Connect and close."""
        return await measure_tcp(
            self._target, ServerEndpoint(connect.address, connect.port), connect.limit
        )

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        """Connect and complete a handshake."""
        one = handshake
        destination = ServerEndpoint(one.address, one.port, one.sni, one.hello, one.verify)
        if one.hello == "ech":
            from probe.net.ech import measure_ech

            return await measure_ech(self._target, destination, one.limit)
        return await measure_tls(self._target, destination, one.limit)

    async def http(self, request: HttpRequest) -> Steps:
        """Fetch one URL from one address."""
        one = request
        what = plan_fetch(one.url, one.address, host=one.host, sni=one.sni, path=one.path)
        return await fetch(self._target, what, self._body_cap, one.limit)

    async def transfer(self, request: TransferRequest) -> Transfer:
        """Time one transfer, on its own connection and its own thread."""
        from probe.net.transfer import transfer

        async with self._target.session.limiter.enter(request.address):
            done = await transfer(request, origin=self._target.origin)
        counter = self._target.session.counter
        if request.direction == "down":
            counter.bytes_in += done.wire_bytes
        else:
            counter.bytes_out += done.wire_bytes
        return done

    async def gateway(self) -> Ping | None:
        """Whether the home router answers; None where it cannot be tested."""
        from probe.net.gateway import gateway

        return await gateway(origin=self._target.origin)

    async def quic(self, handshake: QuicHandshake) -> Quic:
        """One QUIC handshake; needs the extra `[quic]`."""
        from probe.net.quic import measure_quic

        destination = ServerEndpoint(handshake.address, handshake.port, handshake.sni)
        return await measure_quic(self._target, destination, handshake.limit)

    def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """Probes with a limited TTL; with `keep`, captures go to `captures`."""
        from probe.net.ttl_prober import SocketTtlProber

        keeping = self.captures.append if keep else None
        return SocketTtlProber(self._target, self._connections, addresses, keep=keeping)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        """Send a message in datagrams and wait for the answer."""
        from probe.net.datagram_exchange import exchange_udp

        return await exchange_udp(self._target, exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        """Connect, send a message, wait for the answer."""
        from probe.net.datagram_exchange import exchange_tcp

        return await exchange_tcp(self._target, exchange)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Await several operations at once; an exception in one cancels the others."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_awaited(ask)) for ask in asks]
        return [task.result() for task in tasks]

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def safe(self, address: str) -> bool:
        return is_dialable(address, lab=self._target.session.lab)


async def _awaited(ask: Awaitable[T]) -> T:
    return await ask
