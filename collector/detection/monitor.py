"""What is alarming now: heartbeats and series read from the store, and what they amount to.

Rule: the alarms of silence go forward with the clock, five minutes a step, and every key's beats
are read once; what probes tell afterwards is weighed anew at each look. A look is made when
something was written or five minutes have passed, and never on the loop.
"""

import asyncio
import time
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.detection import cusum, retrospective, shutdown, throttling
from collector.detection.outage import HISTORY, Outage, Replay, seen
from collector.detection.quorum import Event, Vote, detect
from collector.detection.shutdown import Alarm, Network, Watched
from collector.detection.throttling import Point
from collector.settings import Settings
from collector.store import Operation, Store, heartbeats
from collector.store.heartbeats import HOUR, LISTENER, SLOT, HeartbeatHour
from collector.store.interface import Query

# How far back alarms are looked for; before that they learn habits.
BACK = 7 * 86_400.0
_DAY = 86_400.0
# Read at a time, so that weeks of many probes are never in memory twice.
PORTION = 4 * 86_400.0
# A look that takes less than this is made whenever something was written.
CHEAP_SECONDS = 0.25
# A dear look is made no more often than this many times its own length.
PATIENCE = 5.0
_CUTS: Mapping[str, str] = {"access.whitelist": "whitelist", "access.foreign_cut": "foreign_cut"}
_KINDS: Mapping[str, str] = {"whitelist": "whitelist", "foreign_cut": "shutdown"}


@dataclass(frozen=True, slots=True)
class Found:
    """What alarms amount to.

    Attributes:
        events: Shutdowns, white lists and throttling that are not a quorum of votes on a target.
        unconfirmed: Networks that fell silent, and nothing else says so yet.
        too_few: Probes of networks that have too few of them to say anything.
    """

    events: tuple[Event, ...] = ()
    unconfirmed: tuple[Alarm, ...] = ()
    too_few: Mapping[Network, int] = field(default_factory=dict)

    def active(self) -> dict[tuple[str, str, int], int]:
        """Events that last, counted by (kind, country, ASN)."""
        counts: dict[tuple[str, str, int], int] = defaultdict(int)
        for one in self.events:
            if one.ended_at is None:
                counts[one.kind, one.country, one.asn] += 1
        return dict(counts)


