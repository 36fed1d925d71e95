"""Keep the stored events up to date with the looks: the only module here that reads and writes.

Rule: places (a target on a network) whose looks changed are noted in the transaction that stores
the looks. Each pass makes the events of these places anew from the looks of the last `HORIZON`,
adds what detection over time found there, and stores what changed. What a pass did not finish is
still noted, so nothing is lost when the collector is killed.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from collector import conduct
from collector.detection.detected import DetectedEvent
from collector.detection.monitor import BACK, Detections
from collector.events import storage, waves
from collector.events.detected import combined, with_detected
from collector.events.engine import Where, replay
from collector.events.model import LOOKS, Bracket, Look, TargetEvent
from collector.events.reconcile import GONE, StoredEvent, reconcile
from collector.events.storage import DuePlace, PlaceLooks
from collector.events.timeline import Rules
from collector.settings import CollectorSettings
from collector.standing import Standings
from collector.store import Operation, Store, StoreUnavailable, event_places, keys

# Looks older than this change no event. A record that a probe kept for so long is rare.
HORIZON = 45 * waves.DAY
# So many places are read, made and stored at once.
PLACES = 50
# A pass that takes less than this is made whenever something was written.
CHEAP_SECONDS = 0.25
# A slower one is made at most once in this many times its own duration.
PATIENCE = 5.0
OLD_SECONDS = 10.0
LEASE_SECONDS = 60.0
_LEASE = "events"
# A reader waits so long for a pass, unless the last one was expensive; what is made of the events
# for many readers waits longer. A laboratory shows what was sent at once.
READER_SECONDS = 0.05
MAKER_SECONDS = 5.0
# No place is after the last one.
_FIRST: Where = ("", "", -1)
# Raised when the same looks make other events, so that all are made anew once.
VERSION = 2

log = logging.getLogger("qazcollector")


class _LeaseLostError(Exception):
    """Another collector keeps the events now."""


class EventKeeper:
    """One collector's part in keeping the events of its store."""

    def __init__(
        self,
        settings: CollectorSettings,
        store: Store,
        detections: Callable[[], Awaitable[Detections]],
        *,
        category: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._store = store
        self._detections = detections
        self._category = category
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._lock = asyncio.Lock()
        self._written, self._read = 0, -1
        self._made_at, self._cost = float("-inf"), 0.0
        self._detected: Mapping[Where, Sequence[DetectedEvent]] | None = None
        self._trusted: frozenset[str] | None = None
        self._reading: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Note that something was written."""
        self._written += 1

    async def keep(self) -> None:
        """Bring the events up to date, unless that was done lately and is expensive."""
        if self._is_stale():
            async with self._lock:
                if self._is_stale():
                    await self._pass()

    async def refresh(self) -> None:
        """The same for a reader; where it takes long or fails, stored events are shown."""
        patience = MAKER_SECONDS if self._settings.lab else READER_SECONDS
        await self.refresh_within(patience if self._cost < CHEAP_SECONDS else 0.0)

    async def refresh_within(self, seconds: float) -> None:
        """The same, waiting so many seconds at most."""
        if not self._is_stale():
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._keep_quietly())
        await asyncio.wait([self._reading], timeout=seconds)

    async def close(self) -> None:
        """Wait for the pass under way, and release the lease."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._store.shared:
            with contextlib.suppress(StoreUnavailable):
                await self._store.write(keys.release_lease(_LEASE, self._holder))

    async def _keep_quietly(self) -> None:
        try:
            await self.keep()
        except StoreUnavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("events could not be brought up to date")

    def _is_stale(self) -> bool:
        age = time.monotonic() - self._made_at
        if self._written != self._read:
            return self._cost < CHEAP_SECONDS or age > PATIENCE * self._cost
        return age > max(OLD_SECONDS, PATIENCE * self._cost)

    async def _pass(self) -> None:
        written, began = self._written, time.monotonic()
        detections = await self._detections()
        if await self._holds_lease():
            now = self._clock()
            standings = await self._store.read(
                conduct.read_standings(now, lab=self._settings.lab), slow=True
            )
            await self._note_standings(standings)
            with contextlib.suppress(_LeaseLostError):
                await self._make(now, standings, detections)
        self._read = written
        self._made_at = time.monotonic()
        self._cost = self._made_at - began

    async def _make(self, now: float, standings: Standings, detections: Detections) -> None:
        """Make the events of all places that are due."""
        rules = Rules(self._settings.quorum, standings)
        by_place: dict[Where, list[TargetEvent]] = defaultdict(list)
        for where, event in with_detected(detections.events, now):
            by_place[where].append(event)
        found = _by_place(detections.events)
        for places in await self._changed_places(now, found):
            await self._make_some(places, now, rules, by_place)
        # Not before: a pass that could not store them has to be made again.
        self._detected = found
        # Each at most once in a pass: who uploads all the time must not keep the last from coming.
        last = _FIRST
        while due := await self._store.read(storage.places_due(last, PLACES), slow=True):
            await self._make_some(due, now, rules, by_place)
            last = due[-1].where

    async def _changed_places(
        self, now: float, detected: Mapping[Where, Sequence[DetectedEvent]]
    ) -> Sequence[Sequence[DuePlace]]:
        """The places where something else was detected than before; at first all places of it."""
        before = self._detected
        if before is None:
            known = await self._store.read(storage.detected_places(now - BACK), slow=True)
            wanted = sorted({*detected, *known})
        else:
            every = sorted({*detected, *before})
            wanted = [one for one in every if detected.get(one) != before.get(one)]
        found = await self._store.read(storage.places(wanted), slow=True)
        return [found[at : at + PLACES] for at in range(0, len(found), PLACES)]

    async def _make_some(
        self,
        places: Sequence[DuePlace],
        now: float,
        rules: Rules,
        detected: Mapping[Where, Sequence[TargetEvent]],
    ) -> None:
        """Make the events of some places; one that cannot be made keeps no other from it."""
        try:
            await self._make_together(places, now, rules, detected)
        except (StoreUnavailable, _LeaseLostError):
            raise
        except Exception:
            if len(places) == 1:
                log.exception("the events of a place could not be made")
                return
            for one in places:
                await self._make_some([one], now, rules, detected)

    async def _make_together(
        self,
        places: Sequence[DuePlace],
        now: float,
        rules: Rules,
        detected: Mapping[Where, Sequence[TargetEvent]],
    ) -> None:
        read = await self._store.read(storage.read_places(places, now - HORIZON), slow=True)
        made = await asyncio.to_thread(_made, read, now, rules, detected)
        changed = [replace(one, category=self._category(one.event.target)) for one in made]
        if not await self._store.write(self._stored(read, changed, rules)):
            raise _LeaseLostError

    def _stored(
        self, read: Sequence[PlaceLooks], changed: Sequence[StoredEvent], rules: Rules
    ) -> Operation[bool]:
        """Store what changed, unless another collector keeps the events meanwhile."""
        if not (yield from self._lease()):
            return False
        yield from storage.keep(read, changed, rules.standings.is_trusted)
        yield from _in_waves(changed)
        return True

    async def _note_standings(self, standings: Standings) -> None:
        """Have events made anew where keys count now that did not, or the reverse."""
        trusted = standings.trusted
        if trusted == self._trusted:
            return
        basis = _basis(self._settings, trusted)
        await self._store.write(_note_basis(basis, self._trusted, trusted))
        self._trusted = trusted

    async def _holds_lease(self) -> bool:
        """Whether this collector is the one that keeps the events of its store."""
        return await self._store.write(self._lease()) if self._store.shared else True

    def _lease(self) -> Operation[bool]:
        if not self._store.shared:
            return True
        now = self._clock()
        lease = keys.take_lease(_LEASE, self._holder, now=now, seconds=LEASE_SECONDS)
        return (yield from lease)


def _by_place(events: Iterable[DetectedEvent]) -> Mapping[Where, Sequence[DetectedEvent]]:
    found: dict[Where, list[DetectedEvent]] = defaultdict(list)
    for one in events:
        found[one.target, one.country, one.asn].append(one)
    return dict(found)


def new_id() -> str:
    """A short, url-safe id of an event or wave."""
    return secrets.token_hex(6)


def _basis(settings: CollectorSettings, trusted: Iterable[str]) -> str:
    """A digest of what decides about events, apart from looks."""
    text = "\n".join((str(VERSION), str(settings.quorum), *sorted(trusted)))
    return hashlib.sha256(text.encode()).hexdigest()


def _note_basis(
    basis: str, before: frozenset[str] | None, trusted: frozenset[str]
) -> Operation[None]:
    known = yield from keys.noted("events_basis")
    if known == basis:
        return
    yield from keys.note("events_basis", basis)
    if before is None:
        yield from event_places.all_due()
    else:
        yield from event_places.due_by_key(before ^ trusted)


def _made(
    places: Iterable[PlaceLooks],
    now: float,
    rules: Rules,
    detected: Mapping[Where, Sequence[TargetEvent]],
) -> list[StoredEvent]:
    """The events of these places that are new or changed."""
    changed: list[StoredEvent] = []
    for place in places:
        where = place.place.where
        # Strangers who say that everything is blocked must not have everything computed anew.
        shown = replay(place.looks, rules) if place.troubled(rules.standings.is_trusted) else []
        told = combined(shown, detected.get(where, ()), national=not where[2])
        changed += reconcile(
            place.known,
            told,
            now=now,
            since=partial(_since, place, now),
            new_id=new_id,
            why=f"set aside: {'; '.join(place.reasons)}" if place.reasons else GONE,
            over=partial(_over, place.looks, rules),
        )
    return changed


def _since(place: PlaceLooks, now: float, stored: StoredEvent) -> float:
    """From when on all that may show an event is there."""
    if stored.event.sources != (LOOKS,):
        return max(place.since, now - BACK + waves.DAY)
    return place.since


def _over(looks: Iterable[Look], rules: Rules, stored: StoredEvent) -> Bracket | None:
    """When an event ended whose own looks are gone, by the looks since it was last seen."""
    event = stored.event
    later = [one for one in looks if one.at > event.last_seen_at]
    signs = [(one, one.sign(event.kind)) for one in later]
    if any(sign for _, sign in signs):
        return None
    fine = [one for one, sign in signs if sign is False]
    speakers = set(rules.standings.speakers({one.key for one in fine}, event.place[2:]))
    said = [one for one in fine if one.key in speakers]
    if len(speakers) < rules.quorum or len(said) <= rules.quorum:
        return None
    return Bracket(event.last_seen_at, said[0].at)


def _in_waves(changed: Iterable[StoredEvent]) -> Operation[None]:
    """Store the waves that follow from what changed."""
    fresh = {one.id: one.event.began.by for one in changed if waves.may_begin(one)}
    for first, last in _periods(fresh.values()):
        near = yield from storage.began_between(first, last)
        yield from storage.put(waves.with_waves(near, new_id, fresh))


def _periods(instants: Iterable[float]) -> list[tuple[float, float]]:
    """The periods around instants in which events may be in a wave with those."""
    found: list[tuple[float, float]] = []
    for at in sorted(instants):
        first, last = at - waves.REACH, at + waves.REACH
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found
