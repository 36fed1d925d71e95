"""Fetch one URL from one address without following redirects, and return every step reached.

There are two timeouts: for silence (before the first byte and between any two), and for the whole
exchange. Silence is a failure; a slow response is not: what was received is kept, incomplete. The
step's `limit` is the deadline in force when it ended.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from probe.cookies import CookieJar
from probe.experiments.operations import RequestForm
from probe.failure import Failure
from probe.model import Http, Steps
from probe.net.address_policy import is_literal
from probe.net.attempt import Attempt, attempt
from probe.net.browser_request import http1_headers, http2_headers
from probe.net.dial import ServerEndpoint, TargetContext, open_tcp, tls_handshake
from probe.net.further import FURTHER_CAP
from probe.net.http1 import Http1
from probe.net.http2 import Http2
from probe.net.http_response import HttpResponse
from probe.net.page_features import describe, target_of
from probe.net.request_forms import host_value, method, written
from probe.net.stream import LEAST_WINDOW, Stream
from probe.net.timeouts import LONGEST
from probe.redirects import REDIRECTS, is_followed

TOTAL = 20.0
# An answer that has not ended after this many bytes is none (frames without content).
_FLOOD = 1 << 20
# A page that arrives slowly is read up to here, so that its rate can be measured.
SLOW_CAP = 256 * 1024
# Receive window besides the body, bytes: TLS records, headers.
_ROOM = LEAST_WINDOW
_PORTS = {"http": 80, "https": 443}
# Seconds for the rest of a redirect: browsers do not wait for it.
_REDIRECT_BODY = 0.5
# What an HTTP/2 server answers that wants the request on another connection (RFC 9113 sections 6.8
# and 7): HTTP_1_1_REQUIRED over HTTP/1.1, a graceful GOAWAY and REFUSED_STREAM as before.
_ANOTHER_VERSION = frozenset({"rst_stream 13", "goaway 13"})
_ANOTHER_CONNECTION = _ANOTHER_VERSION | {"goaway 0", "rst_stream 7"}
# The ends of a body that is shorter than declared.
_SHORT = frozenset({"eof", "framing", "InvalidBodyLengthError"})


@dataclass(frozen=True, slots=True)
class Fetch:
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


def plan_fetch(
    url: str,
    address: str,
    *,
    host: str | None = None,
    sni: str | None = None,
    path: str | None = None,
    cookies: CookieJar | None = None,
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
        cookies=cookies,
    )


async def fetch(target: TargetContext, what: Fetch, cap: int, limit: float | None) -> Steps:
    """Connect, do a TLS handshake for https, send the request, read the response.

    Where the server asks for another connection, as HTTP/2 lets it, the steps are those of that
    one, and its `detail` has the reason.
    """
    steps = await _fetch_once(target, what, cap, limit)
    last = steps[-1]
    if not isinstance(last, Http) or last.detail not in _ANOTHER_CONNECTION:
        return steps
    hello = "http11" if last.detail in _ANOTHER_VERSION else "default"
    again = await _fetch_once(target, what, cap, limit, hello=hello)
    page = again[-1]
    if isinstance(page, Http) and page.detail is None:
        return (*again[:-1], replace(page, detail=f"after {last.detail}"))
    return again


async def _fetch_once(
    target: TargetContext, what: Fetch, cap: int, limit: float | None, *, hello: str = "default"
) -> Steps:
    session = target.session
    destination = ServerEndpoint(
        what.address, what.port, what.sni, hello, what.name, what.segment_limit
    )
    async with session.limiter.enter(what.address):
        tcp, stream = await open_tcp(target, destination, limit)
        if stream is None:
            return (tcp,)
        try:
            if not what.secure:
                trip = tcp.elapsed
                plain = _HttpExchange(stream, stream, cap, what.url, waited=trip, trip=trip)
                return tcp, await _exchange(target, what, plain, limit)
            allowed = session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
            step, tls = await tls_handshake(target, destination, stream, allowed)
            if tls is None:
                return tcp, step
            exchange = _HttpExchange(
                stream,
                tls,
                cap,
                what.url,
                h2=tls.alpn == "h2",
                proven=step.trust is not None and step.trust.valid,
                waited=max(tcp.elapsed, step.elapsed),
                trip=tcp.elapsed,
            )
            return tcp, step, await _exchange(target, what, exchange, limit)
        finally:
            stream.close()


async def fetch_plain(
    target: TargetContext, what: Fetch, stream: Stream, cap: int, limit: float | None
) -> Http:
    """Send a request over an open TCP connection, without TLS."""
    return await _exchange(target, what, _HttpExchange(stream, stream, cap, what.url), limit)


class _ByteStream(Protocol):
    @property
    def ended_by_peer(self) -> bool: ...
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def limit_window(self, size: int) -> None: ...


@dataclass(slots=True)
class _HttpExchange:
    """One request on one connection, and the response while it arrives.

    Attributes:
        stream: Counts the bytes. transport: what is written and read (TLS, or the stream itself).
        waited: The slower of connect and handshake, seconds. trip: the round trip of connecting.
        patience: Seconds after which a body counts as slow, and more of it is read.
        reads_further: Whether a page of more than half of the cap is read further, by the seconds
            in which it came and the round trip.
        quiet: Seconds without a byte after which it is silent, and no longer slow.
    """

    stream: Stream
    transport: _ByteStream
    cap: int
    url: str
    h2: bool = False
    proven: bool = False
    waited: float = 0.0
    trip: float = 0.0
    patience: float = LONGEST
    quiet: float = LONGEST
    reads_further: Callable[[str, float | None, float], bool] = field(default=lambda *_: False)
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


def _learn(target: TargetContext, what: Fetch, exchange: _HttpExchange) -> None:
    """Note how quickly this exchange was answered, for the limits of later ones."""
    timeouts, answer = target.session.timeouts, exchange.answer
    if exchange.first is not None:
        timeouts.first_bytes.add(exchange.first)
        target.session.limiter.concurrency.note(max(exchange.first, exchange.waited))
    if answer.cap == FURTHER_CAP:
        # A page that came slowly is read further again: its rate is what is in question.
        quick = (exchange.stream.arriving or 0.0) <= exchange.patience
        target.session.further.note(what.url, whole=answer.complete and quick)
    usual = answer.cap == exchange.cap and len(answer.body) > exchange.cap // 2
    if answer.complete and usual:
        timeouts.bodies.add(exchange.spread)


async def _exchange(
    target: TargetContext, what: Fetch, exchange: _HttpExchange, limit: float | None
) -> Http:
    at = target.now()
    timeouts = target.session.timeouts
    idle, exchange.patience = timeouts.idle_limit(), timeouts.patience()
    exchange.quiet = idle
    exchange.reads_further = target.session.further.allows
    idle, total = (idle, TOTAL) if limit is None else (limit, limit)
    before_in, before_out = exchange.stream.bytes_in, exchange.stream.bytes_out
    exchange.stream.time_arrivals()
    segments = written(what.form, exchange.request(what))
    result = await exchange.run(segments, min(idle, total), total)
    answer = exchange.answer
    failure, detail = exchange.verdict_of(result)
    if result.failure is not None and not answer.ended:
        exchange.end("cut")  # what was received is kept
    _learn(target, what, exchange)
    if what.cookies is not None:
        for value in (value for name, value in answer.headers if name == b"set-cookie"):
            what.cookies.take(what.url, value)
    arriving = exchange.stream.arriving
    answer.cap = exchange.cap  # pages are compared by the same first bytes
    page = describe(answer, what.url)
    return Http(
        url=what.url,
        address=what.address,
        port=what.port,
        host=what.host,
        method=method(what.form).decode(),
        form=what.form,
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
        arriving=None if arriving is None else round(arriving, 6),
        acknowledged=exchange.stream.acknowledged if failure is Failure.TIMEOUT else None,
        failure=failure,
        detail=detail,
        at=at,
        elapsed=round(monotonic() - exchange.started, 6),
        limit=round(exchange.deadline - exchange.started, 6),
    )
