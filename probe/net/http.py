"""Fetch one URL from one address without following redirects, and return every step reached.

There are two timeouts: for silence (before the first byte and between any two), and for the whole
exchange. Silence is a failure; a slow response is not: what was received is kept, incomplete. The
step's `limit` is the deadline in force when it ended.
"""

from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

from probe.failure import Failure
from probe.model import Http, Steps
from probe.net.address_policy import is_literal
from probe.net.attempt import Attempt, attempt
from probe.net.dial import ServerEndpoint, TargetContext, open_tcp, tls_handshake
from probe.net.http1 import Http1
from probe.net.http2 import Http2
from probe.net.http_response import Headers, HttpResponse
from probe.net.page_features import describe
from probe.net.stream import Stream
from probe.net.timeouts import LONGEST

# A common browser's, so that servers answer as they answer users.
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
TOTAL = 20.0
# An answer that has not ended after this many bytes is none (frames without content).
_FLOOD = 1 << 20
# A page that arrives slowly is read up to here, so that its rate can be measured.
SLOW_CAP = 256 * 1024
# Receive window besides the body, bytes: TLS records, headers.
_ROOM = 4096
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request: where to send it, and which names to use.

    Attributes:
        name: The URL's host, which the chain must prove.
        host: The Host header. sni: the name in the ClientHello. path: the request target.
    """

    url: str
    address: str
    port: int
    secure: bool
    name: str
    host: str
    sni: str | None
    path: str


def plan_fetch(
    url: str,
    address: str,
    *,
    host: str | None = None,
    sni: str | None = None,
    path: str | None = None,
) -> Fetch:
    """Combine the URL and what replaces its parts; raises `ValueError` unless it is http(s)."""
    parts = urlsplit(url)
    name = parts.hostname
    if parts.scheme not in _PORTS or not name:
        raise ValueError("an http or https URL with a host was expected")
    port = parts.port or _PORTS[parts.scheme]
    bracketed = f"[{name}]" if ":" in name else name
    query = f"?{parts.query}" if parts.query else ""
    return Fetch(
        url=url,
        address=address,
        port=port,
        secure=parts.scheme == "https",
        name=name,
        host=host or (bracketed if port == _PORTS[parts.scheme] else f"{bracketed}:{port}"),
        sni=sni or (None if is_literal(name) else name),
        path=path or (parts.path or "/") + query,
    )


async def fetch(target: TargetContext, what: Fetch, cap: int, limit: float | None) -> Steps:
    """Connect, do a TLS handshake for https, send the request, read the response."""
    destination = ServerEndpoint(what.address, what.port, what.sni, verify=what.name)
    async with target.session.limiter.enter(what.address):
        tcp, stream = await open_tcp(target, destination, limit)
        if stream is None:
            return (tcp,)
        try:
            if not what.secure:
                plain = _HttpExchange(stream, stream, cap, waited=tcp.elapsed)
                return tcp, await _exchange(target, what, plain, limit)
            allowed = target.session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
            step, tls = await tls_handshake(target, destination, stream, allowed)
            if tls is None:
                return tcp, step
            exchange = _HttpExchange(
                stream,
                tls,
                cap,
                h2=tls.alpn == "h2",
                proven=step.trust is not None and step.trust.valid,
                waited=max(tcp.elapsed, step.elapsed),
            )
            return tcp, step, await _exchange(target, what, exchange, limit)
        finally:
            stream.close()


async def fetch_plain(
    target: TargetContext, what: Fetch, stream: Stream, cap: int, limit: float | None
) -> Http:
    """Send a request over an open TCP connection, without TLS."""
    return await _exchange(target, what, _HttpExchange(stream, stream, cap), limit)


class _ByteStream(Protocol):
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


@dataclass(slots=True)
class _HttpExchange:
    """One request on one connection, and the response while it arrives.

    Attributes:
        stream: Counts the bytes. transport: what is written and read (TLS, or the stream itself).
        waited: The slower of connect and handshake, seconds.
        patience: Seconds after which a body counts as slow, and more of it is read.
    """

    stream: Stream
    transport: _ByteStream
    cap: int
    h2: bool = False
    proven: bool = False
    waited: float = 0.0
    patience: float = LONGEST
    started: float = field(default_factory=monotonic)
    deadline: float = 0.0
    first: float | None = None
    last: float | None = None
    peak_gap: float | None = None
    answer: HttpResponse = field(init=False)
    parser: Http1 | Http2 = field(init=False)

    def __post_init__(self) -> None:
        self.answer = HttpResponse(self.cap)
        self._limit_window()
        self.parser = Http2(self.cap) if self.h2 else Http1(self.answer)

    def request(self, what: Fetch) -> bytes:
        """The bytes of the request."""
        if isinstance(self.parser, Http1):
            headers = [(b"host", what.host.encode()), *_BROWSER_HEADERS, (b"connection", b"close")]
            return self.parser.request(b"GET", what.path, headers)
        headers = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", what.host.encode()),
            (b":path", what.path.encode()),
            *_BROWSER_HEADERS,
        ]
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
            self._raise_cap_if_slow()
            self.parser.feed(data)
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
            self.stream.limit_window(self.answer.cap - len(self.answer.body) + _ROOM)

    def _raise_cap_if_slow(self) -> None:
        """Raise the cap for a slow page: a rate needs more bytes than a fuzzy hash."""
        if self.spread > self.patience and self.answer.cap == self.cap:
            self.answer.cap = max(SLOW_CAP, self.cap)
            if isinstance(self.parser, Http2):
                self.parser.widen_window()

    @property
    def spread(self) -> float:
        """Seconds from the first byte to the last one."""
        return (self.last or 0.0) - self.started - (self.first or 0.0)

    async def run(self, request: bytes, idle: float, total: float) -> Attempt[bytes]:
        """Send the request, and read until the end or a timeout."""
        end = self.started + total
        self.deadline = min(end, self.started + idle)
        result: Attempt[bytes] = Attempt(b"", None, None, None, 0.0)
        sent = await attempt(self.transport.write(request), limit=min(idle, total))
        if sent.failure is not None:
            return Attempt(None, sent.failure, sent.detail, sent.errno, sent.elapsed)
        while not self.answer.ended and result.failure is None:
            self.deadline = min(end, (self.last or self.started) + idle)
            result = await attempt(self.read(), limit=self.deadline - monotonic())
            if result.failure is Failure.TIMEOUT and self.deadline == end and self.last:
                return Attempt(b"", None, None, None, 0.0)  # slow, but not silent
        return result


async def _exchange(
    target: TargetContext, what: Fetch, exchange: _HttpExchange, limit: float | None
) -> Http:
    at = target.now()
    timeouts = target.session.timeouts
    idle, exchange.patience = timeouts.idle_limit(), timeouts.patience()
    idle, total = (idle, TOTAL) if limit is None else (limit, limit)
    before_in, before_out = exchange.stream.bytes_in, exchange.stream.bytes_out
    result = await exchange.run(exchange.request(what), min(idle, total), total)
    answer = exchange.answer
    failure, detail = result.failure, result.detail
    if failure is not None and not answer.ended:
        exchange.end("cut")  # what was received is kept
    elif answer.ended and not answer.complete:
        failure, detail = Failure.EOF, answer.broken if answer.broken != "eof" else None
    if exchange.first is not None:
        timeouts.first_bytes.add(exchange.first)
        target.session.limiter.concurrency.note(max(exchange.first, exchange.waited))
    if answer.complete and len(answer.body) > exchange.cap // 2:
        timeouts.bodies.add(exchange.spread)
    answer.cap = exchange.cap  # pages are compared by the same first bytes
    page = describe(answer, what.url)
    return Http(
        url=what.url,
        address=what.address,
        port=what.port,
        host=what.host,
        proven=exchange.proven,
        version=answer.version,
        status=answer.status,
        malformed=answer.malformed,
        headers=page.headers,
        location=page.location,
        title=page.title,
        declared_bytes=page.declared_bytes,
        received_bytes=answer.received,
        complete=answer.complete and failure is None,
        sha256=page.sha256,
        fuzzy=page.fuzzy,
        links=page.links,
        body=None if exchange.proven else page.excerpt,
        bytes_out=exchange.stream.bytes_out - before_out,
        bytes_in=exchange.stream.bytes_in - before_in,
        peak_gap=None if exchange.peak_gap is None else round(exchange.peak_gap, 6),
        acknowledged=exchange.stream.acknowledged if failure is Failure.TIMEOUT else None,
        failure=failure,
        detail=detail,
        at=at,
        elapsed=round(monotonic() - exchange.started, 6),
        limit=round(exchange.deadline - exchange.started, 6),
    )


_BROWSER_HEADERS: Headers = [
    (b"user-agent", USER_AGENT.encode()),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"ru,kk;q=0.9,en;q=0.8"),
    (b"accept-encoding", b"gzip"),
]
