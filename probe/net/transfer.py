"""Time one transfer: a blocking socket in a thread, TLS pumped by hand, the kernel's counters.

TLS records are 16 KiB: an HTTP library shows nothing until a record is whole, so on a slow line it
shows one sample a second and in a freeze none at all. Here the ciphertext is counted as it arrives,
and the kernel is asked every 50 ms (less often as the transfer grows longer: 64 samples are kept).
A stall or a cap is data, not an error.
"""

import asyncio
import hashlib
import os
import socket
import ssl
import threading
from time import monotonic, thread_time
from typing import Literal

from probe.experiments.operations import TransferRequest
from probe.failure import Failure
from probe.model import Transfer
from probe.net import interface_counters, tcp_info
from probe.net.attempt import NetworkEvent, classify
from probe.net.sampling import TICK, Samples
from probe.net.transfer_response import TransferResponse
from probe.transfer_rate import plateau

STALL_SECONDS = 5.0
CONNECT_LIMIT = 10.0
READ = 256 * 1024
CHUNK = 16 * 1024  # one TLS record

Ended = Literal["full", "cap", "stall", "eof", "reset", "error"]


async def transfer(request: TransferRequest, *, origin: float | None = None) -> Transfer:
    """Time one transfer over its own connection; return a finished step (arm L, pair 1).

    `origin`: the `time.monotonic()` that the step's `at` counts from; None: now.
    """
    begun = monotonic() if origin is None else origin
    cancelled = threading.Event()
    try:
        return await asyncio.to_thread(_run, request, begun, cancelled)
    finally:
        cancelled.set()  # a thread cannot be cancelled; it checks this at every tick


class _Cancelled(Exception):  # noqa: N818 - nobody is told: the caller has gone
    """The task that asked was cancelled."""


