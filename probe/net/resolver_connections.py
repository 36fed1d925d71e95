"""The streams to resolvers: TCP once per question, TLS and HTTPS over one connection each.

A secure resolver is only believed when its chain proves its name or its address: otherwise whoever
answers in its place would be quoted as the truth. Questions share a connection, which is opened
again when it breaks.
"""

import asyncio
from dataclasses import dataclass, field
from secrets import randbelow
from time import monotonic

from probe.experiments.interface import Resolver
from probe.failure import Failure
from probe.model import Trust, TrustReason
from probe.net.address_policy import is_literal
from probe.net.attempt import NetworkEvent
from probe.net.dial import SessionContext
from probe.net.dns_message import query
from probe.net.dns_stream import DnsStream, Framed, OverHttp1, OverHttp2, framed, take_framed
from probe.net.stream import connect
from probe.net.tls import TlsStream

_ALPN = {"doh": ("h2", "http/1.1"), "dot": ()}
_UNPROVEN = {
    TrustReason.HOSTNAME: Failure.SSL_HOSTNAME,
    TrustReason.SELF_SIGNED: Failure.SSL_AUTHORITY,
    TrustReason.UNKNOWN_AUTHORITY: Failure.SSL_AUTHORITY,
    TrustReason.INCOMPLETE: Failure.SSL_AUTHORITY,
}


async def once_over_tcp(door: SessionContext, resolver: Resolver, message: bytes) -> bytes:
    """One question over a TCP connection of its own (RFC 7766)."""
    stream = await connect(resolver.address, resolver.port, door.budget)
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


@dataclass(slots=True)
class _Channel:
    """One resolver: its connection, if there is one, and who may open it."""

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    live: DnsStream | None = None


@dataclass(slots=True)
class ResolverConnections:
    """The secured connections of a session, one per resolver."""

    door: SessionContext
    _all: dict[Resolver, _Channel] = field(default_factory=dict)

    async def ask(self, resolver: Resolver, name: str, type_: str) -> bytes:
        """The reply to one question; raises what the network did."""
        if resolver.transport == "tcp":
            message = query(randbelow(0x10000), name, type_)
            return await once_over_tcp(self.door, resolver, message)
        channel = self._all.setdefault(resolver, _Channel())
        reused = channel.live is not None and channel.live.open
        talk = await self._conversation(channel, resolver)
        try:
            return await talk.ask(name, type_)
        except (OSError, NetworkEvent):
            if not reused or talk.open:
                raise
        # An idle connection that broke says nothing of this question: ask on a fresh one.
        return await (await self._conversation(channel, resolver)).ask(name, type_)

    async def doubt(self, resolver: Resolver, *, since: float) -> None:
        """A question asked at `since` was not answered: hang up where nothing else was either."""
        channel = self._all.get(resolver)
        if channel is None or channel.live is None:
            return
        live, now = channel.live, monotonic()
        if now - live.last_arrival >= (now - since) / 2:
            channel.live = None
            await live.close()

    async def close(self) -> None:
        """Hang up everywhere."""
        for channel in self._all.values():
            if channel.live is not None:
                await channel.live.close()
                channel.live = None

    async def _conversation(self, channel: _Channel, resolver: Resolver) -> DnsStream:
        async with channel.opening:
            if channel.live is None or not channel.live.open:
                if channel.live is not None:
                    await channel.live.retire()
                    channel.live = None
                channel.live = await self._open(resolver)
            return channel.live

    async def _open(self, resolver: Resolver) -> DnsStream:
        door = self.door
        stream = await connect(resolver.address, resolver.port, door.budget)
        try:
            context = door.contexts.get("default", _ALPN[resolver.transport])
            tls = TlsStream(stream, context, _offered(resolver))
            await tls.handshake()
            await self._insist(resolver, tls)
        except BaseException:
            stream.close()
            raise
        return DnsStream(tls, _questions(resolver, tls.alpn))

    async def _insist(self, resolver: Resolver, tls: TlsStream) -> None:
        """Raise unless the chain proves the resolver's name, or else its address."""
        trust = await self._prove(tls, resolver.name or resolver.address)
        if not trust.valid and trust.anchored and resolver.name is not None:
            by_address = await self._prove(tls, resolver.address)
            trust = by_address if by_address.valid else trust
        if not trust.valid:
            reason = trust.reason or TrustReason.REJECTED
            raise NetworkEvent(_UNPROVEN.get(reason, Failure.SSL_CERTIFICATE), str(reason))

    async def _prove(self, tls: TlsStream, name: str) -> Trust:
        trust = await self.door.prover.prove(tls.chain, name)
        return trust or Trust(valid=False, reason=TrustReason.EMPTY)


def _offered(resolver: Resolver) -> str | None:
    """The SNI: the resolver's name; an address is never offered (RFC 6066)."""
    return None if resolver.name is None or is_literal(resolver.name) else resolver.name


def _questions(resolver: Resolver, alpn: str | None) -> Framed | OverHttp2 | OverHttp1:
    if resolver.transport == "dot":
        return Framed()
    authority = resolver.name or resolver.address
    if ":" in authority:
        authority = f"[{authority}]"
    if resolver.port != 443:
        authority = f"{authority}:{resolver.port}"
    kind = OverHttp2 if alpn == "h2" else OverHttp1
    return kind(authority, resolver.path)
