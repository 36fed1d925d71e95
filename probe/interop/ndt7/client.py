"""The client's side of one ndt7 test, as a dialogue over the connection of a transfer."""

import os
from base64 import b64encode
from hashlib import sha1
from typing import Final

from probe import __version__
from probe.experiments.operations import TransferDirection, TransferProtocol
from probe.failure import Failure
from probe.interop.ndt7.frames import BINARY, CLOSE, FrameCounter, client_frame, control_frame
from probe.interop.ndt7.protocol import FIRST_MESSAGE, PATHS, SUBPROTOCOL, next_size
from probe.interop.ndt7.server_url import Ndt7Url
from probe.net.attempt import NetworkEvent

HEAD_LIMIT: Final = 16 * 1024
# The largest message that this client sends: a message is encrypted in one piece.
LARGEST_SENT: Final = 64 * 1024
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 4.2.2
_NORMAL: Final = (1000).to_bytes(2)


class Ndt7Client:
    """One download or one upload of at most `size` bytes."""

    protocol: TransferProtocol = "ndt7"

    def __init__(self, server: Ndt7Url, direction: TransferDirection, size: int) -> None:
        self.status: int | None = None
        self._server = server
        self._direction = direction
        self._size = size
        self._key = b64encode(os.urandom(16))
        self._random = os.urandom(LARGEST_SENT)
        self._head: bytes | None = b""
        self._frames = FrameCounter()
        self._sent = 0
        self._message = FIRST_MESSAGE
        self._said_close = False

    @property
    def received(self) -> int:
        """Bytes of binary messages that came."""
        return self._frames.binary

    @property
    def done(self) -> bool:
        """All of a download came, or the server has closed."""
        enough = self._direction == "down" and self.received >= self._size
        return enough or self._frames.closed

    @property
    def whole(self) -> bool:
        """The server has closed the WebSocket."""
        return self._frames.closed

    @property
    def cut(self) -> bool:
        """The server has closed before everything was moved."""
        moved = self.received if self._direction == "down" else self._sent
        return self._frames.closed and moved < self._size

    def ask(self) -> bytes:
        """The upgrade request."""
        server = self._server
        test = PATHS["download" if self._direction == "down" else "upload"]
        lines = (
            f"GET {test}{server.query} HTTP/1.1",
            f"Host: {server.authority}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
            f"User-Agent: qazprobe/{__version__}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def block(self) -> bytes:
        """Answers to pings, then the next message of an upload, then the close frame."""
        if self._head is not None or self._said_close:
            return b""
        if self._frames.pongs:
            pongs = bytes(self._frames.pongs)
            self._frames.pongs.clear()
            return pongs
        if self._direction == "down" and not self.done:
            return b""
        if self._direction == "down" or self._sent >= self._size or self._frames.closed:
            self._said_close = True
            return control_frame(CLOSE, _NORMAL)
        part = self._random[: min(self._message, self._size - self._sent)]
        self._sent += len(part)
        self._message = next_size(self._message, self._sent, LARGEST_SENT)
        return client_frame(BINARY, part)

    def feed(self, data: bytes) -> None:
        """Take decrypted bytes; raises `NetworkEvent` where the server speaks something else."""
        if self._head is not None:
            head, found, data = (self._head + data).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                if len(head) > HEAD_LIMIT:
                    raise NetworkEvent(Failure.UNKNOWN, "HEADER_TOO_LONG")
                return
            self._head = None
            self._check(head)
        self._frames.feed(data)
        if self._direction == "up" and self._frames.binary:
            raise NetworkEvent(Failure.UNKNOWN, "WEBSOCKET_BINARY")

    def close(self) -> None:
        """A server that ends TLS without a close frame has broken off."""
        if not self._frames.closed:
            raise NetworkEvent(Failure.EOF)

    def _check(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise NetworkEvent(Failure.UNKNOWN, "NOT_HTTP")
        status = int(rest[:3])
        self.status = status if 100 <= status <= 599 else None
        fields = dict(_field(line) for line in lines)
        accepted = b64encode(sha1(self._key + _GUID, usedforsecurity=False).digest())
        agreed = (
            status == 101
            and fields.get(b"sec-websocket-accept") == accepted
            and fields.get(b"sec-websocket-protocol") == SUBPROTOCOL.encode()
            and b"sec-websocket-extensions" not in fields
        )
        if not agreed:
            raise NetworkEvent(Failure.UNKNOWN, "NO_NDT7")


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()
