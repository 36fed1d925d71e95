"""One request and its response: bounded reading, errors in one line, JSON.

Rule: every error response is a `Problem`, and no log line and no response contains an address.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException

from collector.connections import Use
from collector.memory_budget import Reservation
from collector.service import SERVICE, Service
from collector.store import StoreUnavailable
from collector.store.replays import Replayed
from probe.api_types import Problem

T = TypeVar("T")
RouteHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

SMALL_BODY = 64 * 1024
JSON_TYPE = "application/json"
# Observations compress to a tenth; from the second size on this is done in a thread.
_COMPRESS = 2 * 1024
_COMPRESS_ELSEWHERE = 64 * 1024
# A response from this size on is reserved until the client has taken it, which it has to do at
# this many bytes a second, and each part of a stream within this time.
_LARGE = 32 * 1024
_SLOWEST = 4 * 1024
DELIVERY_SECONDS = 60.0
_RESERVATION = web.RequestKey("reservation", Reservation)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "qazcollector",
}

log = logging.getLogger("qazcollector")


class Refused(Exception):  # noqa: N818 - a response, not an error
    """The request is refused.

    Attributes:
        status: The HTTP status. reason: a word for the counter of refusals.
        retry_after: Seconds after which it may be tried again.
        headers: More headers of the response.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


def answer(data: msgspec.Struct | dict[str, object], status: int = 200) -> web.Response:
    """Data as a JSON response, compressed if it is large and the client accepts that."""
    body = msgspec.json.encode(data)
    response = web.Response(
        body=body,
        status=status,
        content_type="application/json",
        zlib_executor_size=_COMPRESS_ELSEWHERE,
    )
    if len(body) >= _COMPRESS:
        response.enable_compression()
    return response


def problem(refused: Refused) -> web.Response:
    """A refusal as a response."""
    response = answer(Problem(error=str(refused)), refused.status)
    response.headers.extend(refused.headers)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(refused.retry_after)))
    return response


def hold(request: web.Request, size: int) -> None:
    """Reserve memory for a request until it is answered.

    Raises:
        Refused: All memory for requests is in use.
    """
    if not request[_RESERVATION].grow(size):
        raise Refused(503, "busy", "too many requests at once; try again later", retry_after=10)


def using(request: web.Request, use: Use) -> AbstractContextManager[None]:
    """Note what a request's connection is used for."""
    return request.app[SERVICE].door.using(request.protocol, use)


async def read_body(
    request: web.Request, limit: int, *, encodings: Collection[str] = ("identity",)
) -> bytes:
    """The body as sent, within limits of size, time, and memory for all requests together.

    Raises:
        Refused: It is too large, too slow, or all memory for requests is in use.
    """
    service = request.app[SERVICE]
    if request.headers.get("Content-Encoding", "identity").lower() not in encodings:
        raise Refused(415, "encoding", "send the body as it is, without Content-Encoding")
    if (request.content_length or 0) > limit:
        raise Refused(413, "too_large", f"body of at most {limit} bytes expected")
    parts = bytearray()
    try:
        with using(request, Use.TRANSFER):
            async with asyncio.timeout(service.settings.limits.body_seconds):
                async for part in request.content.iter_any():
                    if len(parts) + len(part) > limit:
                        raise Refused(413, "too_large", f"body of at most {limit} bytes expected")
                    hold(request, len(part))
                    parts += part
    except TimeoutError as error:
        raise Refused(408, "too_slow", "body took too long to arrive") from error
    return bytes(parts)


async def read_json(request: web.Request, type_: type[T]) -> T:
    """A small JSON body as a message of this type."""
    expect_type(request, JSON_TYPE)
    return parse_json(await read_body(request, SMALL_BODY), type_)


def expect_type(request: web.Request, type_: str) -> None:
    """Refuse a body of another type, such as one that a form of a web page can send."""
    if request.content_type != type_:
        raise Refused(415, "type", f"Content-Type {type_} expected")


def parse_json(body: bytes, type_: type[T]) -> T:
    """JSON bytes as a message of this type.

    Raises:
        Refused: They are something else.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Refused(400, "malformed", f"body not understood: {error}"[:300]) from error


def instant_text(at: float) -> str:
    """A Unix time as an RFC 3339 instant."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@web.middleware
