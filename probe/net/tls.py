"""TLS pumped by hand through memory, so that every fact of a handshake is seen.

asyncio's own TLS reports a polite close in the handshake as a reset and forgets how many bytes
came. Here the bytes go through `ssl.MemoryBIO`: whatever fails, the object still knows the bytes
both ways, the alert and its sender, and the chain that was served until then.
"""

import ssl
from typing import Any

from probe.failure import Failure
from probe.net.alert import Sender, from_peer, in_records
from probe.net.attempt import NetworkEvent
from probe.net.hello import is_offerable, split
from probe.net.server_hello import ja3s_string
from probe.net.stream import CHUNK, Stream

_HANDSHAKE = 1 << 20  # more than any chain that OpenSSL would take
_FIRST = 16  # arrivals in which a ServerHello is looked for
_DER = 2  # _ssl.ENCODING_DER, X509_FILETYPE_ASN1


class TlsStream:
    """TLS over one connection. `handshake` first; then `read` and `write` as on a `Stream`."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, sni: str | None) -> None:
        self._offerable = sni is None or is_offerable(sni)
        self.stream = stream
        self.sni = sni
        self.alert: int | None = None
        self.alert_by: Sender | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.server_hello: str | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        name = sni if self._offerable else None
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def handshake(self, *, in_two: bool = False) -> None:
        """Shake hands; `in_two` cuts the ClientHello inside the name over two segments."""
        if not self._offerable:
            raise NetworkEvent(Failure.UNKNOWN, "not_a_host_name")
        first_in, first_out = self.stream.bytes_in, self.stream.bytes_out
        heard: list[bytes] = []
        try:
            while not self._step():
                await self._flush(in_two=in_two and not heard)
                data = await self.stream.read()
                if not data:
                    raise NetworkEvent(Failure.EOF)
                heard.append(data)
                if self.stream.bytes_in - first_in > _HANDSHAKE:
                    raise NetworkEvent(Failure.SSL_HANDSHAKE, "endless")
                self._incoming.write(data)
            await self._flush()
        except ssl.SSLError as error:
            # Our own alert goes out, as any client would send it.
            self._note_alert(error, b"".join(heard), await self._flush())
            raise
        finally:
            self.server_hello = ja3s_string(b"".join(heard[:_FIRST]))
            self.bytes_in = self.stream.bytes_in - first_in
            self.bytes_out = self.stream.bytes_out - first_out

    async def read(self) -> bytes:
        """Plain bytes; b"" after the peer's close_notify or FIN."""
        while True:
            try:
                return self._object.read(CHUNK)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                return b""
            await self._flush()
            data = await self.stream.read()
            if not data:
                return b""
            self._incoming.write(data)

    async def write(self, data: bytes) -> None:
        """Encrypt and send."""
        self._object.write(data)
        await self._flush()

    def close(self) -> None:
        self.stream.close()

    @property
    def version(self) -> str | None:
        """`TLSv1.3`, and so on, once agreed."""
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
        """Every certificate served so far, leaf first, as DER; also when the handshake failed."""
        public = getattr(self._object, "get_unverified_chain", None)
        if public is not None:
            return tuple(public() or ())
        # Private until Python 3.13 made it public; the same C function.
        private: Any = self._object._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - see above
        return tuple(cert.public_bytes(_DER) for cert in private.get_unverified_chain() or ())

    def _step(self) -> bool:
        """Let OpenSSL go on; True when the handshake is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _note_alert(self, error: ssl.SSLError, heard: bytes, said: bytes) -> None:
        theirs = from_peer(error)
        if theirs is None and error.reason is None:
            theirs = in_records(heard)  # a number OpenSSL has no word for
        if theirs is not None:
            self.alert, self.alert_by = theirs, "peer"
        elif said:
            self.alert, self.alert_by = in_records(said), "us"

    async def _flush(self, *, in_two: bool = False) -> bytes:
        """Send what OpenSSL wants sent, and give it back."""
        if not self._outgoing.pending:
            return b""
        data = self._outgoing.read()
        for part in split(data, self.sni) if in_two else (data,):
            await self.stream.write(part)
        return data
