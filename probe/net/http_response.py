"""An HTTP response while it is being received."""

from msgspec import Struct, field

# Longer numbers are no length.
_DIGITS = 16
Headers = list[tuple[bytes, bytes]]


class HttpResponse(Struct):
    """One response with at most `cap` bytes of body.

    Attributes:
        headers: Names in lower case.
        body: As received, content-encoded, at most `cap` bytes.
        received: Body bytes received.
        complete: The body was received to its end or to the cap.
        ended: No more will be read.
        malformed: The bytes are no HTTP response; `body` has them.
        broken: A symbol for why it ended early, if known.
    """

    cap: int
    version: str | None = None
    status: int | None = None
    headers: Headers = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    received: int = 0
    complete: bool = False
    ended: bool = False
    malformed: bool = False
    broken: str | None = None

    def add(self, data: bytes | bytearray) -> None:
        """Append body bytes; at the cap the response is finished."""
        self.received += len(data)
        self.body += data[: self.cap - len(self.body)]
        if len(self.body) >= self.cap:
            self.finish()

    def finish(self) -> None:
        """The regular end."""
        self.complete = self.ended = True

    def fail(self, why: str) -> None:
        """The end before the response was complete."""
        self.ended, self.broken = True, why

    @property
    def declared(self) -> int | None:
        """Its Content-Length."""
        value = self.header(b"content-length") or b""
        return int(value) if value.isdigit() and len(value) < _DIGITS else None

    def header(self, name: bytes) -> bytes | None:
        """The first header with this name."""
        return next((value for key, value in self.headers if key == name), None)