async def guard(request: web.Request, handler: RouteHandler) -> web.StreamResponse:
    """Answer a request within its budgets, every failure in one line of JSON, and count it."""
    service = request.app[SERVICE]
    with service.memory.hold(service.network(request)) as reservation:
        request[_RESERVATION] = reservation
        with using(request, Use.WORK):
            response = await _respond(request, handler, service)
        service.instruments.requests.labels(_route(request), str(response.status)).inc()
        return await _delivered(request, response, reservation)


async def _respond(
    request: web.Request, handler: RouteHandler, service: Service
) -> web.StreamResponse:
    try:
        _limit_rate(request, service)
        _refuse_pages(request)
        return await handler(request)
    except (Refused, Replayed) as error:
        again = Refused(409, "replay", "this request was carried out before")
        refused = error if isinstance(error, Refused) else again
        service.instruments.rejected.labels(refused.reason).inc()
        return problem(refused)
    except HTTPException as error:
        response = problem(Refused(error.status, "http", error.reason.lower()))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except StoreUnavailable as error:
        log.error("%s", error)  # noqa: TRY400 - a traceback would add nothing
        return problem(Refused(503, "store", "store cannot be reached now", retry_after=30))
    except (web.RequestPayloadError, HttpProcessingError):
        return problem(Refused(400, "malformed", "request body is broken"))
    except ConnectionResetError:
        raise
    except Exception:
        # A bug. Caught here because aiohttp would log it with the client's address.
        log.exception("bug while answering %s", _route(request))
        return problem(Refused(500, "bug", "this collector has a bug; it was logged"))


async def _delivered(
    request: web.Request, response: web.StreamResponse, reservation: Reservation
) -> web.StreamResponse:
    """The response; a large one counts as held, and is sent, before this returns."""
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or len(body) < _LARGE:
        return response
    if not reservation.grow(len(body)):
        return problem(Refused(503, "busy", "too many answers at once; try again", retry_after=10))
    try:
        with using(request, Use.TRANSFER):
            async with asyncio.timeout(DELIVERY_SECONDS + len(body) / _SLOWEST):
                await response.prepare(request)
                await response.write_eof()
    except TimeoutError:
        abort(request)
    return response


async def stream(
    request: web.Request, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Pieces as a response of unknown length.

    An error before the first piece is raised. One after it aborts the connection, so that the
    client does not take a part for the whole, or wait for the rest.
    """
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=headers)
    try:
        with using(request, Use.TRANSFER):
            await response.prepare(request)
            await _write(response, first)
            async for piece in pieces:
                await _write(response, piece)
            await response.write_eof()
    except ConnectionResetError:
        raise
    except (StoreUnavailable, TimeoutError) as error:  # the client is slow, or the store is gone
        log.error("a response to %s broke off: %s", _route(request), type(error).__name__)  # noqa: TRY400 - the same
        abort(request)
    except Exception:  # the status was sent already
        log.exception("bug in a response to %s, which broke off", _route(request))
        abort(request)
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(DELIVERY_SECONDS):
        await response.write(piece)


def abort(request: web.Request) -> None:
    """Drop the connection of a request."""
    if request.transport is not None:
        request.transport.abort()


def _limit_rate(request: web.Request, service: Service) -> None:
    """Limit the requests of each network; health checks are not limited."""
    if request.path in {"/healthz", "/readyz"}:
        return
    wait = service.must_wait(request, service.by_network)
    if wait:
        raise Refused(429, "rate_network", "too many requests; try again later", retry_after=wait)


def _refuse_pages(request: web.Request) -> None:
    """Refuse what a web page makes its visitor's browser send: only readers use browsers."""
    if request.method not in {"GET", "HEAD", "OPTIONS"} and "Origin" in request.headers:
        raise Refused(403, "origin", "requests that web pages make are not accepted")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response has."""
    for name, value in _HEADERS.items():
        response.headers[name] = value


__all__ = [
    "JSON_TYPE",
    "Refused",
    "abort",
    "add_security_headers",
    "answer",
    "expect_type",
    "guard",
    "hold",
    "instant_text",
    "log",
    "parse_json",
    "problem",
    "read_body",
    "read_json",
    "stream",
    "using",
]