class Monitor:
    """One collector's view of heartbeats and series."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._turn = asyncio.Lock()
        self._beats: dict[str, array[float]] = {}
        self._homes: dict[str, Network] = {}
        self._read_to: float | None = None
        self._day = -1.0
        self._replays: dict[Network, Replay] = {}
        self._found = Found()
        self._written = 0
        self._looked = -1
        self._looked_at = float("-inf")
        self._slot = -1
        self._cost = 0.0
        self._dark: Sequence[Event] = ()
        self._grounds: object = None

    def touch(self) -> None:
        """Something was written that may matter here."""
        self._written += 1

    def forget(self) -> None:
        """A key was erased: read everything anew."""
        self._day = -1.0
        self.touch()

    async def found(self) -> Found:
        """What is alarming, as of now or a moment ago."""
        if self._stale():
            async with self._turn:
                if self._stale():
                    await self._look()
        return self._found

    def _stale(self) -> bool:
        if int(self._clock() // SLOT) != self._slot:
            return True
        if self._written == self._looked:
            return False
        age = time.monotonic() - self._looked_at
        return self._cost < CHEAP_SECONDS or age > PATIENCE * self._cost

    async def _look(self) -> None:
        began, written, now = time.monotonic(), self._written, self._clock()
        await self._catch_up(now)
        told = await self._store.read(heartbeats.told_since(now - HISTORY), slow=True)
        points = await self._store.read(_points(now - cusum.HISTORY - BACK), slow=True)
        self._found = await asyncio.to_thread(self._weigh, told, points, now)
        self._looked, self._slot = written, int(now // SLOT)
        self._looked_at = time.monotonic()
        self._cost = self._looked_at - began

    async def _catch_up(self, now: float) -> None:
        """Take in what came since the last look, some days at a time.

        Once a day everything is read anew: who was erased, or is long gone, is forgotten.
        """
        if now // _DAY != self._day:
            self._day, self._read_to = now // _DAY, None
            self._beats, self._homes = {}, {}
        since = now - HISTORY - BACK if self._read_to is None else self._read_to
        for times in self._beats.values():
            del times[bisect_left(times, since) :]
        while since <= now:
            until = (since + PORTION) // HOUR * HOUR
            fresh = await self._store.read(heartbeats.beats_since(since, until), slow=True)
            await asyncio.to_thread(self._learn, fresh)
            since = until
        # The hour before too: another collector of this store may have been slow to write.
        self._read_to = (now // HOUR - 1) * HOUR

    def _weigh(self, told: Sequence[HeartbeatHour], points: Sequence[Point], now: float) -> Found:
        self._advance(now)
        watched = Watched(
            homes=self._homes,
            beats=self._beats,
            cut=_spans(told, "cut"),
            missed=_spans(told, "missed"),
        )
        quorum, window = self._settings.quorum, self._settings.window
        least = min(2, quorum)
        alarms = shutdown.weigh(self._alarms(), watched, _looks(points), least=least)
        found = [
            *shutdown.shutdowns(alarms),
            *self._darknesses(watched, told, now),
            *cut_off(points, now=now, window=window, quorum=quorum),
            *throttling.slowed(points, now=now, window=window, probes=least),
        ]
        present = {key for key, times in self._beats.items() if seen(times, now)}
        return Found(
            events=tuple(sorted(found, key=lambda one: one.started_at, reverse=True)),
            unconfirmed=tuple(one for one in alarms if not one.sources),
            too_few=shutdown.too_few(self._homes, present),
        )

    def _darknesses(
        self, watched: Watched, told: Sequence[HeartbeatHour], now: float
    ) -> Sequence[Event]:
        """What was told afterwards: weighed anew when more was told, or an alarm began or ended."""
        alarms = self._alarms()
        grounds = (list(told), {place: list(of) for place, of in alarms.items()}, now // _DAY)
        if grounds != self._grounds:
            self._grounds = grounds
            self._dark = retrospective.told(watched, alarms, since=now - BACK)
        return self._dark

    def _learn(self, fresh: Iterable[HeartbeatHour]) -> None:
        unsorted: set[str] = set()
        for beat in fresh:
            found = heartbeats.instants(beat.hour, beat.heard)
            if not found:
                continue
            times = self._beats.setdefault(beat.key_id, array("d"))
            if times and times[-1] > found[0]:
                unsorted.add(beat.key_id)  # on two networks in one hour
            times.extend(found)
            if beat.key_id != LISTENER:
                self._homes[beat.key_id] = (beat.country, beat.asn)
        for key in unsorted:
            self._beats[key] = array("d", sorted(self._beats[key]))

    def _advance(self, now: float) -> None:
        own = self._beats.get(LISTENER, array("d"))
        start = ((now - BACK) // SLOT + 1) * SLOT
        for place, keys in shutdown.groups(self._homes).items():
            replay = self._replays.setdefault(place, Replay(start))
            replay.advance(
                {key: self._beats[key] for key in keys},
                now,
                lambda at: shutdown.listening(own, at),
            )

    def _alarms(self) -> dict[Network, list[Outage]]:
        return {place: replay.alarms for place, replay in self._replays.items()}


def cut_off(points: Iterable[Point], *, now: float, window: float, quorum: int) -> list[Event]:
    """White lists and cut borders that probes measured: a quorum of looks on one network."""
    votes = [
        Vote(one.key_id, "", one.country, one.asn, said, "", one.at, one.id, one.experiment)
        for one in points
        if one.experiment == "connectivity" and (said := _said(one)) is not None
    ]
    found = detect(votes, now=now, window=window, quorum=quorum, kinds=_KINDS)
    return [one._replace(sources=("connectivity",)) for one in found]


def _said(point: Point) -> str | None:
    if point.outcome == "ok":
        return "ok"
    named = [_CUTS[word] for word in point.mechanisms.split() if word in _CUTS]
    return named[0] if named and point.outcome == "blocked" else None


def _looks(points: Iterable[Point]) -> dict[str, list[float]]:
    """When probes measured themselves that they were cut off."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in points:
        if one.experiment == "connectivity" and _said(one) not in {None, "ok"}:
            found[one.key_id].append(one.at)
    return found


def _spans(told: Iterable[HeartbeatHour], what: str) -> dict[str, list[tuple[float, float]]]:
    """Five-minute places as times, joined where they touch."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for beat in told:
        spans = found[beat.key_id]
        for middle in heartbeats.instants(beat.hour, getattr(beat, what)):
            begin, end = middle - SLOT / 2, middle + SLOT / 2
            if spans and spans[-1][1] == begin:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
    return found


def _points(since: float) -> Operation[list[Point]]:
    rows = yield Query("series_since", {"since": since})
    return [Point(*row) for row in rows]
