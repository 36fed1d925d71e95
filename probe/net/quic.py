"""One QUIC handshake, on a connected UDP socket and aioquic's sans-I/O core.

Timeout, ICMP error, version negotiation and CONNECTION_CLOSE are recorded separately. An ICMP error
does not end the handshake at once, because it can be forged: an answer within a second after it
counts. Needs the extra `[quic]`; imported on use.
"""

import asyncio
import errno
import logging
import ssl
from hashlib import sha256
from time import monotonic

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from msgspec import Struct, field

from probe.failure import Failure
from probe.model import Quic
from probe.net.address_policy import is_dialable
from probe.net.attempt import Attempt, NetworkEvent, attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import NOT_DIALLED, ServerEndpoint, TargetContext
from probe.net.hello import is_offerable, server_name

GRACE = 1.0
_VERSIONS = 16
_ALERTS = range(0x100, 0x200)  # RFC 9001 section 4.8: CRYPTO_ERROR carries a TLS alert
# Linux' numbers on every system, so that records are comparable.
_ICMP = {
    errno.ECONNREFUSED: 111,
    errno.EHOSTUNREACH: 113,
    errno.ENETUNREACH: 101,
    errno.EACCES: 13,
    errno.EPERM: 1,
}


async def measure_quic(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> Quic:
    """Do a QUIC handshake and close."""
    limit = target.session.timeouts.tcp_limit() if limit is None else limit
    if not is_dialable(destination.address, lab=target.session.lab):
        return _not_dialled(destination, target.now(), limit)
    async with target.session.limiter.enter(destination.address):
        at = target.now()
        client = _QuicClient(destination.address, destination.port, _make_connection(destination))
        try:
            handshake = await attempt(client.run(target), limit=limit)
        finally:
            client.close()
    return await _step(target, destination, client, handshake, at=at, limit=limit)


class _QuicClient(Struct):
    """One handshake in progress: counters, negotiated values and the first ICMP error."""

    address: str
    port: int
    connection: QuicConnection
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

    async def run(self, target: TargetContext) -> None:
        """Send and receive until it is complete; raises `OSError` or `NetworkEvent`."""
        self.sock = Datagrams(self.address, self.port, target.session.counter, errors=True)
        self.connection.connect(self._peer_address, monotonic())
        self._send(self.sock)
        while not self._is_complete():
            if self.icmp is not None and monotonic() - self._icmp_at >= GRACE:
                raise self.icmp
            await self._receive(self.sock)
            self._check_closed()
            self._send(self.sock)
        self._send(self.sock)  # our Finished
        self.connection.close()
        self._send(self.sock)

    @property
    def _peer_address(self) -> tuple[str, int]:
        return self.address, self.port

    async def _receive(self, sock: Datagrams) -> None:
        """Wait for the next datagram or for QUIC's next timer."""
        try:
            async with asyncio.timeout(self._wait_seconds()):
                datagram = await sock.receive()
        except TimeoutError:
            self.connection.handle_timer(monotonic())
        except OSError as error:
            sock.drain()
            self._keep_icmp(error)
        else:
            self.bytes_in += len(datagram.data)
            self.datagrams_in += 1
            self.versions = self.versions or offered_versions(datagram.data)
            self._feed(datagram.data)

    def _wait_seconds(self) -> float:
        now = monotonic()
        timer = self.connection.get_timer()
        waits = [max(0.001, timer - now)] if timer is not None else []
        if self.icmp is not None:
            waits.append(max(0.001, self._icmp_at + GRACE - now))
        return min(waits, default=GRACE)

    def _feed(self, data: bytes) -> None:
        try:
            self.connection.receive_datagram(data, self._peer_address, monotonic())
        except Exception as error:  # untrusted bytes in a third-party parser
            raise NetworkEvent(Failure.UNKNOWN, "quic_unreadable") from error

    def _send(self, sock: Datagrams) -> None:
        for data, _ in self.connection.datagrams_to_send(monotonic()):
            try:
                sock.send(data)
            except OSError as error:  # an ICMP error about an earlier datagram
                sock.drain()
                self._keep_icmp(error)
            self.bytes_out += len(data)
            self.datagrams_out += 1

    def _keep_icmp(self, error: OSError) -> None:
        if self.icmp is None:
            self.icmp, self._icmp_at = error, monotonic()

    def _is_complete(self) -> bool:
        """Whether the handshake is complete; raises if it ended otherwise."""
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.alpn = event.alpn_protocol
                return True
            if isinstance(event, ConnectionTerminated):
                self._raise_ended(event, by_peer=False)
        return False

    def _check_closed(self) -> None:
        """Raise if the connection was closed; aioquic's event comes three timeouts later."""
        closing = self.connection._close_event  # noqa: SLF001 - see above
        if closing is not None:
            state = self.connection._state  # noqa: SLF001 - not public: who closed it
            self._raise_ended(closing, by_peer=state is QuicConnectionState.DRAINING)

    def _raise_ended(self, event: ConnectionTerminated, *, by_peer: bool) -> None:
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
        """The certificates received so far, leaf first, as DER; also after a failed handshake."""
        from cryptography.hazmat.primitives.serialization import Encoding

        tls = self.connection.tls
        leaf = tls._peer_certificate  # noqa: SLF001 - public only after verification
        above = tls._peer_certificate_chain  # noqa: SLF001 - the same
        served = [*([leaf] if leaf is not None else []), *above]
        return tuple(one.public_bytes(Encoding.DER) for one in served)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()


def _make_connection(destination: ServerEndpoint) -> QuicConnection:
    """A client that accepts every certificate: the chain is verified afterwards."""
    # aioquic logs protocol errors of the peer, by default to stderr.
    logging.getLogger("quic").setLevel(logging.CRITICAL + 1)
    name = server_name(destination.sni)
    return QuicConnection(
        configuration=QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name=name if name is not None and is_offerable(name) else None,
            verify_mode=ssl.CERT_NONE,
        )
    )


