"""What one target's experiment gets of the network: the port, a clock, the certificates seen."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Literal, TypeVar

from probe.experiments.interface import Exchange, Hello, Resolver, TtlProber
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

    async def dns(
        self, name: str, type_: str, resolver: Resolver, *, limit: float | None = None
    ) -> Dns:
        """Ask one resolver once and collect every reply.

        Where the system's own were never heard over UDP it is their answer over TCP, if they have
        one; the step says which it was.
        """
        step = await self._ask(Question(name, type_, resolver), limit)
        if step.replies or resolver.label != SYSTEM or resolver.transport != "udp":
            return step
        again = await self._over_tcp(Question(name, type_, resolver), limit)
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

    async def tcp(self, address: str, port: int, *, limit: float | None = None) -> Tcp:
        """Connect and hang up."""
        return await look_tcp(self._look, Peer(address, port), limit)

    async def tls(
        self,
        address: str,
        port: int,
        sni: str | None,
        *,
        hello: Hello = "default",
        verify: str | None = None,
        limit: float | None = None,
    ) -> tuple[Tcp, Tls | None]:
        """Connect, shake hands, hang up."""
        if hello == "ech":
            from probe.net.ech import look_ech

            return await look_ech(self._look, Peer(address, port, sni, hello), limit)
        return await look_tls(self._look, Peer(address, port, sni, hello, verify), limit)

    async def http(
        self,
        url: str,
        address: str,
        *,
        host: str | None = None,
        sni: str | None = None,
        path: str | None = None,
        limit: float | None = None,
    ) -> Steps:
        """Fetch one URL from one address."""
        what = plan_fetch(url, address, host=host, sni=sni, path=path)
        return await fetch(self._look, what, self._body_cap, limit)

    async def transfer(
        self,
        address: str,
        port: int,
        sni: str | None,
        size: int,
        *,
        path: str,
        host: str,
        pin: str | None,
        cap: float,
        direction: Literal["down", "up"] = "down",
    ) -> Transfer:
        """Time one transfer, on its own connection and its own thread."""
        from probe.net.transfer import transfer

        async with self._look.door.gate.enter(address):
            done = await transfer(
                address,
                port,
                sni,
                size,
                path=path,
                host=host,
                pin=pin,
                cap=cap,
                direction=direction,
                origin=self._look.origin,
            )
        budget = self._look.door.budget
        if direction == "down":
            budget.bytes_in += done.wire_bytes
        else:
            budget.bytes_out += done.wire_bytes
        return done

    async def gateway(self) -> Ping | None:
        """Whether the home's own router answers; None where it cannot be asked."""
        from probe.net.gateway import gateway

        return await gateway(origin=self._look.origin)

    async def quic(
        self, address: str, port: int, sni: str | None, *, limit: float | None = None
    ) -> Quic:
        """One QUIC handshake; needs the extra `[quic]`."""
        from probe.net.quic import look_quic

        return await look_quic(self._look, Peer(address, port, sni), limit)

    def stepper(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AbstractAsyncContextManager[TtlProber]:
        """Looks with packets that go so far only; with `keep`, captures go to `captures`."""
        from probe.net.ttl_prober import TtlProber as Walking

        keeping = self.captures.append if keep else None
        return Walking(self._look, self._channels, addresses, keep=keeping)

    async def udp(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> Ping:
        """Say something in datagrams and wait for the answer."""
        from probe.net.datagram_exchange import over_udp

        return await over_udp(self._look, Peer(address, port), talk, limit)

    async def talk(
        self, address: str, port: int, talk: Exchange, *, limit: float | None = None
    ) -> tuple[Tcp, Ping | None]:
        """Connect, say something, wait for the answer."""
        from probe.net.datagram_exchange import over_tcp

        return await over_tcp(self._look, Peer(address, port), talk, limit)

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
