"""Read the server name from QUIC Initial packets.

Their keys derive from the connection id in the clear (RFC 9001 section 5.2), so any on-path
observer can decrypt them.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probe.lab.hello import server_name

if TYPE_CHECKING:
    from aioquic.quic.crypto import CryptoPair

_PADDING, _PING, _CRYPTO = 0, 1, 6
_MOST = 16384


@dataclass
class Initials:
    """The CRYPTO data that the client of one flow has sent so far."""

    keys: "CryptoPair | None" = None
    parts: dict[int, bytes] = field(default_factory=dict)

    def handle(self, datagram: bytes) -> str | None:
        """The name in the ClientHello once enough of it has arrived, else None."""
        from aioquic.buffer import BufferReadError
        from aioquic.quic.crypto import CryptoError

        # Zeros after the last packet are padding (RFC 9000 section 14.1), not a packet.
        with suppress(BufferReadError, CryptoError, ValueError):
            self._read(datagram)
        hello = self._hello
        # `server_name` expects a TLS record.
        return server_name(b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello)

    @property
    def _hello(self) -> bytes:
        whole = b""
        while (part := self.parts.get(len(whole))) and len(whole) < _MOST:
            whole += part
        return whole

    def _read(self, datagram: bytes) -> None:
        from aioquic.buffer import Buffer
        from aioquic.quic.crypto import CryptoPair
        from aioquic.quic.packet import QuicPacketType, pull_quic_header

        buffer = Buffer(data=datagram)
        while not buffer.eof():
            start = buffer.tell()
            header = pull_quic_header(buffer, host_cid_length=8)
            offset, end = buffer.tell() - start, start + header.packet_length
            if header.packet_type is QuicPacketType.INITIAL and header.version is not None:
                if self.keys is None:
                    self.keys = CryptoPair()
                    cid, version = header.destination_cid, header.version
                    self.keys.setup_initial(cid=cid, is_client=False, version=version)
                _, payload, _ = self.keys.decrypt_packet(datagram[start:end], offset, 0)
                self._frames(payload)
            buffer.seek(end)

    def _frames(self, payload: bytes) -> None:
        from aioquic.buffer import Buffer

        buffer = Buffer(data=payload)
        while not buffer.eof():
            kind = buffer.pull_uint_var()
            if kind in {_PADDING, _PING}:
                continue
            if kind != _CRYPTO:
                return  # an ACK: the first flight is over
            at, size = buffer.pull_uint_var(), buffer.pull_uint_var()
            self.parts[at] = buffer.pull_bytes(size)
