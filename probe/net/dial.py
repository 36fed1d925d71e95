"""Open a connection and shake hands on it; each gives its finished step and the thing itself."""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from time import monotonic

from probe.failure import Failure
from probe.model import Tcp, Tls
from probe.net.address_policy import is_dialable
from probe.net.attempt import attempt
from probe.net.byte_counter import ByteCounter
from probe.net.chain_verifier import ChainVerifier
from probe.net.hello import Contexts, server_name
from probe.net.rate_limit import RateLimiter
from probe.net.stream import Stream, connect
from probe.net.timeouts import AdaptiveTimeouts
from probe.net.tls import TlsStream

NOT_DIALLED = "not dialled: not a public address"


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all the connections of a session share.

    Attributes:
        gate: Bounds connections. questions: bounds DNS questions, which are cheaper.
        lab: Addresses that are not public may be dialled.
    """

    gate: RateLimiter
    questions: RateLimiter
    budget: ByteCounter
    pace: AdaptiveTimeouts
    prover: ChainVerifier
    contexts: Contexts = field(default_factory=Contexts)
    lab: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect, and what to say there.

    Attributes:
        sni: The name to offer, or None for none.
        verify: The name that the chain is judged for.
    """

    address: str
    port: int
    sni: str | None = None
    hello: str = "default"
    verify: str | None = None


@dataclass(frozen=True, slots=True)
class TargetContext:
    """One target's view of the session: when it began, and the certificates it saw."""

    door: SessionContext
    origin: float
    certs: dict[str, bytes] = field(default_factory=dict)

    def now(self) -> float:
        """Seconds since this target's origin."""
        return round(monotonic() - self.origin, 6)


async def open_tcp(
    look: TargetContext, peer: Peer, limit: float | None
) -> tuple[Tcp, Stream | None]:
    """Connect; the caller closes the stream."""
    door, at = look.door, look.now()
    limit = door.pace.tcp_limit() if limit is None else limit
    if not is_dialable(peer.address, lab=door.lab):
        refused = Tcp(
            address=peer.address,
            port=peer.port,
            failure=Failure.NETWORK_UNREACHABLE,
            detail=NOT_DIALLED,
            at=at,
            limit=limit,
        )
        return refused, None
    opened = await attempt(connect(peer.address, peer.port, door.budget), limit=limit)
    if opened.value is not None:
        door.pace.connects.add(opened.elapsed)
    step = Tcp(
        address=peer.address,
        port=peer.port,
        failure=opened.failure,
        detail=opened.detail,
        errno=opened.errno,
        at=at,
        elapsed=round(opened.elapsed, 6),
        limit=limit,
    )
    return step, opened.value


async def shake_hands(
    look: TargetContext, peer: Peer, stream: Stream, limit: float
) -> tuple[Tls, TlsStream | None]:
    """Offer the peer's name and shake hands; the chain is kept whatever comes of it."""
    door, at = look.door, look.now()
    tls = TlsStream(stream, door.contexts.get(peer.hello), server_name(peer.sni))
    shaken = await attempt(tls.handshake(in_two=peer.hello == "split"), limit=limit)
    if shaken.failure is None:
        door.pace.handshakes.add(shaken.elapsed)
    chain = tuple(map(_same, tls.chain))
    prints = tuple(sha256(der).hexdigest() for der in chain)
    look.certs.update(zip(prints, chain, strict=True))
    step = Tls(
        address=peer.address,
        port=peer.port,
        sni=peer.sni,
        hello=peer.hello,
        bytes_out=tls.bytes_out,
        bytes_in=tls.bytes_in,
        version=tls.version if shaken.failure is None else None,
        cipher=tls.cipher,
        alpn=tls.alpn,
        alert=tls.alert,
        alert_by=tls.alert_by,
        server_hello=tls.server_hello,
        chain=prints,
        trust=await door.prover.prove(chain, peer.verify or peer.sni),
        acknowledged=stream.acknowledged if shaken.failure is Failure.TIMEOUT else None,
        failure=shaken.failure,
        detail=shaken.detail,
        at=at,
        elapsed=round(shaken.elapsed, 6),
        limit=limit,
    )
    return step, tls if shaken.failure is None else None


@lru_cache(maxsize=256)
def _same(der: bytes) -> bytes:
    """The object that is already there for these octets: many targets see the same authorities."""
    return der


async def look_tcp(look: TargetContext, peer: Peer, limit: float | None) -> Tcp:
    """Connect and hang up."""
    async with look.door.gate.enter(peer.address):
        tcp, stream = await open_tcp(look, peer, limit)
        if stream is not None:
            look.door.gate.ease.note(tcp.elapsed)
            stream.close()
        return tcp


async def look_tls(look: TargetContext, peer: Peer, limit: float | None) -> tuple[Tcp, Tls | None]:
    """Connect, shake hands, hang up."""
    async with look.door.gate.enter(peer.address):
        tcp, stream = await open_tcp(look, peer, limit)
        if stream is None:
            return tcp, None
        try:
            allowed = look.door.pace.tls_limit(tcp.elapsed) if limit is None else limit
            step, tls = await shake_hands(look, peer, stream, allowed)
            if tls is not None:
                look.door.gate.ease.note(max(tcp.elapsed, step.elapsed))
        finally:
            stream.close()
        return tcp, step
