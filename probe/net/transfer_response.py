"""One HTTP/1.1 request, and its response parsed only for its status, its size and its end.

The body is counted and discarded; memory is bounded by the header limit.
"""

import os

from probe.experiments.operations import TransferProtocol, TransferRequest
from probe.failure import Failure
from probe.net.attempt import NetworkEvent

HEADER_LIMIT = 64 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_BLOCK = 16 * 1024  # one TLS record


class TransferResponse:
    """One response of which at most `wanted` body bytes are read (0: all)."""

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
        """Everything wanted, or the whole response, was received."""
        if self._head is not None:
            return False
        return self.closed or self.whole or 0 < self.wanted <= self.received

    @property
    def whole(self) -> bool:
        """The body is complete by its length or its last chunk."""
        if self._head is not None:
            return False
        if self._chunked:
            return self._tail.endswith(_LAST_CHUNK)
        return self.declared is not None and self.received >= self.declared

    def feed(self, data: bytes) -> None:
        """Process decrypted bytes in order."""
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
        """The server sent close_notify; raises `NetworkEvent` if the response is incomplete."""
        if self._head is not None or (self.declared is not None and not self.whole):
            raise NetworkEvent(Failure.EOF)
        self.closed = True

    def _body(self, data: bytes) -> None:
        self.received += len(data)
        if self._chunked:
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or len(rest[:3]) != 3 or not rest[:3].isdigit():
            raise NetworkEvent(Failure.UNKNOWN, "NOT_HTTP")
        self.status = int(rest[:3])
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                self.declared = (
                    int(value) if value.strip().isdigit() and len(value.strip()) <= 15 else None
                )
            elif name.strip().lower() == b"transfer-encoding":
                # The header's CRLF precedes the last chunk if it is the only one.
                self._chunked, self._tail = b"chunked" in value.lower(), b"\r\n"


class HttpTransfer(TransferResponse):
    """One GET or POST, as a `TransferDialogue`."""

    protocol: TransferProtocol = "http"
    cut = False

    def __init__(self, request: TransferRequest) -> None:
        super().__init__(request.size if request.direction == "down" else 0)
        self._request = request
        self._left = request.size if request.direction == "up" else 0
        self._random = os.urandom(_BLOCK)

    def ask(self) -> bytes:
        """The request's head."""
        request = self._request
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
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def block(self) -> bytes:
        """The next part of an upload's body."""
        part = self._random[: min(self._left, _BLOCK)]
        self._left -= len(part)
        return part
