"""A store that remembers whether its last writes worked.

Rule: only a write that failed makes a collector unready. A read that fails is an error of that
request, which every client may cause with a strange one.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from collector.store import DayLimits, Operation, Store, StoreUnavailable

T = TypeVar("T")

UNHEALTHY_SECONDS = 60.0


class WatchedStore:
    """A store, and whether it refused a write lately."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.collector_id = store.collector_id
        self.shared = store.shared
        self._store = store
        self._clock = clock
        self._unhealthy_until = 0.0

    @property
    def unhealthy(self) -> bool:
        """Whether a write failed within the last minute and none has worked since.

        Reads alone do not show a full disk.
        """
        return self._clock() < self._unhealthy_until

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation that changes nothing."""
        return await self._store.read(operation, slow=slow)

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Run an operation atomically, and note whether that worked."""
        try:
            result = await self._store.write(operation, alone=alone)
        except StoreUnavailable:
            self._unhealthy_until = self._clock() + UNHEALTHY_SECONDS
            raise
        self._unhealthy_until = 0.0
        return result

    async def scrub(self) -> bool:
        """Overwrite what the engine keeps of deleted rows."""
        return await self._store.scrub()

    async def shrink(self) -> bool:
        """Give freed space back."""
        return await self._store.shrink()

    async def drop_days(self, limits: DayLimits) -> int:
        """Drop the days that are due."""
        return await self._store.drop_days(limits)

    async def compact(self) -> None:
        """Give all freed space back."""
        await self._store.compact()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()
