"""An HTTP response while it comes in: what has been read of it so far, whatever becomes of it."""

from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class HttpResponse:
    """One response, bounded by `cap` bytes of body.

    Attributes:
        headers: Names in lower case.
        body: As it came, content encoding and all, at most `cap` bytes.
        received: Body bytes that came.
        complete: The body came whole, or was cut by us at the cap.
        ended: Nothing more is wanted or will come.
        malformed: Bytes came that are no HTTP response; `body` has them.
        broken: Why it ended early, as a symbol, where the protocol said so.
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
        """Take body bytes; past the cap the rest is not wanted."""
        self.received += len(data)
        self.body += data[: self.cap - len(self.body)]
        if len(self.body) >= self.cap:
            self.finish()

    def finish(self) -> None:
        """The end, as the protocol means it."""
        self.complete = self.ended = True

    def fail(self, why: str) -> None:
        """The end, too early."""
        self.ended, self.broken = True, why

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)
