"""What a run may still spend: nothing new is begun when its bytes are gone.

An exchange takes room for what it may cost before it begins, and gives back what it did not use.
When room is scarce they go one at a time, so that a run exceeds its budget by about one exchange,
however many targets are measured at once. What a page may cost is learnt from those before it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from probe.experiments.interface import (
    ExchangeNet,
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

# The most that one exchange plausibly costs, both ways. Only its order of magnitude matters.
DNS_BYTES = 2_000
TCP_BYTES = 400
TLS_BYTES = 16_000
HTTP_BYTES = 300_000
LEAST_HTTP_BYTES = 32_000
QUIC_BYTES = 16_000
TALK_BYTES = 2_000


class BytesSpent(Exception):  # noqa: N818 - the end of a budget, not a fault
    """The byte budget is used up."""


class ByteBudget:
    """The bytes of one run, shared by everything that is measured in it."""

    def __init__(self, limit: int, used: Callable[[], int]) -> None:
        self._limit = limit
        self._used = used
        self._reserved = 0
        self._flying = 0
        self._freed = asyncio.Event()
        self._largest_page: int | None = None

    @property
    def page(self) -> int:
        """Room for one page: twice the largest so far, or the most there can be."""
        if self._largest_page is None:
            return HTTP_BYTES
        return min(max(2 * self._largest_page, LEAST_HTTP_BYTES), HTTP_BYTES)

    def learn(self, steps: Steps) -> None:
        """Note what a page cost."""
        cost = sum(s.bytes_in + s.bytes_out for s in steps if isinstance(s, Http | Tls))
        self._largest_page = max(self._largest_page or 0, cost)

    @property
    def spent(self) -> bool:
        """Nothing is left."""
        return self._used() >= self._limit

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Hold room for `size` bytes while an exchange runs, or raise `BytesSpent`."""
        while self._flying and not self._fits(size):
            self._freed.clear()
            await self._freed.wait()
        if self.spent:
            self._freed.set()
            raise BytesSpent
        self._flying += 1
        self._reserved += size
        try:
            yield
        finally:
            self._flying -= 1
            self._reserved -= size
            self._freed.set()

    def _fits(self, size: int) -> bool:
        return self._used() + self._reserved + size <= self._limit


class BudgetedNet:
    """A net that begins nothing once the allowance is spent."""

    def __init__(self, net: TransferNet, allowance: ByteBudget) -> None:
        self._net = net
        self._allowance = allowance

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return self._net.resolvers

    @property
    def ipv6(self) -> bool:
        return self._net.ipv6

    async def dns(self, query: DnsQuery) -> Dns:
        async with self._allowance.room(DNS_BYTES):
            return await self._net.dns(query)

    async def tcp(self, connect: TcpConnect) -> Tcp:
        async with self._allowance.room(TCP_BYTES):
            return await self._net.tcp(connect)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        async with self._allowance.room(TLS_BYTES):
            return await self._net.tls(handshake)

    async def http(self, request: HttpRequest) -> Steps:
        async with self._allowance.room(self._allowance.page):
            steps = await self._net.http(request)
        self._allowance.learn(steps)
        return steps

    async def quic(self, handshake: QuicHandshake) -> Quic:
        async with self._allowance.room(QUIC_BYTES):
            return await self._net.quic(handshake)

    async def transfer(self, request: TransferRequest) -> Transfer:
        async with self._allowance.room(request.size + TLS_BYTES):
            return await self._net.transfer(request)

    async def exchange_udp(self, exchange: Exchange) -> Ping:
        async with self._allowance.room(TALK_BYTES):
            return await _exchange_net(self._net).exchange_udp(exchange)

    async def exchange_tcp(self, exchange: Exchange) -> tuple[Tcp, Ping | None]:
        async with self._allowance.room(TALK_BYTES):
            return await _exchange_net(self._net).exchange_tcp(exchange)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        """Do several asks at once; when the allowance ends in the midst of them, that is all."""
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
        """Small and bounded looks: they need only that something is left."""
        if self._allowance.spent or not isinstance(self._net, TtlNet):
            raise BytesSpent
        return self._net.ttl_prober(addresses, keep=keep)


def _exchange_net(net: object) -> ExchangeNet:
    if not isinstance(net, ExchangeNet):
        raise TypeError("this net does not support exchanges")
    return net
