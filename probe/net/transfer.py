"""Time one transfer: a blocking socket in a thread, TLS over memory BIOs, the kernel's counters.

TLS records are 16 KiB: an HTTP library returns nothing until a record is complete, so a slow line
gives one sample a second and a freeze none. Here the ciphertext is counted as it arrives, and the
kernel's counters are read every 50 ms (less often in a longer transfer: at most 64 samples are
kept). A stall or the cap is a result, not an error.
"""

import asyncio
import hashlib
import select
import socket
import ssl
import threading
from time import monotonic, sleep, thread_time
from typing import Literal

from probe.experiments.operations import TransferDialogue, TransferRequest
from probe.failure import Failure
from probe.model import Transfer
from probe.net import interface_counters, tcp_info
from probe.net.attempt import NetworkEvent, classify
from probe.net.hold import Hold
from probe.net.sampling import TICK, Samples
from probe.net.stream import socket_address
from probe.net.transfer_response import HttpTransfer
from probe.transfer_rate import plateau

STALL_SECONDS = 5.0
CONNECT_LIMIT = 10.0
READ = 256 * 1024
# A test that the server ends sooner shows nothing, seconds.
SHORTEST_TEST = 1.0

TransferEnd = Literal["full", "cap", "stall", "eof", "reset", "error"]


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


class _Cancelled(Exception):  # noqa: N818 - not an error: the caller was cancelled
    """The task that requested the transfer was cancelled."""


