"""Open TCP connections and do TLS handshakes; each function returns a step and the connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from hashlib import sha256
from time import monotonic

from msgspec import Struct, field

from probe.failure import Failure
from probe.model import Tcp, Tls
from probe.net.address_policy import is_dialable
from probe.net.attempt import attempt
from probe.net.chain_verifier import ChainVerifier
from probe.net.further import FurtherReading
from probe.net.hello import TlsContexts, server_name
from probe.net.rate_limit import RateLimiter
from probe.net.stream import ByteCounter, Stream, connect
from probe.net.timeouts import AdaptiveTimeouts
from probe.net.tls import TlsStream

NOT_DIALLED = "not dialled: not a public address"


MOST_FLOW_SEARCHES = 6  # a run


class Allowance(Struct):
    """How often something expensive may still be done."""

    left: int

    def take(self) -> bool:
        """Whether it may be done now; counts it."""
        self.left -= 1
        return self.left >= 0


class SessionContext(Struct, frozen=True):
    """What all connections of a session share.

    Attributes:
        limiter: Limits connections. dns_limiter: limits DNS queries.
        lab: Addresses that are not public may be connected to.
        further: Which pages are read further than others.
        flow_searches: For how many targets packets with a limited TTL are still sent.
    """

    limiter: RateLimiter
    dns_limiter: RateLimiter
    counter: ByteCounter
    timeouts: AdaptiveTimeouts
    verifier: ChainVerifier
    tls_contexts: TlsContexts = field(default_factory=TlsContexts)
    lab: bool = False
    further: FurtherReading = field(default_factory=FurtherReading)
    flow_searches: Allowance = field(default_factory=lambda: Allowance(MOST_FLOW_SEARCHES))


class ServerEndpoint(Struct, frozen=True):
    """Where to connect, and what to offer there.

    Attributes:
        sni: The name to offer, or None.
        verify: The name that the chain is verified for; None: `sni`.
        segment_limit: The largest TCP segment in both directions; None: the system's.
        local_port: Where to connect from; None: any port.
    """

    address: str
    port: int
    sni: str | None = None
    hello: str = "default"
    verify: str | None = None
    segment_limit: int | None = None
    local_port: int | None = None


class TargetContext(Struct, frozen=True):
    """The session, with the time origin of one target and the certificates it received."""

    session: SessionContext
    origin: float
    certs: dict[str, bytes] = field(default_factory=dict)

    def now(self) -> float:
        """Seconds since this target's origin."""
        return round(monotonic() - self.origin, 6)


@asynccontextmanager
async def connected(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> AsyncIterator[tuple[Tcp, Stream | None]]:
    """A connection within the session's limits, closed at the end; the stream: None on failure."""
    async with target.session.limiter.enter(destination.address):
        tcp, stream = await _open_tcp(target, destination, limit)
        try:
            yield tcp, stream
        finally:
            if stream is not None:
                stream.close()


async def _open_tcp(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> tuple[Tcp, Stream | None]:
    """Connect; the caller closes the stream."""
    session, at = target.session, target.now()
    limit = session.timeouts.tcp_limit() if limit is None else limit
    if not is_dialable(destination.address, lab=session.lab):
        refused = Tcp(
            address=destination.address,
            port=destination.port,
            failure=Failure.NETWORK_UNREACHABLE,
            detail=NOT_DIALLED,
            at=at,
            limit=limit,
        )
        return refused, None
    most = destination.segment_limit
    connecting = connect(
        destination.address,
        destination.port,
        session.counter,
        segment_limit=most,
        local_port=destination.local_port,
    )
    opened = await attempt(connecting, limit=limit)
    if opened.value is not None:
        session.timeouts.connects.add(opened.elapsed)
    step = Tcp(
        address=destination.address,
        port=destination.port,
        failure=opened.failure,
        detail=opened.detail,
        errno=opened.errno,
        segment_limit=most,
        at=at,
        elapsed=round(opened.elapsed, 6),
        limit=limit,
    )
    return step, opened.value


async def tls_handshake(
    target: TargetContext, destination: ServerEndpoint, stream: Stream, limit: float
) -> tuple[Tls, TlsStream | None]:
    """Do a TLS handshake; the chain is recorded even if it fails."""
    session, at = target.session, target.now()
    tls = TlsStream(
        stream, session.tls_contexts.get(destination.hello), server_name(destination.sni)
    )
    handshake = await attempt(tls.handshake(in_two=destination.hello == "split"), limit=limit)
    if handshake.failure is None:
        session.timeouts.handshakes.add(handshake.elapsed)
    chain = tuple(map(_interned, tls.chain))
    fingerprints = tuple(sha256(der).hexdigest() for der in chain)
    target.certs.update(zip(fingerprints, chain, strict=True))
    step = Tls(
        address=destination.address,
        port=destination.port,
        sni=destination.sni,
        hello=destination.hello,
        bytes_out=tls.bytes_out,
        bytes_in=tls.bytes_in,
        version=tls.version if handshake.failure is None else None,
        cipher=tls.cipher,
        alpn=tls.alpn,
        alert=tls.alert,
        alert_by=tls.alert_by,
        server_hello=tls.server_hello,
        chain=fingerprints,
        trust=await session.verifier.verify(chain, destination.verify or destination.sni),
        acknowledged=stream.acknowledged if handshake.failure is Failure.TIMEOUT else None,
        failure=handshake.failure,
        detail=handshake.detail,
        at=at,
        elapsed=round(handshake.elapsed, 6),
        limit=limit,
    )
    return step, tls if handshake.failure is None else None


@lru_cache(maxsize=256)
def _interned(der: bytes) -> bytes:
    """One object for equal certificates: many targets are served the same authorities."""
    return der


async def measure_tcp(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> Tcp:
    """Connect and close."""
    async with connected(target, destination, limit) as (tcp, stream):
        if stream is not None:
            target.session.limiter.concurrency.note(tcp.elapsed)
        return tcp


async def measure_tls(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> tuple[Tcp, Tls | None]:
    """Connect, do a handshake, close."""
    async with connected(target, destination, limit) as (tcp, stream):
        if stream is None:
            return tcp, None
        allowed = target.session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
        step, tls = await tls_handshake(target, destination, stream, allowed)
        if tls is not None:
            target.session.limiter.concurrency.note(max(tcp.elapsed, step.elapsed))
        return tcp, step
