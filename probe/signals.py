"""Signal handling: the first signal stops the measurement, the second ends the process.

After the first signal the records measured so far are still judged, written and spooled, as after a
timeout.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal, TypeVar

T = TypeVar("T")
Cut = Literal["time", "interrupted"]

_POLL_SECONDS = 0.2
# SIGHUP is sent when the terminal closes; not all systems have it, and `nohup` ignores it.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Stop:
    """A request to stop the run."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def asked(self) -> bool:
        """Whether a stop was requested."""
        return self._event.is_set()

    def ask(self) -> None:
        """Request a stop."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for a stop request, at most `seconds`; return whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


@contextmanager
def signals(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into `stop.ask()`; the second ends the process."""
    loop = asyncio.get_running_loop()

    def caught(number: int, _frame: FrameType | None = None) -> None:
        if stop.asked:
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop.ask)

    # With SIGHUP ignored (`nohup`), the run is meant to outlive its terminal.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {n: h for n, h in before.items() if n.name != "SIGHUP" or h is not signal.SIG_IGN}
    for number in before:
        if sys.platform == "win32":
            signal.signal(number, caught)
        else:
            loop.add_signal_handler(number, caught, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            if sys.platform != "win32":
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def until(task: asyncio.Task[T], stop: Stop, left: Callable[[], float]) -> Cut | None:
    """Run a task until it ends, a stop is requested, or no seconds are left.

    `left` is polled, because the time that later phases need may grow meanwhile.

    Returns:
        None if the task ended by itself, else why it was cut short. Its exception is raised here.
    """
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not task.done() and not stopping.done() and (seconds := left()) > 0:
            await asyncio.wait(
                (task, stopping),
                timeout=min(seconds, _POLL_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait((task, stopping))
    if not task.cancelled():
        task.result()
        return None
    return "interrupted" if stop.asked else "time"
