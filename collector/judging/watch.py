"""How much waits to be judged, and whether it moves."""

import asyncio
import time
from collections.abc import Callable

from collector.metrics.instruments import Instruments
from collector.store import Store, backlog
from collector.store.backlog import BacklogState

# Judging that did not move for so long while something waits makes the collector not ready.
STALL_SECONDS = 120.0
EMPTY = BacklogState(0, None, None)


class BacklogWatch:
    """The backlog of one store, as of the last look.

    Attributes:
        state: How much waits. something: Set while anything does.
    """

    def __init__(
        self,
        store: Store,
        instruments: Instruments,
        *,
        limit: int,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = EMPTY
        self.something = asyncio.Event()
        self._store = store
        self._instruments = instruments
        self._limit = limit
        self._changed = changed
        self._clock = clock
        self._newest: int | None = None
        self._moved = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more is taken."""
        return self.state.records >= self._limit

    @property
    def stalled(self) -> bool:
        """Whether something waits and nothing has been judged for two minutes."""
        return bool(self.state.records) and time.monotonic() - self._moved > STALL_SECONDS

    def added(self, records: int) -> None:
        """Note that a batch was taken; it is looked at in detail later."""
        if not self.state.records:
            self._moved = time.monotonic()
        self.state = self.state._replace(records=self.state.records + records)
        self._instruments.backlog.set(self.state.records)
        if records:
            self.something.set()

    def moved(self) -> None:
        """Note that a worker is judging."""
        self._moved = time.monotonic()

    async def look(self) -> BacklogState:
        """Read how much waits; call `changed` when records were stored since the last look."""
        before = self.state
        newest = await self._store.read(backlog.newest_seq())
        self.state = found = await self._store.read(backlog.state())
        if found.oldest != before.oldest or not found.records:
            self.moved()
        if newest != self._newest:
            self._newest = newest
            self._changed()
        if not found.records:
            self.something.clear()
        self._instruments.backlog.set(found.records)
        age = 0.0 if found.since is None else max(0.0, self._clock() - found.since)
        self._instruments.backlog_seconds.set(age)
        return found


class Progress:
    """Work that is under way, and whether any of it ends: a context for each piece."""

    def __init__(self) -> None:
        self._number = 0
        self._moved = time.monotonic()

    def __enter__(self) -> None:
        if not self._number:
            self._moved = time.monotonic()
        self._number += 1

    def __exit__(self, *_: object) -> None:
        self._number -= 1
        self._moved = time.monotonic()

    @property
    def stalled(self) -> bool:
        """Whether something is under way and nothing has ended for two minutes."""
        return bool(self._number) and time.monotonic() - self._moved > STALL_SECONDS
