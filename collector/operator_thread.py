"""The listener of the operator, in a thread with an event loop of its own."""

import asyncio
import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from collector.connections import ConnectionPool
from collector.http_server import serving
from collector.listening import Door
from collector.rate_limit import TokenBuckets
from collector.settings import Address, SettingsError, SocketFile

log = logging.getLogger("qazcollector")

# One Prometheus, and some people.
CONNECTIONS = 64


@asynccontextmanager
async def operating(
    make_app: Callable[[], web.Application], address: Address | SocketFile
) -> AsyncIterator[str]:
    """Serve an application, made in the thread, until the context ends; gives its URL.

    Raises:
        SettingsError: It cannot listen there.
    """
    started: Future[str] = Future()
    operator = _Operator(make_app, address, started)
    thread = threading.Thread(target=operator.run, name="operator", daemon=True)
    thread.start()
    try:
        yield await asyncio.wrap_future(started)
    finally:
        operator.stop()
        await asyncio.to_thread(thread.join)


class _Operator:
    """What the thread does: serve until it is stopped."""

    def __init__(
        self,
        make_app: Callable[[], web.Application],
        address: Address | SocketFile,
        started: Future[str],
    ) -> None:
        self._make_app = make_app
        self._address = address
        self._started = started
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def run(self) -> None:
        """Serve, in this thread."""
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._started.done():
                log.exception("the operator's listener ended")
            else:
                self._started.set_exception(error)

    def stop(self) -> None:
        """Stop serving, from another thread."""
        self._stopping.set()
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            app = self._make_app()
            if isinstance(self._address, Address):
                door = Door(
                    ConnectionPool(CONNECTIONS, CONNECTIONS),
                    ConnectionPool(CONNECTIONS, CONNECTIONS),
                    TokenBuckets(1e9, 1e9, time.monotonic),
                    lambda _: None,
                )
                at = await stack.enter_async_context(serving(app, self._address, door))
                url = f"http://{at}"
            else:
                url = await _serve_file(app, self._address, stack)
            self._started.set_result(url)
            if not self._stopping.is_set():
                await self._stop.wait()


async def _serve_file(app: web.Application, file: SocketFile, stack: AsyncExitStack) -> str:
    """Serve on a socket file, for its owner and group only."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        _remove_socket(Path(file.path))  # of a collector that was killed
        await web.UnixSite(runner, file.path).start()
        os.chmod(file.path, 0o660)  # noqa: PTH101 - one system call
    except OSError as error:
        raise SettingsError(f"cannot listen on {file}: {error.strerror or error}") from error
    stack.callback(_remove_socket, Path(file.path))
    return str(file)


def _remove_socket(path: Path) -> None:
    """Remove a socket file, and nothing else."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
