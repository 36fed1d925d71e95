"""One request on one connection, and its response while it arrives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from msgspec import Struct

from probe.cookies import CookieJar
from probe.experiments.operations import RequestForm
from probe.failure import Failure
from probe.net.attempt import Attempt, attempt
from probe.net.browser_request import http1_headers, http2_headers
from probe.net.further import FURTHER_CAP, LONG_CAP
from probe.net.http1 import Http1
from probe.net.http2 import Http2
from probe.net.http_response import HttpResponse
from probe.net.page_features import target_of
from probe.net.request_forms import host_value, method
from probe.net.stream import LEAST_WINDOW, Stream
from probe.net.timeouts import LONGEST
from probe.redirects import REDIRECTS, is_followed

# An answer that has not ended after this many bytes is none (frames without content).
_FLOOD = 1 << 20
# A page that arrives slowly is read up to here, so that its rate can be measured.
SLOW_CAP = 256 * 1024
# Receive window besides the body, bytes: TLS records, headers.
_ROOM = LEAST_WINDOW
# Seconds for the rest of a redirect: browsers do not wait for it.
_REDIRECT_BODY = 0.5
# The ends of a body that is shorter than declared.
_SHORT = frozenset({"eof", "framing", "InvalidBodyLengthError"})


class Fetch(Struct, frozen=True):
    """A request: where to send it, and which names to use.

    Attributes:
        name: The URL's host, which the chain must prove.
        host: The Host header. sni: the name in the ClientHello. path: the request target.
        cookies: Those to send, and where those of the response are kept.
        segment_limit: The largest TCP segment in both directions; None: the system's.
        form: How a plain request is written.
    """

    url: str
    address: str
    port: int
    secure: bool
    name: str
    host: str
    sni: str | None
    path: str
    cookies: CookieJar | None = None
    segment_limit: int | None = None
    form: RequestForm = "default"


class ByteStream(Protocol):
    @property
    def ended_by_peer(self) -> bool: ...
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def limit_window(self, size: int) -> None: ...


@dataclass(slots=True)
class HttpExchange:
    """One request on one connection, and the response while it arrives.

    Attributes:
        stream: Counts the bytes. transport: what is written and read (TLS, or the stream itself).
        waited: The slower of connect and handshake, seconds. trip: the round trip of connecting.
        patience: Seconds after which a body counts as slow, and more of it is read.
        reads_further: Whether a page of more than half of the cap is read further, by the seconds
            in which it came and the round trip. reads_long: whether one that is read further is
            read to the longest cap. later: what had come, seconds and bytes, at half of that.
        quiet: Seconds without a byte after which it is silent, and no longer slow.
    """

    stream: Stream
    transport: ByteStream
    cap: int
    url: str
    h2: bool = False
    proven: bool = False
    waited: float = 0.0
    trip: float = 0.0
    patience: float = LONGEST
    quiet: float = LONGEST
    reads_further: Callable[[str, float | None, float], bool] = field(default=lambda *_: False)
    reads_long: Callable[[str], bool] = field(default=lambda _: False)
    later: tuple[float, int] | None = None
    started: float = field(default_factory=monotonic)
    deadline: float = 0.0
    first: float | None = None
    last: float | None = None
    peak_gap: float | None = None
    answer: HttpResponse = field(init=False)
    parser: Http1 | Http2 = field(init=False)

    def __post_init__(self) -> None:
        self.answer = HttpResponse(self.cap)
        if not self.h2:
            # A page of ordinary length fits into what the connection allowed when it was opened.
            self.transport.limit_window(LEAST_WINDOW)
        self.parser = Http2(self.cap) if self.h2 else Http1(self.answer)

    def request(self, what: Fetch) -> bytes:
        """The bytes of the request."""
        cookies = b"" if what.cookies is None else what.cookies.header(what.url)
        if isinstance(self.parser, Http1):
            headers = http1_headers(host_value(what.form, what.host), cookies)
            return self.parser.request(method(what.form), what.path, headers)
        headers = http2_headers(what.host, what.path, cookies)
        self.parser.request(headers, None, self.answer)
        return self.parser.outgoing()

    async def read(self) -> bytes:
        """Read and parse the next bytes."""
        data = await self.transport.read()
        if data:
            now = monotonic()
            if self.last is None:
                self.first = now - self.started
            else:
                self.peak_gap = max(self.peak_gap or 0.0, now - self.last)
            self.last = now
            self._raise_cap()
            self.parser.feed(data)
            self._raise_cap()
            self._note_later()
            self._limit_window()
            if not self.answer.ended and self.stream.bytes_in > _FLOOD:
                self.answer.fail("flood")
            if isinstance(self.parser, Http2) and (reply := self.parser.outgoing()):
                await self.transport.write(reply)
        else:
            self.end("eof")
        return data

    def end(self, reason: str) -> None:
        """Tell the parser that no more bytes follow."""
        if isinstance(self.parser, Http2):
            self.parser.end(reason)
        else:
            self.parser.end()

    def _limit_window(self) -> None:
        """Limit the receive window to what will be read; HTTP/2 has its own flow control."""
        if not self.h2 and not self.answer.ended:
            self.transport.limit_window(self.answer.cap - len(self.answer.body) + _ROOM)

    def _raise_cap(self) -> None:
        """Raise the cap for a slow page, whose rate needs more bytes, and for a few others."""
        if self.answer.cap == FURTHER_CAP > self.cap:
            self._raise_to_longest()
        if self.answer.cap != self.cap:
            return
        if self.spread > self.patience:
            self.answer.cap = max(SLOW_CAP, self.cap)
        elif len(self.answer.body) > self.cap // 2 and self.reads_further(
            self.url, self.stream.spread, self.trip
        ):
            self.answer.cap = max(FURTHER_CAP, self.cap)
        else:
            return
        if isinstance(self.parser, Http2):
            self.parser.widen_window()

    def _raise_to_longest(self) -> None:
        """Raise the cap of a page that is read further, if it is long and belongs to the sample."""
        declared = self.answer.declared
        if declared is not None and declared < LONG_CAP:
            return
        if len(self.answer.body) > FURTHER_CAP // 2 and self.reads_long(self.url):
            self.answer.cap = LONG_CAP

    def _note_later(self) -> None:
        """Note when the later half of a long page begins."""
        half = self.answer.cap == LONG_CAP and len(self.answer.body) >= LONG_CAP // 2
        if half and self.later is None and self.stream.last_arrival is not None:
            self.later = (self.stream.last_arrival, self.stream.bytes_in)

    @property
    def later_half(self) -> tuple[int, float] | tuple[None, None]:
        """Bytes of the later half of a long page, and the seconds in which they came."""
        if self.later is None or self.stream.last_arrival is None:
            return None, None
        since, before = self.later
        return self.stream.bytes_in - before, round(self.stream.last_arrival - since, 6)

    @property
    def heard(self) -> float:
        """When the last byte came, also of what cannot be deciphered yet."""
        return max(self.started, self.stream.last_arrival or self.started)

    @property
    def spread(self) -> float:
        """Seconds from the first byte to the last one."""
        return (self.last or 0.0) - self.started - (self.first or 0.0)

    async def send(self, segments: Iterable[bytes]) -> None:
        """Send the request: one write is one segment, if it fits."""
        for segment in segments:
            await self.transport.write(segment)

    async def run(self, segments: Iterable[bytes], idle: float, total: float) -> Attempt[bytes]:
        """Send the request, and read until the end or a timeout."""
        end = self.started + total
        self.deadline = min(end, self.started + idle)
        result: Attempt[bytes] = Attempt(b"", None, None, None, 0.0)
        sent = await attempt(self.send(segments), limit=min(idle, total))
        if sent.failure is not None:
            return Attempt(None, sent.failure, sent.detail, sent.errno, sent.elapsed)
        while not self.answer.ended and result.failure is None:
            wait = min(idle, _REDIRECT_BODY) if self.redirects else idle
            # A TLS record is readable only when all of it is there: the stream sees its packets.
            self.stream.patience = wait
            result = await attempt(self.read(), limit=end - monotonic())
            self.deadline = min(end, self.heard + wait)
            silent = monotonic() - self.heard >= min(idle, self.quiet)
            if result.failure is Failure.TIMEOUT and self.deadline == end and not silent:
                return Attempt(b"", None, None, None, 0.0)  # slow, but not silent
        return result

    @property
    def redirects(self) -> bool:
        """A redirect was received, which a browser follows whatever becomes of its body."""
        return self.answer.status in REDIRECTS and is_followed(target_of(self.answer, self.url))

    def verdict_of(self, result: Attempt[bytes]) -> tuple[Failure | None, str | None]:
        """What a browser would call the end of the exchange: a failure, and a symbol for it."""
        answer = self.answer
        if self.redirects:
            return None, None
        if result.failure is not None or not answer.ended or answer.complete:
            return result.failure, result.detail
        shown = answer.status is not None and answer.received > 0
        if shown and self.transport.ended_by_peer and answer.broken in _SHORT:
            return None, "short"  # the server itself ended it; browsers show what came
        return Failure.EOF, answer.broken if answer.broken != "eof" else None