class _Exchange:
    """One connection from its first packet to its end, and what was seen of it."""

    def __init__(self, request: TransferRequest, origin: float, cancelled: threading.Event) -> None:
        self.request = request
        self.origin = origin
        self.cancelled = cancelled
        self.samples = Samples()
        self.reply = TransferResponse(request.size if request.direction == "down" else 0)
        self.wire_in = 0
        self.wire_out = 0
        self.connect_seconds: float | None = None
        self.handshake_seconds: float | None = None
        self.first_byte_seconds: float | None = None
        self.counted = interface_counters.counter_towards(request.address)
        self.begun = monotonic()
        self.asked_at = 0.0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname=request.sni)
        family = socket.AF_INET6 if ":" in request.address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)

    # -- reaching the server ---------------------------------------------------------------

    def open(self) -> None:
        """Connect, shake hands, check the pin."""
        self.socket.settimeout(CONNECT_LIMIT)
        self.socket.connect((self.request.address, self.request.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connect_seconds = monotonic() - self.begun
        self.socket.settimeout(TICK)
        shaking = monotonic()
        while not self._shaken():
            if monotonic() - shaking > CONNECT_LIMIT:
                raise TimeoutError
            self._pull()
        self.handshake_seconds = monotonic() - shaking
        self._check_pin()

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        else:
            done = True
        self._flush(CONNECT_LIMIT)
        return done

    def _check_pin(self) -> None:
        if self.request.pin is None:
            return
        if spki_sha256(self._tls.getpeercert(binary_form=True) or b"") != self.request.pin.lower():
            raise NetworkEvent(Failure.SSL_CERTIFICATE, "PIN")

    # -- moving bytes ----------------------------------------------------------------------

    def _pull(self) -> int:
        """Read what there is, for one tick at most; 0 when nothing came."""
        if self.cancelled.is_set():
            raise _Cancelled
        try:
            data = self.socket.recv(READ)
        except TimeoutError:
            return 0
        if not data:
            self._incoming.write_eof()
            raise NetworkEvent(Failure.EOF)
        self.wire_in += len(data)
        self._incoming.write(data)
        return len(data)

    def _flush(self, limit: float) -> None:
        """Send everything that TLS has ready."""
        data = memoryview(self._outgoing.read())
        deadline = monotonic() + limit
        while data:
            sent = self._push(data)
            data = data[sent:]
            if not sent and monotonic() > deadline:
                raise TimeoutError

    def _push(self, data: memoryview) -> int:
        if self.cancelled.is_set():
            raise _Cancelled
        try:
            sent = self.socket.send(data)
        except TimeoutError:
            return 0
        self.wire_out += sent
        return sent

    def _decrypt(self) -> None:
        """Hand everything decrypted to the reply; a polite close ends it."""
        try:
            while not self.reply.done:
                plain = self._tls.read(READ)
                if not plain:
                    self.reply.close()
                    return
                self.reply.feed(plain)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self.reply.close()

    # -- the transfer itself ---------------------------------------------------------------

    def ask(self) -> None:
        """Send the request; the clock of the samples starts here."""
        request = self.request
        verb = "GET" if request.direction == "down" else "POST"
        lines = [
            f"{verb} {request.path} HTTP/1.1",
            f"Host: {request.host}",
            "User-Agent: Mozilla/5.0",
            "Accept: */*",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
        if request.direction == "up":
            lines += ["Content-Type: application/octet-stream", f"Content-Length: {request.size}"]
        self._tls.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        self._flush(CONNECT_LIMIT)
        self.asked_at = monotonic()

    def download(self) -> Ended:
        """Receive until the object is whole, the time is up, or nothing comes any more."""
        self.samples.wire = self.wire_in
        self.samples.take(0.0, self.socket)
        while True:
            came = self._pull_or_close()
            at = monotonic() - self.asked_at
            if came:
                self._arrived(at)
                self._decrypt()
            if self.reply.done:
                return "full"
            if self.samples.due(at):
                self.samples.take(at, self.socket)
            ended = self._time_is_up(at, came=came > 0)
            if ended:
                return ended

    def _pull_or_close(self) -> int:
        """Like `_pull`; a FIN counts as the end of a reply that is whole without a length."""
        try:
            return self._pull()
        except NetworkEvent:
            self._decrypt()
            if self.reply.whole:
                return 0
            raise

    def _arrived(self, at: float) -> None:
        self.samples.progress(at, self.wire_in, self.socket)
        if self.first_byte_seconds is None:
            self.first_byte_seconds = at
            self.samples.take(at, self.socket)

    def _time_is_up(self, at: float, *, came: bool) -> Ended | None:
        """At the cap the last sample is taken; after it only a byte, or a long silence, counts."""
        if at < self.request.cap:
            return None
        if not self.samples.closed:
            self.samples.take(at, self.socket)
            self.samples.closed = True
        if at - self.samples.arrived >= STALL_SECONDS:
            return "stall"
        return "cap" if came or at - self.samples.arrived < TICK * 2 else None

    def upload(self) -> Ended:
        """Send until the server has it all, the time is up, or nothing is taken any more."""
        block = os.urandom(CHUNK)
        left, pending = self.request.size, memoryview(b"")
        self.samples.wire = self._acked()
        self.samples.take(0.0, self.socket)
        while True:
            if not pending and left:
                self._tls.write(block[: min(left, CHUNK)])
                left -= min(left, CHUNK)
                pending = memoryview(self._outgoing.read())
            if pending:
                pending = pending[self._push(pending) :]
            elif self._pull_or_close():
                self._decrypt()
            ended = self._uploading(monotonic() - self.asked_at)
            if ended:
                return ended

    def _uploading(self, at: float) -> Ended | None:
        acked = self._acked()
        came = acked > self.samples.wire
        if came:
            self.samples.progress(at, acked)
        if self.reply.done:
            return "full"
        if self.samples.due(at):
            self.samples.take(at, self.socket)
        return self._time_is_up(at, came=came)

    def _acked(self) -> int:
        """What the peer has confirmed, or at least what the kernel has taken from us."""
        acked = tcp_info.read(self.socket).acked
        return self.wire_out if acked is None else min(acked, self.wire_out)

    def finish(self, *, capped: bool) -> None:
        """Take the last look, unless that was at the cap, and hang up."""
        if self.asked_at:
            at = monotonic() - self.asked_at
            self.samples.longest_gap = max(self.samples.longest_gap, at - self.samples.arrived)
            if not capped:
                self.samples.take(at, self.socket)
        self.socket.close()


def _run(request: TransferRequest, origin: float, cancelled: threading.Event) -> Transfer:
    exchange, cpu = _Exchange(request, origin, cancelled), thread_time()
    ended: Ended = "error"
    failure: Failure | None = None
    detail: str | None = None
    try:
        exchange.open()
        exchange.ask()
        ended = exchange.download() if request.direction == "down" else exchange.upload()
    except _Cancelled:
        failure = Failure.INTERRUPTED
    except (OSError, NetworkEvent) as error:
        word = classify(error)
        if word is None:
            raise
        failure, detail = word
        ended = _ENDS.get(failure, "error")
    finally:
        exchange.finish(capped=ended == "cap")
    return _step(exchange, ended, failure, detail, thread_time() - cpu)


_ENDS: dict[Failure, Ended] = {Failure.RESET: "reset", Failure.EOF: "eof"}


def _step(
    exchange: _Exchange, ended: Ended, failure: Failure | None, detail: str | None, cpu: float
) -> Transfer:
    request, samples = exchange.request, exchange.samples
    down = request.direction == "down"
    kept = tuple(samples.kept)
    return Transfer(
        address=request.address,
        port=request.port,
        sni=request.sni,
        arm="L",
        pair=1,
        direction=request.direction,
        host=request.host,
        status=exchange.reply.status,
        asked_bytes=request.size,
        received_bytes=exchange.reply.received if down else _taken(exchange, ended),
        wire_bytes=exchange.wire_in + exchange.wire_out,
        ended=ended,
        connect_seconds=exchange.connect_seconds,
        handshake_seconds=exchange.handshake_seconds,
        first_byte_seconds=exchange.first_byte_seconds,
        rate=plateau(kept, samples.segment_bytes if down else None),
        longest_gap=samples.longest_gap if kept else None,
        stalled_at=samples.passed() if ended == "stall" else None,
        segment_bytes=samples.segment_bytes,
        cpu_seconds=round(cpu, 6),
        other_bytes=interface_counters.cross_traffic(
            exchange.counted, exchange.wire_in + exchange.wire_out
        ),
        samples=kept,
        failure=failure,
        detail=detail,
        at=exchange.begun - exchange.origin,
        elapsed=monotonic() - exchange.begun,
        limit=request.cap,
    )


def _taken(exchange: _Exchange, ended: Ended) -> int:
    size = exchange.request.size
    return size if ended == "full" else min(exchange.samples.wire, size)


def spki_sha256(certificate: bytes) -> str:
    """Hex SHA-256 of a certificate's public key (SubjectPublicKeyInfo); empty if unreadable."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError):
        return ""
    return hashlib.sha256(spki).hexdigest()


def _context() -> ssl.SSLContext:
    """The same ClientHello for every arm but for the name: nothing is verified but the pin."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["http/1.1"])
    return context
