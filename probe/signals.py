"""Being asked to stop: the first signal ends the measuring, the second ends the program.

After the first one what was measured is still judged, written and spooled; it is the same path as
running out of time.
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

_ASK_AGAIN = 0.2
# A terminal that is closed sends SIGHUP, where systems have it; `nohup` has it ignored.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Stop:
    """Whether somebody wants this run to end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def asked(self) -> bool:
        """Somebody does."""
        return self._event.is_set()

    def ask(self) -> None:
        """Ask for the end."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Sleep until asked, or for so many seconds; say whether it was the asking."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


@contextmanager
def signals(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into `stop.ask()`, and let the second one kill."""
    loop = asyncio.get_running_loop()

    def caught(number: int, _frame: FrameType | None = None) -> None:
        if stop.asked:
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop.ask)

    before = {number: signal.getsignal(number) for number in SIGNALS if _heeded(number)}
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


def _heeded(number: signal.Signals) -> bool:
    """Whoever started us may have wanted us to outlive the terminal."""
    return number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN


async def until(task: asyncio.Task[T], stop: Stop, left: Callable[[], float]) -> Cut | None:
    """Let a task run until it ends, somebody asks to stop, or no seconds are left.

    `left` is asked again and again: what a later phase needs may grow while this one runs.

    Returns:
        None when it ended by itself, else what cut it short. Its own exception is raised here.
    """
    watcher = asyncio.ensure_future(stop.wait())
    try:
        while not task.done() and not watcher.done() and (seconds := left()) > 0:
            await asyncio.wait(
                (task, watcher),
                timeout=min(seconds, _ASK_AGAIN),
                return_when=asyncio.FIRST_COMPLETED,
            )
    finally:
        watcher.cancel()
        task.cancel()
        await asyncio.wait((task, watcher))
    if not task.cancelled():
        task.result()
        return None
    return "interrupted" if stop.asked else "time"