def offered_versions(data: bytes) -> tuple[int, ...]:
    """The versions in a version negotiation packet (RFC 9000 section 17.2.1), else empty."""
    if len(data) < 7 or not data[0] & 0x80 or any(data[1:5]):
        return ()
    at = 6 + data[5]
    if at >= len(data):
        return ()
    at += 1 + data[at]
    rest = data[at : at + 4 * _VERSIONS]
    return tuple(int.from_bytes(rest[i : i + 4], "big") for i in range(0, len(rest) - 3, 4))


async def _step(
    target: TargetContext,
    destination: ServerEndpoint,
    client: _QuicClient,
    handshake: Attempt[None],
    *,
    at: float,
    limit: float,
) -> Quic:
    chain = client.chain if client.datagrams_in else ()
    fingerprints = tuple(sha256(der).hexdigest() for der in chain)
    target.certs.update(zip(fingerprints, chain, strict=True))
    return Quic(
        address=destination.address,
        port=destination.port,
        sni=destination.sni,
        bytes_out=client.bytes_out,
        bytes_in=client.bytes_in,
        datagrams_out=client.datagrams_out,
        datagrams_in=client.datagrams_in,
        alpn=client.alpn,
        alert=client.alert,
        icmp=_ICMP.get(client.icmp.errno or 0, client.icmp.errno) if client.icmp else None,
        error=client.error,
        versions=client.versions,
        chain=fingerprints,
        trust=await target.session.verifier.verify(chain, destination.verify or destination.sni),
        failure=handshake.failure,
        detail=handshake.detail,
        at=at,
        elapsed=round(handshake.elapsed, 6),
        limit=limit,
    )


def _not_dialled(destination: ServerEndpoint, at: float, limit: float) -> Quic:
    return Quic(
        address=destination.address,
        port=destination.port,
        sni=destination.sni,
        failure=Failure.NETWORK_UNREACHABLE,
        detail=NOT_DIALLED,
        at=at,
        limit=limit,
    )
