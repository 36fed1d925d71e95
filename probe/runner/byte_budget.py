"""The byte budget of a run: no operation begins when it is used up.

An operation reserves the bytes it may take before it begins. When the rest does not suffice for
another reservation, operations go one at a time, so that a run exceeds its budget by about one
operation, whatever its concurrency. The reservation for a page is derived from earlier pages.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from probe.experiments.interface import (
    EarlyDnsNet,
    ExchangeNet,
    FlowNet,
    FlowProber,
    GatewayNet,
    Resolver,
    TransferNet,
    TtlNet,
    TtlProber,
)
from probe.experiments.operations import (
    DnsQuery,
    Exchange,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.model import Dns, Http, Ping, Quic, Steps, Tcp, Tls, Transfer

T = TypeVar("T")

# What one operation plausibly takes at most, both directions. Only the order of magnitude matters.
DNS_BYTES = 2_000
TCP_BYTES = 400
TLS_BYTES = 16_000
HTTP_BYTES = 300_000
MIN_HTTP_BYTES = 32_000
QUIC_BYTES = 16_000
EXCHANGE_BYTES = 2_000


class BytesSpent(Exception):  # noqa: N818 - the end of a budget, not a fault
    """The byte budget is used up."""


class ByteBudget:
    """The bytes of one run, shared by all its measurements."""

    def __init__(self, limit: int, used: Callable[[], int]) -> None:
        self._limit = limit
        self._used = used
        self._reserved = 0
        self._running = 0
        self._freed = asyncio.Event()
        self._largest_page: int | None = None

    @property
    def page_bytes(self) -> int:
        """The reservation for one page: twice the largest so far, within bounds."""
        if self._largest_page is None:
            return HTTP_BYTES
        return min(max(2 * self._largest_page, MIN_HTTP_BYTES), HTTP_BYTES)

    def note_page(self, steps: Steps) -> None:
        """Note the size of a page."""
        cost = sum(s.bytes_in + s.bytes_out for s in steps if isinstance(s, Http | Tls))
        self._largest_page = max(self._largest_page or 0, cost)

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self._used() >= self._limit

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Reserve `size` bytes while an operation runs, or raise `BytesSpent`."""
        while self._running and self._used() + self._reserved + size > self._limit:
            self._freed.clear()
            await self._freed.wait()
        if self.spent:
            self._freed.set()
            raise BytesSpent
        self._running += 1
        self._reserved += size
        try:
            yield
        finally:
            self._running -= 1
            self._reserved -= size
            self._freed.set()


class BudgetedNet:
    """A net that raises `BytesSpent` once the budget is used up."""

    def __init__(self, net: TransferNet, budget: ByteBudget) -> None:
        self._net = net
        self._budget = budget

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return self._net.resolvers

    @property
    def ipv6(self) -> bool:
        return self._net.ipv6

    async def dns(self, query: DnsQuery) -> Dns:
        async with self._budget.reserve(DNS_BYTES):
            return await self._net.dns(query)

    async def early_dns(self, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
        """Further replies are not reserved for: they are awaited, and cost no query."""
        async with self._budget.reserve(DNS_BYTES):
            if isinstance(self._net, EarlyDnsNet):
                return await self._net.early_dns(query)
            step = await self._net.dns(query)
        return step, _finished(step)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        async with self._budget.reserve(TCP_BYTES):
            return await self._net.tcp(connect)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        async with self._budget.reserve(TLS_BYTES):
            return await self._net.tls(handshake)

    async def http(self, request: HttpRequest) -> Steps:
        async with self._budget.reserve(self._budget.page_bytes):
            steps = await self._net.http(request)
        self._budget.note_page(steps)
        return steps

    async def quic(self, handshake: QuicHandshake) -> Quic:
        async with self._budget.reserve(QUIC_BYTES):
            return await self._net.quic(handshake)

    async def transfer(self, request: TransferRequest) -> Transfer:
        async with self._budget.reserve(request.size + TLS_BYTES):
            return await self._net.transfer(request)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        async with self._budget.reserve(EXCHANGE_BYTES):
            return await _exchange_net(self._net).exchange_udp(exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        async with self._budget.reserve(EXCHANGE_BYTES):
            return await _exchange_net(self._net).exchange_tcp(exchange)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Run several operations concurrently, or raise `BytesSpent`."""
        try:
            return await self._net.together(asks)
        except BaseExceptionGroup as several:
            if several.split(BytesSpent)[1] is None:
                raise BytesSpent from None
            raise

    async def pause(self, seconds: float) -> None:
        await self._net.pause(seconds)

    def safe(self, address: str) -> bool:
        return self._net.safe(address)

    async def gateway(self) -> Ping | None:
        if not isinstance(self._net, GatewayNet):
            return None
        return await self._net.gateway()

    def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """Not reserved for: its probes are few and small."""
        if self._budget.spent or not isinstance(self._net, TtlNet):
            raise BytesSpent
        return self._net.ttl_prober(addresses, keep=keep)

    def flow_prober(self) -> FlowProber | None:
        """Not reserved for: its probes are few and small."""
        if self._budget.spent or not isinstance(self._net, FlowNet):
            return None
        return self._net.flow_prober()


def _exchange_net(net: object) -> ExchangeNet:
    if not isinstance(net, ExchangeNet):
        raise TypeError("this net does not support exchanges")
    return net


async def _finished(step: Dns) -> Dns:
    return step
