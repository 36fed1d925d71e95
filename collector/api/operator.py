"""What the operator's own listener serves beside its pages: metrics, liveness, readiness.

Rule: it runs in a thread with an event loop of its own and connections of its own, so that nothing
that the public does keeps it from answering. What it needs of the collector's own loop it asks for
and waits a limited time; that this loop does not answer is then the answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.web_exceptions import HTTPException

from collector.api import public
from collector.api.http import Refused, RouteHandler, log, problem
from collector.metrics.exposition import CONTENT_TYPE
from collector.service import SERVICE
from collector.store import StoreUnavailable

T = TypeVar("T")

WAIT_SECONDS = 5.0
# A collector whose loop is stuck for so long is dead: it should be started anew.
DEAD_SECONDS = 60.0


class MainLoop:
    """The event loop that the collector's parts belong to, as seen from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answered = time.monotonic()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def ask(self, work: Callable[[], Awaitable[T]], seconds: float = WAIT_SECONDS) -> T:
        """The result of a coroutine that runs there.

        Raises:
            TimeoutError: It took too long.
        """

        async def run() -> T:
            self._answered = time.monotonic()
            return await work()

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)

    async def begin(self, work: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """The same, but work that takes longer goes on there.

        Raises:
            TimeoutError: It goes on.
        """

        async def run() -> T:
            task = asyncio.create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            return await asyncio.shield(task)

        return await self.ask(run, seconds)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), StoreUnavailable):
            log.warning("%s", error)

    @property
    def silent_seconds(self) -> float:
        """How long ago it began to do something that it was asked for."""
        return time.monotonic() - self._answered


MAIN_LOOP = web.AppKey("main_loop", MainLoop)


async def get_metrics(request: web.Request) -> web.Response:
    """All metrics; the families of the store as they were, when they cannot be made in time."""
    service, main = request.app[SERVICE], request.app[MAIN_LOOP]
    try:
        families = await main.ask(service.snapshots.exposition)
    except (TimeoutError, StoreUnavailable) as error:
        log.warning("metrics of the store are old: %s", str(error) or "no answer in time")
        families = service.snapshots.newest
    body = service.instruments.encode() + families
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


async def get_healthz(request: web.Request) -> web.Response:
    """Liveness: the collector's own loop does something, if slowly."""
    main = request.app[MAIN_LOOP]
    try:
        await main.ask(_nothing)
    except TimeoutError as error:
        if main.silent_seconds > DEAD_SECONDS:
            raise Refused(503, "dead", "the event loop does not answer") from error
    return web.Response(text="ok\n")


async def get_readyz(request: web.Request) -> web.Response:
    """Readiness: the store answers and takes writes, and batches are stored and judged."""
    service = request.app[SERVICE]
    try:
        await request.app[MAIN_LOOP].ask(lambda: public.check_ready(service))
    except TimeoutError as error:
        raise Refused(503, "dead", "the event loop does not answer in time") from error
    return web.Response(text="ready\n")


async def _nothing() -> None:
    pass


@web.middleware
async def guard(request: web.Request, handler: RouteHandler) -> web.StreamResponse:
    """Turn every failure into one line of JSON; the operator is neither limited nor counted."""
    try:
        return await handler(request)
    except Refused as refused:
        return problem(refused)
    except HTTPException as error:
        return problem(Refused(error.status, "http", error.reason.lower()))
    except StoreUnavailable as error:
        return problem(Refused(503, "store", str(error)))
    except TimeoutError:
        return problem(Refused(503, "slow", "the collector did not answer in time"))
    except ConnectionResetError:
        raise
    except Exception:  # noqa: BLE001 - a bug; the operator is answered all the same
        log.exception("bug while answering the operator")
        return problem(Refused(500, "bug", "this collector has a bug; it was logged"))