class _TimedTransfer:
    """One transfer on its own connection, and its measurements."""

    def __init__(self, request: TransferRequest, origin: float, cancelled: threading.Event) -> None:
        self.request = request
        self.origin = origin
        self.cancelled = cancelled
        self.samples = Samples()
        self.hold = Hold(request.hold) if request.hold else None
        self.response: TransferDialogue = request.dialogue or HttpTransfer(request)
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

    # -- connecting ------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, do the handshake, check the pin."""
        self.socket.settimeout(CONNECT_LIMIT)
        self.socket.connect(socket_address(self.request.address, self.request.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connect_seconds = monotonic() - self.begun
        self.socket.settimeout(TICK)
        handshake_begun = monotonic()
        while not self._handshake_done():
            if monotonic() - handshake_begun > CONNECT_LIMIT:
                raise TimeoutError
            self._pull()
        self.handshake_seconds = monotonic() - handshake_begun
        pin = self.request.pin
        if pin is None:
            return
        if spki_sha256(self._tls.getpeercert(binary_form=True) or b"") != pin.lower():
            raise NetworkEvent(Failure.SSL_CERTIFICATE, "PIN")

    def _handshake_done(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        else:
            done = True
        self._flush(CONNECT_LIMIT)
        return done

    # -- moving bytes ----------------------------------------------------------------------

    def _pull(self, most: int = READ) -> int:
        """Read for at most one tick; return the number of bytes."""
        if self.cancelled.is_set():
            raise _Cancelled
        try:
            data = self.socket.recv(most)
        except TimeoutError:
            return 0
        if not data:
            self._incoming.write_eof()
            raise NetworkEvent(Failure.EOF)
        self.wire_in += len(data)
        self._incoming.write(data)
        return len(data)

    def _flush(self, limit: float) -> None:
        """Send all pending ciphertext."""
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
        """Pass decrypted bytes to the response; close_notify ends it."""
        try:
            while not self.response.done:
                plain = self._tls.read(READ)
                if not plain:
                    self.response.close()
                    return
                self.response.feed(plain)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self.response.close()

    # -- the transfer itself ---------------------------------------------------------------

    def ask(self) -> None:
        """Send the request; the samples' time starts here."""
        self._tls.write(self.response.ask())
        self._flush(CONNECT_LIMIT)
        self.asked_at = monotonic()

    def download(self) -> TransferEnd:
        """Receive until the response is complete, the cap is reached, or the transfer stalls."""
        self.samples.wire = before = self.wire_in
        self.samples.take(0.0, self.socket)
        if self.hold is not None:
            self.samples.spacing = self.hold.spacing
        while True:
            arrived = self._read_some(self.hold, before) if self.hold else self._pull_or_close()
            at = monotonic() - self.asked_at
            if arrived:
                self._arrived(at)
                self._decrypt()
                self._reply()
            if self.response.done:
                return self._end(at)
            if self.samples.due(at):
                self.samples.take(at, self.socket)
            ended = self._end_after_cap(at, arrived=arrived > 0)
            if ended:
                return ended

    def _read_some(self, hold: Hold, before: int) -> int:
        """Read no more than what is allowed; when everything is, take a sample and go on so."""
        at = monotonic() - self.asked_at
        if hold.over(at):
            self.hold = None
            self.samples.spacing = TICK
            self.samples.take(at, self.socket)
            return self._pull_or_close()
        allowed = hold.allowed(at, self.wire_in - before)
        if not allowed:
            sleep(TICK)
        return self._pull_or_close(allowed) if allowed else 0

    def _reply(self) -> None:
        """Send what the dialogue has to say during a download."""
        if block := self.response.block():
            self._tls.write(block)
            self._flush(CONNECT_LIMIT)

    def _end(self, at: float) -> TransferEnd:
        """A server that ends a test in the middle of it has a limit of its own."""
        if not self.response.cut:
            return "full"
        if at < SHORTEST_TEST:
            raise NetworkEvent(Failure.EOF, "CLOSED_EARLY")
        return "cap"

    def _pull_or_close(self, most: int = READ) -> int:
        """Like `_pull`, but a FIN after a complete response is no error."""
        try:
            return self._pull(most)
        except NetworkEvent:
            self._decrypt()
            if self.response.whole:
                return 0
            raise

    def _arrived(self, at: float) -> None:
        self.samples.progress(at, self.wire_in, self.socket)
        if self.first_byte_seconds is None:
            self.first_byte_seconds = at
            self.samples.take(at, self.socket)

    def _end_after_cap(self, at: float, *, arrived: bool) -> TransferEnd | None:
        """Take the last sample at the cap; after it, distinguish a stall from a short gap."""
        if at < self.request.cap:
            return None
        if not self.samples.closed:
            self.samples.take(at, self.socket)
            self.samples.closed = True
        if at - self.samples.arrived >= STALL_SECONDS:
            return "stall"
        return "cap" if arrived or at - self.samples.arrived < TICK * 2 else None

    def upload(self) -> TransferEnd:
        """Send until the server has answered, the cap is reached, or the transfer stalls."""
        pending = memoryview(b"")
        self.samples.wire = self._acked()
        self.samples.take(0.0, self.socket)
        while True:
            if not pending and (block := self.response.block()):
                self._tls.write(block)
                pending = memoryview(self._outgoing.read())
            listens = not pending or self._says_something()
            pending = pending[self._push(pending) :] if pending else pending
            if listens and self._pull_or_close():
                self._decrypt()
            ended = self._uploading(monotonic() - self.asked_at)
            if ended:
                return ended

    def _uploading(self, at: float) -> TransferEnd | None:
        acked = self._acked()
        arrived = acked > self.samples.wire
        if arrived:
            self.samples.progress(at, acked)
        if self.response.done:
            return self._end(at)
        if self.samples.due(at):
            self.samples.take(at, self.socket)
        return self._end_after_cap(at, arrived=arrived)

    def _says_something(self) -> bool:
        """Whether the server speaks while an upload goes on, as ndt7's does."""
        speaks = self.response.protocol != "http"
        return speaks and bool(select.select([self.socket], [], [], 0)[0])

    def _acked(self) -> int:
        """Bytes acknowledged by the peer; without `TCP_INFO`, bytes accepted by the kernel."""
        acked = tcp_info.read(self.socket).acked
        return self.wire_out if acked is None else min(acked, self.wire_out)

    def finish(self, *, capped: bool) -> None:
        """Take the last sample, unless the cap did, and close."""
        if self.asked_at:
            at = monotonic() - self.asked_at
            self.samples.longest_gap = max(self.samples.longest_gap, at - self.samples.arrived)
            if not capped:
                self.samples.take(at, self.socket)
        self.socket.close()


def _run(request: TransferRequest, origin: float, cancelled: threading.Event) -> Transfer:
    timed, cpu = _TimedTransfer(request, origin, cancelled), thread_time()
    ended: TransferEnd = "error"
    failure: Failure | None = None
    detail: str | None = None
    try:
        timed.open()
        timed.ask()
        ended = timed.download() if request.direction == "down" else timed.upload()
    except _Cancelled:
        failure = Failure.INTERRUPTED
    except (OSError, NetworkEvent) as error:
        classified = classify(error)
        if classified is None:
            raise
        failure, detail = classified
        ended = _ENDS.get(failure, "error")
    finally:
        timed.finish(capped=ended == "cap")
    return _step(timed, ended, failure, detail, thread_time() - cpu)


_ENDS: dict[Failure, TransferEnd] = {Failure.RESET: "reset", Failure.EOF: "eof"}


def _step(
    timed: _TimedTransfer,
    ended: TransferEnd,
    failure: Failure | None,
    detail: str | None,
    cpu: float,
) -> Transfer:
    request, samples = timed.request, timed.samples
    down = request.direction == "down"
    kept = tuple(samples.kept)
    settled = tuple(sample for sample in kept if sample.at >= request.hold)
    taken = request.size if ended == "full" else min(samples.wire, request.size)
    return Transfer(
        address=request.address,
        port=request.port,
        sni=request.sni,
        arm="L",
        pair=1,
        direction=request.direction,
        host=request.host,
        status=timed.response.status,
        asked_bytes=request.size,
        received_bytes=timed.response.received if down else taken,
        protocol=timed.response.protocol,
        wire_bytes=timed.wire_in + timed.wire_out,
        ended=ended,
        connect_seconds=timed.connect_seconds,
        handshake_seconds=timed.handshake_seconds,
        first_byte_seconds=timed.first_byte_seconds,
        held=request.hold,
        rate=plateau(settled, samples.segment_bytes if down else None),
        longest_gap=samples.longest_gap if kept else None,
        stalled_at=samples.received_bytes() if ended == "stall" else None,
        segment_bytes=samples.segment_bytes,
        cpu_seconds=round(cpu, 6),
        other_bytes=interface_counters.cross_traffic(timed.counted, timed.wire_in + timed.wire_out),
        samples=kept,
        failure=failure,
        detail=detail,
        at=timed.begun - timed.origin,
        elapsed=monotonic() - timed.begun,
        limit=request.cap,
    )


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
    """A context that verifies nothing: the pin is checked later. All arms use this ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["http/1.1"])
    return context
