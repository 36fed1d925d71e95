"""Fetch one URL from one address, following nothing, and report every step that was reached.

There are two clocks. A server may be silent for so long (before its first byte and between any
two), and the whole may take so long. Silence is a failure; being slow is not: what has come by then
is kept, incomplete. `limit` in the step is the deadline that was in force when it ended.
"""

from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

from probe.failure import Failure
from probe.model import Http, Steps
from probe.net.address_policy import is_literal
from probe.net.attempt import Attempt, attempt
from probe.net.dial import Peer, TargetContext, open_tcp, shake_hands
from probe.net.http1 import Http1
from probe.net.http2 import Http2
from probe.net.http_response import Headers, HttpResponse
from probe.net.page_features import describe
from probe.net.stream import Stream
from probe.net.timeouts import LONGEST

# A common browser's, so that we are served what people are served; nothing in it is ours.
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
TOTAL = 20.0
# So many bytes without an answer that ends are no answer (frames that carry nothing).
_FLOOD = 1 << 20
# A page that comes slowly is read farther than others, for its rate.
FARTHER = 256 * 1024
# Bytes beside the body that still have to fit: TLS records, a head.
_ROOM = 4096
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Fetch:
    """What to ask, where, and under which names.

    Attributes:
        name: The URL's own host, which a chain must prove.
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
    """Settle what the URL says and what replaces it; raises `ValueError` for no http(s) URL."""
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


async def fetch(look: TargetContext, what: Fetch, cap: int, limit: float | None) -> Steps:
    """Connect, shake hands if need be, ask, and read what comes."""
    peer = Peer(what.address, what.port, what.sni, verify=what.name)
    async with look.door.gate.enter(what.address):
        tcp, stream = await open_tcp(look, peer, limit)
        if stream is None:
            return (tcp,)
        try:
            if not what.secure:
                plain = _Exchange(stream, stream, cap, waited=tcp.elapsed)
                return tcp, await _exchange(look, what, plain, limit)
            allowed = look.door.pace.tls_limit(tcp.elapsed) if limit is None else limit
            step, tls = await shake_hands(look, peer, stream, allowed)
            if tls is None:
                return tcp, step
            exchange = _Exchange(
                stream,
                tls,
                cap,
                h2=tls.alpn == "h2",
                proven=step.trust is not None and step.trust.valid,
                waited=max(tcp.elapsed, step.elapsed),
            )
            return tcp, step, await _exchange(look, what, exchange, limit)
        finally:
            stream.close()


async def ask_plainly(
    look: TargetContext, what: Fetch, stream: Stream, cap: int, limit: float | None
) -> Http:
    """Ask over a connection that is open already, without TLS."""
    return await _exchange(look, what, _Exchange(stream, stream, cap), limit)


class _Bytes(Protocol):
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


@dataclass(slots=True)
class _Exchange:
    """One request on one connection, and how its answer trickles in.

    Attributes:
        stream: Counts the bytes. line: what is written to and read from (TLS, or the same).
        waited: The longest wait before the request, seconds.
        patience: How long a body may take to come before it is read farther, seconds.
    """

    stream: Stream
    line: _Bytes
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
        self._keep_short()
        self.parser = Http2(self.cap) if self.h2 else Http1(self.answer)

    def request(self, what: Fetch) -> bytes:
        """The bytes that ask for it."""
        if isinstance(self.parser, Http1):
            headers = [(b"host", what.host.encode()), *_LIKE_A_BROWSER, (b"connection", b"close")]
            return self.parser.request(b"GET", what.path, headers)
        headers = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", what.host.encode()),
            (b":path", what.path.encode()),
            *_LIKE_A_BROWSER,
        ]
        self.parser.request(headers, None, self.answer)
        return self.parser.outgoing()

    async def read(self) -> bytes:
        """What came next, taken note of."""
        data = await self.line.read()
        if data:
            now = monotonic()
            if self.last is None:
                self.first = now - self.started
            else:
                self.peak_gap = max(self.peak_gap or 0.0, now - self.last)
            self.last = now
            self._read_on()
            self.parser.feed(data)
            self._keep_short()
            if not self.answer.ended and self.stream.bytes_in > _FLOOD:
                self.answer.fail("flood")
            if isinstance(self.parser, Http2) and (back := self.parser.outgoing()):
                await self.line.write(back)
        elif isinstance(self.parser, Http2):
            self.parser.end("eof")
        else:
            self.parser.end()
        return data

    def _keep_short(self) -> None:
        """What will not be read need not cross the line; HTTP/2 has windows of its own for that."""
        if not self.h2 and not self.answer.ended:
            self.stream.keep_short(self.answer.cap - len(self.answer.body) + _ROOM)

    def _read_on(self) -> None:
        """Take more of a page that is slow to come: a rate needs more bytes than a likeness."""
        if self.spread > self.patience and self.answer.cap == self.cap:
            self.answer.cap = max(FARTHER, self.cap)
            if isinstance(self.parser, Http2):
                self.parser.open_wide()

    @property
    def spread(self) -> float:
        """Seconds from the first byte to the last one."""
        return (self.last or 0.0) - self.started - (self.first or 0.0)

    async def run(self, request: bytes, idle: float, total: float) -> Attempt[bytes]:
        """Ask, and read until the end, a silence, or the time is up."""
        end = self.started + total
        self.deadline = min(end, self.started + idle)
        done: Attempt[bytes] = Attempt(b"", None, None, None, 0.0)
        sent = await attempt(self.line.write(request), limit=min(idle, total))
        if sent.failure is not None:
            return Attempt(None, sent.failure, sent.detail, sent.errno, sent.elapsed)
        while not self.answer.ended and done.failure is None:
            self.deadline = min(end, (self.last or self.started) + idle)
            done = await attempt(self.read(), limit=self.deadline - monotonic())
            if done.failure is Failure.TIMEOUT and self.deadline == end and self.last:
                return Attempt(b"", None, None, None, 0.0)  # slow, not silent
        return done


async def _exchange(
    look: TargetContext, what: Fetch, exchange: _Exchange, limit: float | None
) -> Http:
    at = look.now()
    pace = look.door.pace
    idle, exchange.patience = pace.idle_limit(), pace.patience()
    idle, total = (idle, TOTAL) if limit is None else (limit, limit)
    before_in, before_out = exchange.stream.bytes_in, exchange.stream.bytes_out
    done = await exchange.run(exchange.request(what), min(idle, total), total)
    answer = exchange.answer
    failure, detail = done.failure, done.detail
    if failure is not None and not answer.ended:
        _end(exchange)  # what came before it broke is kept
    elif answer.ended and not answer.complete:
        failure, detail = Failure.EOF, answer.broken if answer.broken != "eof" else None
    if exchange.first is not None:
        pace.first_bytes.add(exchange.first)
        look.door.gate.ease.note(max(exchange.first, exchange.waited))
    if answer.complete and len(answer.body) > exchange.cap // 2:
        pace.bodies.add(exchange.spread)
    answer.cap = exchange.cap  # what is compared is the same beginning, however far it was read
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


def _end(exchange: _Exchange) -> None:
    if isinstance(exchange.parser, Http2):
        exchange.parser.end("cut")
    else:
        exchange.parser.end()


_LIKE_A_BROWSER: Headers = [
    (b"user-agent", USER_AGENT.encode()),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"ru,kk;q=0.9,en;q=0.8"),
    (b"accept-encoding", b"gzip"),
]
