"""Follow an HTTP/1.1 reply just far enough to know its status, its size and its end.

The body is counted and thrown away; nothing that a server sends can make this keep more than a
header's worth of memory.
"""

from probe.failure import Failure
from probe.net.attempt import NetworkEvent

HEADER_LIMIT = 64 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class TransferResponse:
    """One reply of which at most `wanted` body bytes are of interest (0: all there is)."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.status: int | None = None
        self.declared: int | None = None
        self.received = 0
        self.closed = False
        self._head: bytes | None = b""
        self._tail = b""
        self._chunked = False

    @property
    def done(self) -> bool:
        """Everything that was wanted, or everything there is, has come."""
        if self._head is not None:
            return False
        return self.closed or self.whole or 0 < self.wanted <= self.received

    @property
    def whole(self) -> bool:
        """The end is known to be the end, by its length or its last chunk."""
        if self._head is not None:
            return False
        if self._chunked:
            return self._tail.endswith(_LAST_CHUNK)
        return self.declared is not None and self.received >= self.declared

    def feed(self, data: bytes) -> None:
        """Take decrypted bytes in the order they came."""
        if self._head is None:
            self._body(data)
            return
        head, separator, body = (self._head + data).partition(b"\r\n\r\n")
        if separator:
            self._head = None
            self._read_head(head)
            self._body(body)
        elif len(head) > HEADER_LIMIT:
            raise NetworkEvent(Failure.UNKNOWN, "HEADER_TOO_LONG")
        else:
            self._head = head

    def close(self) -> None:
        """The server said goodbye in TLS: no reply before that is half a reply."""
        if self._head is not None or (self.declared is not None and not self.whole):
            raise NetworkEvent(Failure.EOF)
        self.closed = True

    def _body(self, data: bytes) -> None:
        self.received += len(data)
        if self._chunked:
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        self.status = _status(first)
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                self.declared = _length(value.strip())
            elif name.strip().lower() == b"transfer-encoding":
                # The CRLF of the header counts as the one before an only chunk.
                self._chunked, self._tail = b"chunked" in value.lower(), b"\r\n"


def _status(line: bytes) -> int | None:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or len(code) != 3 or not code.isdigit():
        raise NetworkEvent(Failure.UNKNOWN, "NOT_HTTP")
    return int(code)


def _length(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 15 else None
