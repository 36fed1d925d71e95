"""Connections to resolvers: TCP one per query, DoT and DoH one per resolver.

The answers of a DoT or DoH resolver are used only if its certificate proves its name or address:
otherwise a middlebox could answer in its place. Queries share a connection, which is opened again
when it breaks. Over HTTP/1.1 a connection has one query, so queries have connections of their own,
a few at a time.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from secrets import randbelow
from time import monotonic

from msgspec import Struct, field

from probe.experiments.interface import Resolver
from probe.failure import Failure
from probe.model import Trust, TrustReason
from probe.net.address_policy import is_literal
from probe.net.attempt import NetworkEvent
from probe.net.dial import SessionContext
from probe.net.dns_stream import (
    DnsStream,
    FramedQueries,
    Http1Queries,
    Http2Queries,
    framed,
    take_framed,
)
from probe.net.dns_usual import query
from probe.net.stream import connect
from probe.net.tls import TlsStream

# Connections for one query each to one resolver at a time.
_SINGLE_USE = 8
_ALPN = {"doh": ("h2", "http/1.1"), "dot": ()}
_UNPROVEN = {
    TrustReason.HOSTNAME: Failure.SSL_HOSTNAME,
    TrustReason.SELF_SIGNED: Failure.SSL_AUTHORITY,
    TrustReason.UNKNOWN_AUTHORITY: Failure.SSL_AUTHORITY,
    TrustReason.INCOMPLETE: Failure.SSL_AUTHORITY,
}


async def ask_over_tcp(session: SessionContext, resolver: Resolver, message: bytes) -> bytes:
    """Send one query over a TCP connection of its own (RFC 7766)."""
    stream = await connect(resolver.address, resolver.port, session.counter)
    try:
        await stream.write(framed(message))
        received = bytearray()
        while (reply := take_framed(received)) is None:
            data = await stream.read()
            if not data:
                raise NetworkEvent(Failure.EOF)
            received += data
        return reply
    finally:
        stream.close()


class _SharedConnection(Struct):
    """The connection to one resolver, if it is open, and the lock for opening it.

    Attributes:
        single_use: The resolver speaks HTTP/1.1: a connection for each query.
    """

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    live: DnsStream | None = None
    single_use: bool = False
    few: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SINGLE_USE))


class ResolverConnections(Struct):
    """The DoT and DoH connections of a session, one per resolver."""

    session: SessionContext
    _all: dict[Resolver, _SharedConnection] = field(default_factory=dict)

    def turn(self, resolver: Resolver) -> AbstractAsyncContextManager[object]:
        """Wait for a connection to be allowed; our own queue is no silence of the resolver."""
        shared = self._all.get(resolver)
        return shared.few if shared is not None and shared.single_use else nullcontext()

    async def ask(self, resolver: Resolver, name: str, type_: str, *, edns: bool = True) -> bytes:
        """The reply to one query; raises `OSError` or `NetworkEvent`."""
        if resolver.transport == "tcp":
            message = query(randbelow(0x10000), name, type_, edns=edns)
            return await ask_over_tcp(self.session, resolver, message)
        shared = self._all.setdefault(resolver, _SharedConnection())
        reused = shared.live is not None and shared.live.open
        stream = await self._connection(shared, resolver)
        if stream is None:
            return await self._ask_alone(resolver, name, type_, edns=edns)
        try:
            return await stream.ask(name, type_, edns=edns)
        except (OSError, NetworkEvent):
            if not reused or stream.open:
                raise
        # An idle connection that broke says nothing about this query: use a new one.
        again = await self._connection(shared, resolver)
        if again is None:
            return await self._ask_alone(resolver, name, type_, edns=edns)
        return await again.ask(name, type_, edns=edns)

    async def _ask_alone(self, resolver: Resolver, name: str, type_: str, *, edns: bool) -> bytes:
        """Ask over a connection for this query alone."""
        stream = await self._open(resolver)
        try:
            return await stream.ask(name, type_, edns=edns)
        finally:
            await stream.close()

    async def close_if_silent(self, resolver: Resolver, *, since: float) -> None:
        """Close the connection if it has been silent since a query sent at `since` timed out."""
        shared = self._all.get(resolver)
        if shared is None or shared.live is None:
            return
        live, now = shared.live, monotonic()
        if now - live.last_arrival >= (now - since) / 2:
            shared.live = None
            await live.close()

    async def close(self) -> None:
        """Close all connections."""
        for shared in self._all.values():
            if shared.live is not None:
                await shared.live.close()
                shared.live = None

    async def _connection(self, shared: _SharedConnection, resolver: Resolver) -> DnsStream | None:
        """The shared connection, opened if necessary; None if each query needs its own."""
        async with shared.opening:
            if shared.live is None or not shared.live.open:
                if shared.live is not None:
                    await shared.live.retire()
                    shared.live = None
                if shared.single_use:
                    return None
                shared.live = await self._open(resolver)
                shared.single_use = shared.live.single_use
            return shared.live

    async def _open(self, resolver: Resolver) -> DnsStream:
        session = self.session
        stream = await connect(resolver.address, resolver.port, session.counter)
        try:
            context = session.tls_contexts.get("default", _ALPN[resolver.transport])
            tls = TlsStream(stream, context, _server_name(resolver))
            await tls.handshake()
            await self._require_proof(resolver, tls)
        except BaseException:
            stream.close()
            raise
        return DnsStream(tls, _protocol(resolver, tls.alpn))

    async def _require_proof(self, resolver: Resolver, tls: TlsStream) -> None:
        """Raise `NetworkEvent` unless the chain proves the resolver's name or its address."""
        trust = await self._verify(tls, resolver.name or resolver.address)
        if not trust.valid and trust.anchored and resolver.name is not None:
            by_address = await self._verify(tls, resolver.address)
            trust = by_address if by_address.valid else trust
        if not trust.valid:
            reason = trust.reason or TrustReason.REJECTED
            raise NetworkEvent(_UNPROVEN.get(reason, Failure.SSL_CERTIFICATE), str(reason))

    async def _verify(self, tls: TlsStream, name: str) -> Trust:
        trust = await self.session.verifier.verify(tls.chain, name)
        return trust or Trust(valid=False, reason=TrustReason.EMPTY)


def _server_name(resolver: Resolver) -> str | None:
    """The SNI: the resolver's name, never an address (RFC 6066)."""
    return None if resolver.name is None or is_literal(resolver.name) else resolver.name


def _protocol(resolver: Resolver, alpn: str | None) -> FramedQueries | Http2Queries | Http1Queries:
    if resolver.transport == "dot":
        return FramedQueries()
    authority = resolver.name or resolver.address
    if ":" in authority:
        authority = f"[{authority}]"
    if resolver.port != 443:
        authority = f"{authority}:{resolver.port}"
    kind = Http2Queries if alpn == "h2" else Http1Queries
    return kind(authority, resolver.path)
