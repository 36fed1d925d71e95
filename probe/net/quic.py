"""One QUIC handshake, on our own connected UDP socket and aioquic's sans-IO core.

Silence, an ICMP error, a version negotiation and the server's own refusal are four different facts,
and each is kept. An ICMP error does not end the look at once: anybody can forge one, so a real
answer that comes within a second after it counts. Needs the extra `[quic]`; imported when used.
"""

import asyncio
import errno
import logging
import ssl
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted

from probe.failure import Failure
from probe.model import Quic
from probe.net.address_policy import is_dialable
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import NOT_DIALLED, Peer, TargetContext
from probe.net.hello import is_offerable, server_name

GRACE = 1.0
_VERSIONS = 16
_ALERTS = range(0x100, 0x200)  # RFC 9001 section 4.8: CRYPTO_ERROR carries a TLS alert
# Linux's numbers whatever this system's are, so that records can be compared.
_ICMP = {
    errno.ECONNREFUSED: 111,
    errno.EHOSTUNREACH: 113,
    errno.ENETUNREACH: 101,
    errno.EACCES: 13,
    errno.EPERM: 1,
}


async def look_quic(look: TargetContext, peer: Peer, limit: float | None) -> Quic:
    """Shake hands over QUIC and hang up."""
    limit = look.door.pace.tcp_limit() if limit is None else limit
    if not is_dialable(peer.address, lab=look.door.lab):
        return _not_dialled(peer, look.now(), limit)
    async with look.door.gate.enter(peer.address):
        at = look.now()
        talk = Talk(peer.address, peer.port, _link(peer))
        try:
            shaken = await attempt(talk.handshake(look), limit=limit)
        finally:
            talk.close()
    return await _finished(look, peer, talk, shaken, at=at, limit=limit)


