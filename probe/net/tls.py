"""TLS over `ssl.MemoryBIO`, so that a failed handshake can be described.

asyncio's TLS reports a FIN in the handshake as a reset and does not count bytes. Here, after any
failure, the bytes in both directions, the alert and its sender, and the chain received so far are
known.
"""

import ssl
from typing import Any

from probe.failure import Failure
from probe.net.alert import AlertSender, from_peer, in_records
from probe.net.attempt import NetworkEvent
from probe.net.hello import is_offerable, split
from probe.net.server_hello import ja3s_string
from probe.net.stream import CHUNK, LEAST_WINDOW, Stream
from probe.net.tls_records import RecordProgress

_HANDSHAKE = 1 << 20  # bytes; more than any chain that OpenSSL accepts
_FIRST = 16  # reads in which a ServerHello is looked for
_DER = 2  # _ssl.ENCODING_DER, X509_FILETYPE_ASN1


class TlsStream:
    """TLS over one connection. `handshake` first; then `read` and `write` as on a `Stream`."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, sni: str | None) -> None:
        self._offerable = sni is None or is_offerable(sni)
        self.stream = stream
        self.sni = sni
        self.alert: int | None = None
        self.alert_by: AlertSender | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.server_hello: str | None = None
        self.ended_by_peer = False
        self._arriving = RecordProgress()
        self._wanted: int | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        name = sni if self._offerable else None
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def handshake(self, *, in_two: bool = False) -> None:
        """Do the handshake; `in_two` splits the ClientHello inside the name into two segments."""
        if not self._offerable:
            raise NetworkEvent(Failure.UNKNOWN, "not_a_host_name")
        first_in, first_out = self.stream.bytes_in, self.stream.bytes_out
        received: list[bytes] = []
        try:
            while not self._step():
                await self._flush(in_two=in_two and not received)
                data = await self.stream.read()
                if not data:
                    raise NetworkEvent(Failure.EOF)
                received.append(data)
                self._arriving.take(data)
                if self.stream.bytes_in - first_in > _HANDSHAKE:
                    raise NetworkEvent(Failure.SSL_HANDSHAKE, "endless")
                self._incoming.write(data)
            await self._flush()
        except ssl.SSLError as error:
            # Send our own alert, as any client does.
            self._note_alert(error, b"".join(received), await self._flush())
            raise
        finally:
            self.server_hello = ja3s_string(b"".join(received[:_FIRST]))
            self.bytes_in = self.stream.bytes_in - first_in
            self.bytes_out = self.stream.bytes_out - first_out

    async def read(self) -> bytes:
        """Plain bytes; b"" after the peer's close_notify or FIN."""
        while True:
            try:
                plain = self._object.read(CHUNK)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self.ended_by_peer = True
                return b""
            else:
                self.ended_by_peer = not plain  # by a close_notify, which is authenticated
                return plain
            await self._flush()
            data = await self.stream.read()
            if not data:
                return b""
            self._arriving.take(data)
            self._incoming.write(data)
            self._apply_window()

    def limit_window(self, size: int) -> None:
        """Limit what may still arrive to about this many bytes, or to the rest of a record."""
        self._wanted = size
        self._apply_window()

    def _apply_window(self) -> None:
        """What has arrived of a record that cannot be read yet counts as well."""
        if self._wanted is not None:
            arriving = self._arriving
            self.stream.limit_window(
                max(self._wanted - arriving.begun, arriving.missing, LEAST_WINDOW)
            )

    async def write(self, data: bytes) -> None:
        """Encrypt and send."""
        self._object.write(data)
        await self._flush()

    def close(self) -> None:
        self.stream.close()

    @property
    def version(self) -> str | None:
        """The negotiated version (`TLSv1.3`), or None."""
        return self._object.version()

    @property
    def cipher(self) -> str | None:
        chosen = self._object.cipher()
        return chosen[0] if chosen else None

    @property
    def alpn(self) -> str | None:
        return self._object.selected_alpn_protocol()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates received so far, leaf first, as DER; also after a failed handshake."""
        public = getattr(self._object, "get_unverified_chain", None)
        if public is not None:
            return tuple(public() or ())
        # Public from Python 3.13 on; the same C function.
        private: Any = self._object._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - see above
        return tuple(cert.public_bytes(_DER) for cert in private.get_unverified_chain() or ())

    def _step(self) -> bool:
        """Continue the handshake; True when it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _note_alert(self, error: ssl.SSLError, received: bytes, sent: bytes) -> None:
        theirs = from_peer(error)
        if theirs is None and error.reason is None:
            theirs = in_records(received)  # a number that OpenSSL does not know
        if theirs is not None:
            self.alert, self.alert_by = theirs, "peer"
        elif sent:
            self.alert, self.alert_by = in_records(sent), "us"

    async def _flush(self, *, in_two: bool = False) -> bytes:
        """Send what OpenSSL has ready, and return it."""
        if not self._outgoing.pending:
            return b""
        data = self._outgoing.read()
        for part in split(data, self.sni) if in_two else (data,):
            await self.stream.write(part)
        return data
