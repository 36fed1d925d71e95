"""One request and its response: bounded reading, errors in one line, JSON.

Rule: every error response is a `Problem`, and no log line and no response contains an address.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException

from collector.service import SERVICE, Service
from collector.store import StoreUnavailable
from collector.store.replays import Replayed
from probe.api_types import Problem

T = TypeVar("T")
RouteHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

SMALL_BODY = 64 * 1024
# Observations compress to a tenth; from the second size on this is done in a thread.
_COMPRESS = 2 * 1024
_COMPRESS_ELSEWHERE = 64 * 1024
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


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body as sent, within limits of size, time, and memory for all bodies together.

    Raises:
        Refused: It is too large, too slow, or all memory for bodies is in use.
    """
    service = request.app[SERVICE]
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "encoding", "send the body as it is, without Content-Encoding")
    if (request.content_length or 0) > limit:
        raise Refused(413, "too_large", f"body of at most {limit} bytes expected")
    parts = bytearray()
    with service.reserve_memory() as reserve:
        try:
            async with asyncio.timeout(service.settings.limits.body_seconds):
                async for part in request.content.iter_any():
                    if len(parts) + len(part) > limit:
                        raise Refused(413, "too_large", f"body of at most {limit} bytes expected")
                    if not reserve(len(part)):
                        message = "too many uploads at once; try again later"
                        raise Refused(503, "busy", message, retry_after=10)
                    parts += part
        except TimeoutError as error:
            raise Refused(408, "too_slow", "body took too long to arrive") from error
    return bytes(parts)


async def read_json(request: web.Request, type_: type[T]) -> T:
    """A small JSON body as a message of this type."""
    return parse_json(await read_body(request, SMALL_BODY), type_)


def parse_json(body: bytes, type_: type[T]) -> T:
    """JSON bytes as a message of this type.

    Raises:
        Refused: They are something else.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Refused(400, "malformed", f"body not understood: {error}"[:300]) from error


def parse_seconds(text: str | None, *, most: float) -> float:
    """A `wait` parameter: seconds, between 0 and `most`."""
    try:
        seconds = float(text or 0)
    except ValueError as error:
        raise Refused(400, "malformed", "wait: a number of seconds expected") from error
    return min(most, max(0.0, seconds)) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN


@web.middleware
async def guard(request: web.Request, handler: RouteHandler) -> web.StreamResponse:
    """Turn every failure into one line of JSON, and count requests and responses."""
    service = request.app[SERVICE]
    try:
        _limit_rate(request, service)
        response = await handler(request)
        service.store_took(request.method)
    except Refused as refused:
        service.instruments.rejected.labels(refused.reason).inc()
        response = problem(refused)
    except Replayed:
        service.instruments.rejected.labels("replay").inc()
        response = problem(Refused(409, "replay", "this request was carried out before"))
    except HTTPException as error:
        response = problem(Refused(error.status, "http", error.reason.lower()))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except StoreUnavailable as error:
        log.error("%s", error)  # noqa: TRY400 - a traceback would add nothing
        service.store_refused()
        response = problem(Refused(503, "store", "store cannot be reached now", retry_after=30))
    except (web.RequestPayloadError, HttpProcessingError):
        response = problem(Refused(400, "malformed", "request body is broken"))
    except ConnectionResetError:
        raise
    except Exception:
        # A bug. Caught here because aiohttp would log it with the client's address.
        log.exception("bug while answering %s", _route(request))
        response = problem(Refused(500, "bug", "this collector has a bug; it was logged"))
    service.instruments.requests.labels(_route(request), str(response.status)).inc()
    return response


def _limit_rate(request: web.Request, service: Service) -> None:
    """Limit the requests of each network; health checks are not limited."""
    if request.path in {"/healthz", "/readyz"}:
        return
    wait = service.must_wait(request, service.by_network)
    if wait:
        raise Refused(429, "rate_network", "too many requests; try again later", retry_after=wait)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response has."""
    for name, value in _HEADERS.items():
        response.headers[name] = value


__all__ = [
    "Refused",
    "add_security_headers",
    "answer",
    "guard",
    "log",
    "parse_json",
    "parse_seconds",
    "problem",
    "read_body",
    "read_json",
]
