"""Judging in the collector's own process (`--workers 0`): for tiny machines and laboratories.

Rule: it judges as a worker does, but nothing limits its time and memory.
"""

import asyncio
import contextlib
import logging

from collector.judging.work import Judging
from collector.store import StoreUnavailable

POLL_SECONDS = 1.0

log = logging.getLogger("qazcollector")


class InProcess:
    """A task that judges what waits."""

    pids: tuple[int, ...] = ()

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._judge_all())

    def wake(self) -> None:
        """Tell the task that something waits."""
        self._woken.set()

    def reload(self) -> None:
        """The labels of this process are used."""

    async def close(self) -> None:
        """End the task after the records in hand."""
        self._judging.stopping = True
        self.wake()
        if self._task is not None:
            await self._task
        with contextlib.suppress(StoreUnavailable):
            await self._judging.stop()

    async def _judge_all(self) -> None:
        while not self._judging.stopping:
            self._woken.clear()
            try:
                found = await self._judging.step()
            except StoreUnavailable as error:
                log.warning("%s", error)
                found = False
            except Exception:
                log.exception("bug while judging")
                found = False
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
