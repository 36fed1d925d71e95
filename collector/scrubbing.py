"""After an erasure: have the engine overwrite what it still keeps of the deleted rows.

A reader that began before the erasure may prevent that for some seconds. So it is tried again until
it works, and the erasing request waits for a moment only.
"""

import asyncio

from collector.store import Store, StoreUnavailable

AGAIN_SECONDS = 0.25


class Scrubbing:
    """The scrubbing of one store: one attempt at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due = False
        self._task: asyncio.Task[None] | None = None

    async def scrub(self, wait: float) -> None:
        """Begin, and wait up to so many seconds until nothing is left."""
        self._due = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._scrub())
        await asyncio.wait([self._task], timeout=wait)

    async def close(self) -> None:
        """Stop; closing the store empties its log too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _scrub(self) -> None:
        while self._due:
            self._due = False
            if not await self._attempt():
                self._due = True
                await asyncio.sleep(AGAIN_SECONDS)

    async def _attempt(self) -> bool:
        try:
            return await self._store.scrub()
        except StoreUnavailable:
            return False
