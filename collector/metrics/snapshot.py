"""The large families as they are now: computed off the loop, kept, and never stale for long.

Rule: who scrapes after a record was acknowledged sees it, as long as a look at the store is cheap.
When it has become dear, the last answer is given at once and the next one is made meanwhile.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

from collector.detection.monitor import Found, Monitor
from collector.metrics.exposition import Text, encode
from collector.metrics.families import Snapshot, families, look
from collector.metrics.instruments import Instruments
from collector.settings import Settings
from collector.store import Store, StoreUnavailable, keys
from collector.target_labels import TargetLabels

# A look that takes less than this is made whenever something has changed.
CHEAP_SECONDS = 0.25
# A dear one is made no more often than this many times its own length...
PATIENCE = 5.0
# ...and even an unchanged store is looked at again: the window moves, others write too.
OLD_SECONDS = 10.0
# Whoever falls silent for so long leaves the word to another.
LEASE_SECONDS = 60.0
_LEASE = "metrics"
_SILENT = Text(b"", 0, 0)


class Snapshots:
    """One collector's view of the store, and its encoded families."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        listed: TargetLabels,
        instruments: Instruments,
        *,
        watch: Monitor,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._store = store
        self._listed = listed
        self._instruments = instruments
        self._watch = watch
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._turn = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._written = 0
        self._read = -1
        self._made_at = float("-inf")
        self._cost = 0.0
        self._text = _SILENT
        self._view: Snapshot | None = None
        instruments.series_limit.set(settings.max_series)

    def touch(self) -> None:
        """Something was written."""
        self._written += 1

    async def text(self) -> bytes:
        """The families, encoded."""
        await self._freshen()
        return self._text.body

    async def view(self) -> Snapshot:
        """The rows that the families are made of."""
        await self._freshen()
        if self._view is None:
            raise RuntimeError("no view was made")
        return self._view

    async def close(self) -> None:
        """Wait for what is being made, and let another collector speak."""
        if self._background is not None:
            await asyncio.wait([self._background])
        if self._store.shared:
            with contextlib.suppress(StoreUnavailable):
                await self._store.write(keys.drop_lease(_LEASE, self._holder))

    async def _freshen(self) -> None:
        if not self._stale():
            return
        if self._cost < CHEAP_SECONDS or self._view is None:
            async with self._turn:
                if self._stale():
                    await self._make()
        elif self._background is None or self._background.done():
            self._background = asyncio.create_task(self._make())

    def _stale(self) -> bool:
        age = time.monotonic() - self._made_at
        if self._written != self._read:
            return self._cost < CHEAP_SECONDS or age > PATIENCE * self._cost
        return age > max(OLD_SECONDS, PATIENCE * self._cost)

    async def _make(self) -> None:
        began, written = time.monotonic(), self._written
        view = await self._store.read(look(self._clock() - self._settings.window), slow=True)
        # What the store as a whole says is said by one of the collectors that share it.
        text = _SILENT
        if await self._speaks():
            text = await asyncio.to_thread(self._encode, view, await self._watch.found())
        self._view, self._text, self._read = view, text, written
        self._made_at = time.monotonic()
        self._cost = self._made_at - began
        self._instruments.series.set(text.shown)
        self._instruments.series_dropped.set(text.dropped)
        self._instruments.snapshot_seconds.set(self._cost)

    async def _speaks(self) -> bool:
        """Whether this collector is the one that exports the families of its store."""
        if not self._store.shared:
            return True
        lease = keys.take_lease(_LEASE, self._holder, now=self._clock(), seconds=LEASE_SECONDS)
        return await self._store.write(lease)

    def _encode(self, view: Snapshot, alarms: Found) -> Text:
        quorum = self._settings.quorum
        found = families(view, self._listed, quorum, alarms.active())
        return encode(found, self._settings.max_series)
