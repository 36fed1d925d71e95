"""Fetch one URL from one address without following redirects, and return every step reached.

There are two timeouts: for silence (before the first byte and between any two), and for the whole
exchange. Silence is a failure; a slow response is not: what was received is kept, incomplete. The
step's `limit` is the deadline in force when it ended.
"""

from time import monotonic
from urllib.parse import urlsplit

from msgspec.structs import replace

from probe.cookies import CookieJar
from probe.failure import Failure
from probe.model import Http, Steps
from probe.net.address_policy import is_literal
from probe.net.dial import ServerEndpoint, TargetContext, connected, tls_handshake
from probe.net.further import FURTHER_CAP, LONG_CAP
from probe.net.http_exchange import Fetch, HttpExchange
from probe.net.page_features import describe
from probe.net.request_forms import method, written
from probe.net.stream import Stream

TOTAL = 20.0
_PORTS = {"http": 80, "https": 443}
# What an HTTP/2 server answers that wants the request on another connection (RFC 9113 sections 6.8
# and 7): HTTP_1_1_REQUIRED over HTTP/1.1, a graceful GOAWAY and REFUSED_STREAM as before.
_ANOTHER_VERSION = frozenset({"rst_stream 13", "goaway 13"})
_ANOTHER_CONNECTION = _ANOTHER_VERSION | {"goaway 0", "rst_stream 7"}


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
    destination = ServerEndpoint(
        what.address, what.port, what.sni, hello, what.name, what.segment_limit
    )
    async with connected(target, destination, limit) as (tcp, stream):
        if stream is None:
            return (tcp,)
        if not what.secure:
            trip = tcp.elapsed
            plain = HttpExchange(stream, stream, cap, what.url, waited=trip, trip=trip)
            return tcp, await _exchange(target, what, plain, limit)
        allowed = target.session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
        step, tls = await tls_handshake(target, destination, stream, allowed)
        if tls is None:
            return tcp, step
        exchange = HttpExchange(
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


async def fetch_plain(
    target: TargetContext, what: Fetch, stream: Stream, cap: int, limit: float | None
) -> Http:
    """Send a request over an open TCP connection, without TLS."""
    return await _exchange(target, what, HttpExchange(stream, stream, cap, what.url), limit)


def _learn(target: TargetContext, what: Fetch, exchange: HttpExchange) -> None:
    """Note how quickly this exchange was answered, for the limits of later ones."""
    timeouts, answer = target.session.timeouts, exchange.answer
    if exchange.first is not None:
        timeouts.first_bytes.add(exchange.first)
        target.session.limiter.concurrency.note(max(exchange.first, exchange.waited))
    if answer.cap in (FURTHER_CAP, LONG_CAP):
        # A page that came slowly is read further again: its rate is what is in question.
        quick = (exchange.stream.arriving or 0.0) <= exchange.patience
        long = exchange.later is not None
        target.session.further.note(what.url, whole=answer.complete and quick, long=long)
    usual = answer.cap == exchange.cap and len(answer.body) > exchange.cap // 2
    if answer.complete and usual:
        timeouts.bodies.add(exchange.spread)


async def _exchange(
    target: TargetContext, what: Fetch, exchange: HttpExchange, limit: float | None
) -> Http:
    at = target.now()
    timeouts = target.session.timeouts
    idle, exchange.patience = timeouts.idle_limit(), timeouts.patience()
    exchange.quiet = idle
    exchange.reads_further = target.session.further.allows
    exchange.reads_long = target.session.further.allows_long
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
    later_bytes, later_arriving = exchange.later_half
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
        later_bytes=later_bytes,
        later_arriving=later_arriving,
        acknowledged=exchange.stream.acknowledged if failure is Failure.TIMEOUT else None,
        failure=failure,
        detail=detail,
        at=at,
        elapsed=round(monotonic() - exchange.started, 6),
        limit=round(exchange.deadline - exchange.started, 6),
    )
