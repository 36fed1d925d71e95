"""A cached snapshot of the store and the metric families made of it, encoded in a thread.

Rule: a scrape after an acknowledgement shows the record, as long as a snapshot is cheap to make.
When it is expensive, the last one is returned at once and the next one is made in the background.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from collector.care import without_rare_regions
from collector.detection.monitor import Detections, Monitor
from collector.events.keeper import MAKER_SECONDS, EventKeeper
from collector.metrics.counting import Snapshot, read_rows, snapshot_of
from collector.metrics.exposition import Exposition, encode
from collector.metrics.families import families
from collector.metrics.instruments import Instruments
from collector.settings import CollectorSettings
from collector.store import Store, StoreUnavailable, keys
from collector.target_labels import TargetLabels

# A snapshot that takes less than this is made whenever something was written.
CHEAP_SECONDS = 0.25
# A slower one is made at most once in this many times its own duration.
PATIENCE = 5.0
# Without a write of ours too: the window moves, and other collectors write to a shared store.
OLD_SECONDS = 10.0
# A reader of a page waits so long for the next one, and is then given the last one. A laboratory
# shows what was sent at once.
READER_SECONDS = 0.05
# A collector that has not renewed its lease for so long loses it to another one.
LEASE_SECONDS = 60.0
_LEASE = "metrics"
_EMPTY = Exposition(b"", 0, 0)


class SnapshotCache:
    """One collector's newest snapshot of the store, and its encoded families."""

    def __init__(
        self,
        settings: CollectorSettings,
        store: Store,
        labels: TargetLabels,
        instruments: Instruments,
        *,
        monitor: Monitor,
        events: EventKeeper,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._store = store
        self._labels = labels
        self._instruments = instruments
        self._monitor = monitor
        self._events = events
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._written = 0
        self._read = -1
        self._made_at = float("-inf")
        self._cost = 0.0
        self._exposition = _EMPTY
        self._snapshot: Snapshot | None = None
        instruments.series_limit.set(settings.max_series)

    def touch(self) -> None:
        """Note that something was written."""
        self._written += 1
        self._events.touch()

    @property
    def revision(self) -> int:
        """A number that is another one after each write."""
        return self._written

    async def exposition(self) -> bytes:
        """The families in Prometheus's text format."""
        await self._refresh()
        return self._exposition.body

    @property
    def newest(self) -> bytes:
        """The families as they were made last, which may be long ago."""
        return self._exposition.body

    async def snapshot(self) -> Snapshot:
        """The rows that the families are made of, for a page: it waits only a moment for newer."""
        if self._snapshot is None or self._settings.lab:
            await self._refresh()
        elif self._is_stale():
            self._begin()
            await self._wait_a_moment()
        if self._snapshot is None:
            raise RuntimeError("no snapshot was made")
        return self._snapshot

    async def keep(self) -> None:
        """Make the next one if it is due, so that the first reader after a while sees no old one.

        Where no reader ever asked none is made.
        """
        if self._snapshot is not None and self._is_stale():
            self._begin()
            if self._background is not None:
                await asyncio.wait([self._background])
                self._background.result()

    async def close(self) -> None:
        """Wait for the snapshot in the making, and release the lease."""
        if self._background is not None:
            await asyncio.wait([self._background])
        if self._store.shared:
            with contextlib.suppress(StoreUnavailable):
                await self._store.write(keys.release_lease(_LEASE, self._holder))

    async def _refresh(self) -> None:
        if not self._is_stale():
            return
        if self._cost < CHEAP_SECONDS or self._snapshot is None:
            async with self._lock:
                if self._is_stale():
                    await self._make()
        else:
            self._begin()

    def _begin(self) -> None:
        """Have the next one made in the background, unless that is under way."""
        if not self._lock.locked() and (self._background is None or self._background.done()):
            self._background = asyncio.create_task(self._make_alone())

    async def _wait_a_moment(self) -> None:
        """Wait for the one in the making, if it is likely to be there soon."""
        if self._background is not None and self._cost < CHEAP_SECONDS:
            await asyncio.wait([self._background], timeout=READER_SECONDS)
            if self._background.done():
                self._background.result()

    async def _make_alone(self) -> None:
        async with self._lock:
            await self._make()

    def _is_stale(self) -> bool:
        age = time.monotonic() - self._made_at
        if self._written != self._read:
            return self._cost < CHEAP_SECONDS or age > PATIENCE * self._cost
        return age > max(OLD_SECONDS, PATIENCE * self._cost)

    async def _make(self) -> None:
        began, written = time.monotonic(), self._written
        # First this, so that the counts of events belong to the records that are counted.
        await self._events.refresh_within(MAKER_SECONDS)
        now = self._clock()
        operation = read_rows(now - self._settings.window, now=now, lab=self._settings.lab)
        rows = await self._store.read(operation, slow=True)
        snapshot = await asyncio.to_thread(snapshot_of, rows)
        active = without_rare_regions(snapshot.active, self._settings.public_min_probes)
        snapshot = replace(snapshot, active=active)
        # Of the collectors that share a store only one exports the families of the whole store.
        exposition = _EMPTY
        holds = await self._holds_lease()
        self._instruments.lease.set(holds)
        if holds:
            detections = await self._monitor.detections()
            exposition = await asyncio.to_thread(self._encode, snapshot, detections)
        self._snapshot, self._exposition, self._read = snapshot, exposition, written
        self._made_at = time.monotonic()
        self._cost = self._made_at - began
        self._instruments.series.set(exposition.shown)
        self._instruments.series_dropped.set(exposition.dropped)
        self._instruments.snapshot_seconds.set(self._cost)

    async def _holds_lease(self) -> bool:
        """Whether this collector is the one that exports the families of its store."""
        if not self._store.shared:
            return True
        lease = keys.take_lease(_LEASE, self._holder, now=self._clock(), seconds=LEASE_SECONDS)
        return await self._store.write(lease)

    def _encode(self, snapshot: Snapshot, detections: Detections) -> Exposition:
        quorum = self._settings.quorum
        found = families(snapshot, self._labels, quorum, detections.heard)
        return encode(found, self._settings.max_series)
