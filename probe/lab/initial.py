"""Read the server name out of QUIC Initials: their keys follow from what is in the clear.

Everybody on the path can do this (RFC 9001 section 5.2), and so does the lab's censor.
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
    """The client's side of one flow, as far as its ClientHello."""

    keys: "CryptoPair | None" = None
    parts: dict[int, bytes] = field(default_factory=dict)

    def take(self, datagram: bytes) -> str | None:
        """The name that the ClientHello offers, once enough of it has passed."""
        from aioquic.buffer import BufferReadError
        from aioquic.quic.crypto import CryptoError

        # What follows a packet may be no packet: clients fill up datagrams with zeros.
        with suppress(BufferReadError, CryptoError, ValueError):
            self._read(datagram)
        hello = self._hello
        # As in a TLS record, which is what the reader of names expects.
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
                return  # an acknowledgement: not the first flight any more
            at, size = buffer.pull_uint_var(), buffer.pull_uint_var()
            self.parts[at] = buffer.pull_bytes(size)
