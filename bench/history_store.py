"""A generated history through a real store and the keeper of its events, as a collector has it.

Looks arrive in portions, some of them days late; the keeper is restarted now and then. What is
stored in the end is compared with one replay of all looks.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from bench.history_world import DAY, HOUR
from collector.detection.monitor import Detections
from collector.events import storage
from collector.events.keeper import EventKeeper
from collector.events.model import KINDS, Look
from collector.events.reconcile import StoredEvent
from collector.settings import CollectorSettings
from collector.store import Execute, Operation, Store, event_places, migrate_store, open_store
from collector.store.rollup import hour_of

if TYPE_CHECKING:
    from collector.detection.detected import DetectedEvent

# One look in fifty waits in a spool, for up to three days.
LATE, LATEST = 0.02, 3 * DAY
_CONCLUSIVE = frozenset({*KINDS, "ok", "refused"})


class StoredHistory:
    """A store of looks and events, whose clock is set by hand.

    Attributes:
        detected: What detection over time is to have found.
    """

    def __init__(self, store: Store, settings: CollectorSettings) -> None:
        self.detected: tuple[DetectedEvent, ...] = ()
        self.now = 0.0
        self.store = store
        self._settings = settings
        self.restart()

    def restart(self) -> None:
        """Begin with a new keeper, as after a restart of the collector."""
        self._keeper = EventKeeper(
            self._settings,
            self.store,
            self._detections,
            category=lambda _: "NEWS",
            clock=lambda: self.now,
        )

    async def add(self, looks: Iterable[Look], *, now: float) -> None:
        """Store looks and bring the events up to date."""
        self.now = now
        await self.store.write(_stored(list(looks)))
        await self.refresh()

    async def refresh(self) -> None:
        """Bring the events up to date."""
        self._keeper.touch()
        # However slow this machine is now, each change is looked at.
        with patch("collector.events.keeper.CHEAP_SECONDS", inf):
            await self._keeper.keep()

    async def events(self) -> list[StoredEvent]:
        """Every stored event, without its history."""
        return await self.store.read(storage.all_events())

    async def _detections(self) -> Detections:
        return Detections(events=self.detected)


@asynccontextmanager
async def stored_history(url: str, settings: CollectorSettings) -> AsyncIterator[StoredHistory]:
    """An empty store at this URL, and what keeps its events."""
    await migrate_store(url)
    store = await open_store(url)
    try:
        yield StoredHistory(store, settings)
    finally:
        await store.close()


def _stored(looks: Sequence[Look]) -> Operation[None]:
    votes = [one for one in looks if one.target and one.outcome in _CONCLUSIVE]
    lines = [one for one in looks if not one.target]
    yield Execute("vote_put", [_vote(one) for one in votes])
    yield Execute("series_add", [_series(one) for one in lines])
    bad = [_place(one) for one in looks if one.outcome in KINDS]
    yield from event_places.note_looks(bad, [_place(one) for one in (*votes, *lines)])


def _place(look: Look) -> event_places.Place:
    return look.target, look.country, look.asn


def _vote(look: Look) -> dict[str, object]:
    return {**_row(look), "hour": hour_of(look.at), "stage": "suspected"}


def _series(look: Look) -> dict[str, object]:
    nothing = dict.fromkeys(
        ("rate_target", "rate_reference", "foreign_alive", "domestic_alive"), None
    )
    return {**_row(look), **nothing}


def _row(look: Look) -> dict[str, object]:
    row = look._asdict()
    return {**row, "key_id": row.pop("key")}


def arrivals(looks: Iterable[Look], seed: int) -> list[tuple[float, Look]]:
    """When each look arrives, in that order."""
    draw = random.Random(seed)
    found = [
        (one.at + (draw.uniform(0, LATEST) if draw.random() < LATE else 0.0), one) for one in looks
    ]
    return sorted(found)


async def play(
    looks: Iterable[Look],
    history: StoredHistory,
    *,
    seed: int = 1,
    every: float = 6 * HOUR,
    restarts: int = 4,
) -> None:
    """Let looks arrive, with a pass of the keeper for each portion."""
    portions = [
        [look for _, look in group]
        for _, group in groupby(arrivals(looks, seed), lambda one: one[0] // every)
    ]
    for number, portion in enumerate(portions):
        if restarts and number % max(1, len(portions) // restarts) == 1:
            history.restart()
        await history.add(portion, now=max(one.at for one in portion) + every)


def run(looks: Iterable[Look], folder: Path, settings: CollectorSettings) -> list[StoredEvent]:
    """The events that a store has after these looks."""

    async def scenario() -> list[StoredEvent]:
        async with stored_history(f"sqlite:///{folder}/history.sqlite3", settings) as history:
            await play(looks, history)
            return await history.events()

    return asyncio.run(scenario())
