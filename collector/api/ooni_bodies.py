"""Bodies of OONI's clients: JSON, perhaps packed by gzip, and of no declared type.

Rule: a body is inflated no further than to the limit, whatever it promises.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from aiohttp import web

from collector.api.http import Refused, hold, parse_json, read_body

R = TypeVar("R")
T = TypeVar("T", bound=msgspec.Struct)

# A thread for what these clients send, one piece at a time: it bounds memory, and our own probes'
# batches do not wait for it.
THREAD = web.AppKey("ooni_thread", ThreadPoolExecutor)

_GZIP = "gzip"
_ENCODINGS = ("identity", _GZIP)
# From this size on a body is inflated and parsed outside the event loop, one at a time.
_LARGE = 32 * 1024
# What the parsed objects of a small message may take, in times of its bytes.
_PARSED = 4


async def read_message(request: web.Request, type_: type[T], *, limit: int) -> T:
    """A body as a message of this type.

    Raises:
        Refused: It is too large, packed otherwise, or something else.
    """
    body = await read_body(request, limit, encodings=_ENCODINGS)
    packed = request.headers.get("Content-Encoding", "").lower() == _GZIP
    if packed:
        hold(request, limit)
    else:
        hold(request, _PARSED * min(len(body), _LARGE))

    def parse() -> T:
        return parse_json(_inflated(body, limit) if packed else body, type_)

    if len(body) < _LARGE and not packed:
        return parse()
    return await run_apart(request, parse)


async def run_apart(request: web.Request, work: Callable[[], R]) -> R:
    """Run heavy work in the thread for these clients."""
    return await asyncio.get_running_loop().run_in_executor(request.app[THREAD], work)


async def own_thread(app: web.Application) -> AsyncIterator[None]:
    """The thread, for as long as the application serves."""
    with ThreadPoolExecutor(1, thread_name_prefix="ooni") as app[THREAD]:
        yield


def _inflated(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, "malformed", "body is no gzip") from error
    if len(found) > limit or inflater.unconsumed_tail:
        raise Refused(413, "too_large", f"body of at most {limit} bytes when inflated expected")
    if not inflater.eof or inflater.unused_data:
        raise Refused(400, "malformed", "body is cut short, or has data after its end")
    return found
