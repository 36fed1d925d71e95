"""The network as one target's experiment sees it: operations, a clock, certificates received."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import monotonic
from typing import TypeVar

from msgspec.structs import replace

from probe.experiments.interface import FlowProber, Resolver, TtlProber
from probe.experiments.operations import (
    DnsQuery,
    Exchange,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.failure import Failure
from probe.model import Dns, Ping, Quic, Steps, Tcp, Tls, Transfer
from probe.net.address_policy import is_dialable, is_nearby
from probe.net.dial import ServerEndpoint, TargetContext, measure_tcp, measure_tls
from probe.net.dns import Listening, Question, measure_dns
from probe.net.resolver_connections import ResolverConnections
from probe.net.resolver_pool import SYSTEM, ResolverPool
from probe.net.resolver_retries import ResolverRetries
from probe.reference_data import is_public_resolver

T = TypeVar("T")

# Failures after which a stub resolver asks no other server (resolv.conf(5), res_send(3)), and those
# that are no resolver's.
_ANSWERS = frozenset(
    {
        Failure.DNS_NXDOMAIN,
        Failure.DNS_NO_ANSWER,
        Failure.DNS_NON_RECOVERABLE,
        Failure.INTERRUPTED,
    }
)


class SocketNet:
    """A `TransferNet` whose steps count from one target's origin."""

    def __init__(
        self,
        target: TargetContext,
        connections: ResolverConnections,
        pool: ResolverPool,
        retries: ResolverRetries,
        *,
        ipv6: bool,
        body_cap: int,
    ) -> None:
        self._target = target
        self._connections = connections
        self._pool = pool
        self._retries = retries
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

        Where one of the system's resolvers does not answer or reports a failure, the next one is
        asked, as the system does. Where none answers over UDP, return the answer over TCP if there
        is one; the step's `transport` says which it was.
        """
        return await self._dns(Question(query.name, query.type, query.resolver), query.limit)

    async def early_dns(self, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
        """The step as of the first reply, and the whole one."""
        listening = Listening()
        question = Question(query.name, query.type, query.resolver, listening=listening)
        step = await self._dns(question, query.limit)
        return step, listening.complete(step)

    async def _dns(self, question: Question, limit: float | None) -> Dns:
        if question.resolver.label != SYSTEM:
            return await self._ask(question, limit)
        step = await self._ask_own(question, limit)
        if step.replies or question.resolver.transport != "udp":
            return step
        again = await self._over_tcp(question, limit)
        return again if again is not None and again.replies else step

    async def _ask(self, question: Question, limit: float | None) -> Dns:
        resolver = question.resolver
        question = replace(question, edns=self._pool.sends_edns(resolver))
        step = await measure_dns(self._target, self._connections, question, limit)
        self._pool.note(resolver, answered=bool(step.replies))
        self._retries.follow(resolver, partial(self._retry, question))
        if step.edns_failed is not None or any(reply.edns for reply in step.replies):
            self._pool.note_edns(resolver, answered=step.edns_failed is None)
        if resolver.label != SYSTEM:
            return step
        nearby = is_nearby(resolver.address, lab=self._target.session.lab)
        public = is_public_resolver(resolver.address)
        return replace(step, nearby=nearby, public=public)

    async def _retry(self, question: Question) -> bool:
        """Whether this question is answered, apart from any target."""
        apart = TargetContext(self._target.session, monotonic())
        again = replace(question, listening=None)
        return bool((await measure_dns(apart, self._connections, again, None)).replies)

    async def _ask_own(self, question: Question, limit: float | None) -> Dns:
        """The first answer of the system's resolvers, in their order; else the first failure.

        Where all were silent lately, they are asked at once.
        """
        others = self._pool.after(question.resolver)
        questions = [question, *(replace(question, resolver=other) for other in others)]
        if self._pool.own_silent:
            asked = await self.together([self._ask(one, limit) for one in questions])
        else:
            asked = []
            for one in questions:
                asked.append(await self._ask(one, limit))
                if not _goes_on(asked[-1]):
                    break
        end = next((n for n, step in enumerate(asked, 1) if not _goes_on(step)), len(asked))
        *before, last = asked[:end]
        if _goes_on(last):
            return next((step for step in asked if step.replies), asked[0])
        passed = tuple(step.failure for step in before if step.failure is not None)
        return replace(last, passed_over=passed) if passed else last

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
        destination = ServerEndpoint(
            one.address, one.port, one.sni, one.hello, one.verify, one.segment_limit
        )
        if one.hello == "ech":
            from probe.net.ech import measure_ech

            return await measure_ech(self._target, destination, one.limit)
        return await measure_tls(self._target, destination, one.limit)

    async def http(self, request: HttpRequest) -> Steps:
        """Fetch one URL from one address."""
        from probe.net.http import fetch, plan_fetch

        one = request
        what = plan_fetch(
            one.url, one.address, host=one.host, sni=one.sni, path=one.path, cookies=one.cookies
        )
        what = replace(what, segment_limit=one.segment_limit, form=one.form)
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

    def flow_prober(self) -> FlowProber | None:
        """Probes of a few flows; for a few targets a session, and on Linux only."""
        from probe.net.flow_prober import AVAILABLE, SocketFlowProber

        if not AVAILABLE or not self._target.session.flow_searches.take():
            return None
        return SocketFlowProber(self._target)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        """Send a message in datagrams and wait for the answer."""
        from probe.net.datagram_exchange import exchange_udp

        return await exchange_udp(self._target, exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        """Connect, send a message, wait for the answer."""
        from probe.net.datagram_exchange import exchange_tcp

        return await exchange_tcp(self._target, exchange)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return await await_all(asks)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def safe(self, address: str) -> bool:
        return is_dialable(address, lab=self._target.session.lab)


async def await_all(asks: Sequence[Awaitable[T]]) -> list[T]:
    """Await several operations at once; an exception in one cancels the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(ask)) for ask in asks]
    return [task.result() for task in tasks]


def _goes_on(step: Dns) -> bool:
    """Whether a stub resolver asks its next server after this: anything but an answer."""
    return step.failure is not None and step.failure not in _ANSWERS


async def _awaited(ask: Awaitable[T]) -> T:
    return await ask