@dataclass(slots=True)
class Talk:
    """One handshake under way: what was sent, what came, and the first ICMP error."""

    address: str
    port: int
    link: QuicConnection
    sock: Datagrams | None = None
    bytes_out: int = 0
    bytes_in: int = 0
    datagrams_out: int = 0
    datagrams_in: int = 0
    alpn: str | None = None
    error: int | None = None
    versions: tuple[int, ...] = ()
    icmp: OSError | None = None
    _icmp_at: float = field(default=0.0)

    async def handshake(self, look: TargetContext) -> None:
        """Send and receive until it stands; raises what the network did instead."""
        self.sock = Datagrams(self.address, self.port, look.door.budget, errors=True)
        self.link.connect(self._place, monotonic())
        self._send(self.sock)
        while not self._stands():
            self._give_up_after_icmp()
            await self._hear(self.sock)
            self._insist()
            self._send(self.sock)
        self._send(self.sock)  # our Finished
        self.link.close()
        self._send(self.sock)

    @property
    def _place(self) -> tuple[str, int]:
        return self.address, self.port

    async def _hear(self, sock: Datagrams) -> None:
        """The next datagram, or the next timer of QUIC's own."""
        try:
            async with asyncio.timeout(self._patience()):
                datagram = await sock.receive()
        except TimeoutError:
            self.link.handle_timer(monotonic())
        except OSError as error:
            sock.drain()
            self._note(error)
        else:
            self.bytes_in += len(datagram.data)
            self.datagrams_in += 1
            self.versions = self.versions or offered_versions(datagram.data)
            self._take(datagram.data)

    def _patience(self) -> float:
        now = monotonic()
        timer = self.link.get_timer()
        waits = [max(0.001, timer - now)] if timer is not None else []
        if self.icmp is not None:
            waits.append(max(0.001, self._icmp_at + GRACE - now))
        return min(waits, default=GRACE)

    def _take(self, data: bytes) -> None:
        try:
            self.link.receive_datagram(data, self._place, monotonic())
        except Exception as error:  # a stranger's bytes in a third party's parser
            raise NetworkEvent(Failure.UNKNOWN, "quic_unreadable") from error

    def _send(self, sock: Datagrams) -> None:
        for data, _ in self.link.datagrams_to_send(monotonic()):
            try:
                sock.send(data)
            except OSError as error:  # what an earlier datagram brought back
                sock.drain()
                self._note(error)
            self.bytes_out += len(data)
            self.datagrams_out += 1

    def _note(self, error: OSError) -> None:
        if self.icmp is None:
            self.icmp, self._icmp_at = error, monotonic()

    def _give_up_after_icmp(self) -> None:
        if self.icmp is not None and monotonic() - self._icmp_at >= GRACE:
            raise self.icmp

    def _stands(self) -> bool:
        """Whether the handshake is complete; notes on the way why it ended otherwise."""
        while (event := self.link.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.alpn = event.alpn_protocol
                return True
            if isinstance(event, ConnectionTerminated):
                self._ended(event, by_peer=False)
        return False

    def _insist(self) -> None:
        """Raise when the connection was closed: the event itself comes three timeouts later."""
        closing = self.link._close_event  # noqa: SLF001 - see above
        if closing is not None:
            state = self.link._state  # noqa: SLF001 - who closed it has no public name
            self._ended(closing, by_peer=state is QuicConnectionState.DRAINING)

    def _ended(self, event: ConnectionTerminated, *, by_peer: bool) -> None:
        if self.versions and not by_peer:
            raise NetworkEvent(Failure.QUIC_VERSION)
        self.error = event.error_code
        if self.error in _ALERTS:
            raise NetworkEvent(Failure.SSL_HANDSHAKE)
        raise (
            NetworkEvent(Failure.EOF)
            if by_peer
            else NetworkEvent(Failure.UNKNOWN, "quic_closed_by_us")
        )

    @property
    def alert(self) -> int | None:
        """The TLS alert that ended it, if one did."""
        error = self.error
        return error - _ALERTS.start if error is not None and error in _ALERTS else None

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Every certificate served so far, leaf first, as DER; also when the handshake failed."""
        from cryptography.hazmat.primitives.serialization import Encoding

        tls = self.link.tls
        leaf = tls._peer_certificate  # noqa: SLF001 - aioquic shows it only when it verified it
        above = tls._peer_certificate_chain  # noqa: SLF001 - the same
        served = [*([leaf] if leaf is not None else []), *above]
        return tuple(one.public_bytes(Encoding.DER) for one in served)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()


def _link(peer: Peer) -> QuicConnection:
    """A client that refuses nothing: what a chain proves is judged afterwards."""
    # aioquic tells its log what strangers did; the log's last resort is our stderr.
    logging.getLogger("quic").setLevel(logging.CRITICAL + 1)
    name = server_name(peer.sni)
    return QuicConnection(
        configuration=QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name=name if name is not None and is_offerable(name) else None,
            verify_mode=ssl.CERT_NONE,
        )
    )


def offered_versions(data: bytes) -> tuple[int, ...]:
    """What a version negotiation packet offers (RFC 9000 section 17.2.1); nothing in any other."""
    if len(data) < 7 or not data[0] & 0x80 or any(data[1:5]):
        return ()
    at = 6 + data[5]
    if at >= len(data):
        return ()
    at += 1 + data[at]
    rest = data[at : at + 4 * _VERSIONS]
    return tuple(int.from_bytes(rest[i : i + 4], "big") for i in range(0, len(rest) - 3, 4))


async def _finished(
    look: TargetContext, peer: Peer, talk: Talk, shaken: Attempt[None], *, at: float, limit: float
) -> Quic:
    chain = talk.chain if talk.datagrams_in else ()
    prints = tuple(sha256(der).hexdigest() for der in chain)
    look.certs.update(zip(prints, chain, strict=True))
    return Quic(
        address=peer.address,
        port=peer.port,
        sni=peer.sni,
        bytes_out=talk.bytes_out,
        bytes_in=talk.bytes_in,
        datagrams_out=talk.datagrams_out,
        datagrams_in=talk.datagrams_in,
        alpn=talk.alpn,
        alert=talk.alert,
        icmp=_ICMP.get(talk.icmp.errno or 0, talk.icmp.errno) if talk.icmp else None,
        error=talk.error,
        versions=talk.versions,
        chain=prints,
        trust=await look.door.prover.prove(chain, peer.verify or peer.sni),
        failure=shaken.failure,
        detail=shaken.detail,
        at=at,
        elapsed=round(shaken.elapsed, 6),
        limit=limit,
    )


def _not_dialled(peer: Peer, at: float, limit: float) -> Quic:
    return Quic(
        address=peer.address,
        port=peer.port,
        sni=peer.sni,
        failure=Failure.NETWORK_UNREACHABLE,
        detail=NOT_DIALLED,
        at=at,
        limit=limit,
    )
