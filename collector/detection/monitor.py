"""The events that are active now, from the heartbeats and series in the store.

Rule: outages advance with the clock in steps of five minutes, and each key's heartbeats are read
once; what probes report afterwards is evaluated anew on each refresh. A refresh is made when
something was written or five minutes have passed, and its computing runs in a thread.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from collector import conduct
from collector.detection import cusum, presence, retrospective, shutdown, throttling
from collector.detection.detected import DetectedEvent
from collector.detection.heartbeat_times import (
    HeartbeatTimes,
    advance,
    measured_cuts,
    reported_spans,
)
from collector.detection.outage import HISTORY, PROBES_LEAST, Replay, seen
from collector.detection.shutdown import HeartbeatHistory, NetworkKey, ShutdownCandidate
from collector.detection.throttling import SeriesPoint
from collector.settings import CollectorSettings
from collector.standing import EVERYBODY, Standings
from collector.store import Operation, Store, exclusions, heartbeats
from collector.store.heartbeats import HOUR, SLOT, HeartbeatHour
from collector.store.interface import Query

# Events are searched this far back; the time before is only for learning habits.
BACK = 7 * 86_400.0
_DAY = 86_400.0
# Heartbeats are read in portions, so that weeks of many probes are never in memory twice.
PORTION = 4 * 86_400.0
# A refresh that takes less than this is made whenever something was written.
CHEAP_SECONDS = 0.25
# A reader waits so long for a refresh, and is then told what there is.
READER_SECONDS = 0.05
# A slower one is made at most once in this many times its own duration.
PATIENCE = 5.0
# A probe whose newest heartbeat is no older is heard.
HEARD_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Detections:
    """What was detected over time.

    Attributes:
        events: Shutdowns and throttling that no single measurement shows.
        unconfirmed: Outages of networks without a second source.
        too_few: Number of probes of each network that has too few of them for a conclusion.
        heard: Number of trusted probes of each network that were heard in the last 15 minutes.
    """

    events: tuple[DetectedEvent, ...] = ()
    unconfirmed: tuple[ShutdownCandidate, ...] = ()
    too_few: Mapping[NetworkKey, int] = field(default_factory=dict)
    heard: Mapping[NetworkKey, int] = field(default_factory=dict)


class Monitor:
    """One collector's copy of heartbeats and series, and the detections from them."""

    def __init__(
        self, settings: CollectorSettings, store: Store, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._times = HeartbeatTimes()
        self._read_to: float | None = None
        self._day = -1.0
        self._replays: dict[NetworkKey, Replay] = {}
        self._detections = Detections()
        self._refreshing: asyncio.Task[Detections] | None = None
        self._written = 0
        self._refreshed = -1
        self._refreshed_at = float("-inf")
        self._slot = -1
        self._cost = 0.0
        self._now = float("-inf")
        self._assessed = -1
        self._standings = EVERYBODY
        self._aside: Sequence[exclusions.Exclusion] = ()
        self._retrospective: Sequence[DetectedEvent] = ()
        self._retrospective_inputs: object = None

    def touch(self) -> None:
        """Note that something relevant was written."""
        self._written += 1

    def forget(self) -> None:
        """Read everything anew on the next refresh, because a key was erased."""
        self._day = -1.0
        self.touch()

    def _start_over(self) -> None:
        """The clock was ahead: what was computed until then would hold for as long as it was."""
        self._day, self._assessed, self._slot = -1.0, -1, -1
        self._replays, self._retrospective_inputs = {}, None

    @property
    def newest(self) -> Detections:
        """The detections of the last refresh, which may be long ago."""
        return self._detections

    async def detections(self) -> Detections:
        """The detections as of now, or as of the last refresh if that is recent enough."""
        if self._is_stale():
            async with self._lock:
                if self._is_stale():
                    await self._refresh()
        return self._detections

    async def told(self) -> Detections:
        """The same for a reader, who waits only a moment for newer ones; in a laboratory longer."""
        if self._slot < 0 or self._settings.lab:
            return await self.detections()
        if self._is_stale():
            if self._refreshing is None or self._refreshing.done():
                self._refreshing = asyncio.create_task(self.detections())
            await asyncio.wait([self._refreshing], timeout=READER_SECONDS)
            if self._refreshing.done():
                self._refreshing.result()
        return self._detections

    def _is_stale(self) -> bool:
        if int(self._clock() // SLOT) != self._slot:
            return True
        if self._written == self._refreshed:
            return False
        age = time.monotonic() - self._refreshed_at
        return self._cost < CHEAP_SECONDS or age > PATIENCE * self._cost

    async def _refresh(self) -> None:
        written, now = self._written, self._clock()
        aside = await self._store.read(exclusions.exclusions())
        if now < self._now - SLOT or aside != self._aside:
            self._start_over()
        self._aside = aside
        self._now = now
        await self._assess(now)
        began = time.monotonic()
        await self._read_heartbeats(now)
        reports = await self._store.read(heartbeats.reported_since(now - HISTORY), slow=True)
        points = await self._store.read(_points(now - cusum.HISTORY - BACK), slow=True)
        # After the data, so that the standing of every key in them is known.
        self._standings = await self._store.read(self._read_standings(now), slow=True)
        self._detections = await asyncio.to_thread(self._detect, reports, points, now)
        self._refreshed, self._slot = written, int(now // SLOT)
        self._refreshed_at = time.monotonic()
        self._cost = self._refreshed_at - began

    async def _assess(self, now: float) -> None:
        """Once an hour compare what keys said with what trusted ones said."""
        if self._settings.lab or now // HOUR == self._assessed:
            return
        standings = await self._store.read(self._read_standings(now), slow=True)
        last = await self._store.read(conduct.last_day())
        assessed = {}
        for day in conduct.days_due(last, now):
            assessed[day] = await conduct.assess_day(self._store, day, standings)
        if any(assessed.values()):
            await self._store.write(conduct.store_days(assessed))
        self._assessed = int(now // HOUR)

    def _read_standings(self, now: float) -> Operation[Standings]:
        return conduct.read_standings(now, lab=self._settings.lab)

    async def _read_heartbeats(self, now: float) -> None:
        """Read the heartbeats since the last refresh, some days at a time.

        Once a day all of them are read anew, which drops erased keys and old heartbeats.
        """
        if now // _DAY != self._day:
            self._day, self._read_to = now // _DAY, None
            self._times = HeartbeatTimes()
        since = now - HISTORY - BACK if self._read_to is None else self._read_to
        self._times.forget(since)
        while since <= now:
            until = (since + PORTION) // HOUR * HOUR
            fresh = await self._store.read(heartbeats.heartbeats_since(since, until), slow=True)
            await asyncio.to_thread(self._times.add, fresh)
            since = until
        # The hour before too: another collector of this store may have been slow to write.
        self._read_to = (now // HOUR - 1) * HOUR

    def _detect(
        self, reports: Sequence[HeartbeatHour], points: Sequence[SeriesPoint], now: float
    ) -> Detections:
        self._advance(now)
        outages = {network: replay.outages for network, replay in self._replays.items()}
        history = HeartbeatHistory(
            networks=self._times.networks,
            beats=self._times.beats,
            cut_off=reported_spans(reports, "cut"),
            unheard=reported_spans(reports, "missed"),
            standings=self._standings,
        )
        # Computed anew only when probes reported more, an outage began or ended, or hourly.
        inputs = (
            list(reports),
            {network: list(of) for network, of in outages.items()},
            now // HOUR,
        )
        if inputs != self._retrospective_inputs:
            self._retrospective_inputs = inputs
            self._retrospective = retrospective.retrospective_shutdowns(
                history, outages, since=now - BACK
            )
        window, least = self._settings.window, min(2, self._settings.quorum)
        candidates = shutdown.shutdown_candidates(
            outages, history, measured_cuts(points), least=least
        )
        found = [
            *shutdown.shutdowns(candidates),
            *self._retrospective,
            *throttling.throttling_events(
                points, now=now, window=window, probes=least, standings=self._standings
            ),
        ]
        present = {key for key, times in self._times.beats.items() if seen(times, now)}
        care = self._settings.presence_min_probes
        few = presence.networks_with_few(
            self._times.networks, self._times.beats, self._standings, now=now, least=care
        )
        # The number of those present would tell when the only one is.
        hidden = {network: n for network, n in few.items() if 0 < n < PROBES_LEAST and network[1]}
        too_few = shutdown.too_few(self._times.networks, present, self._standings)
        heard = self._heard(now)
        return Detections(
            events=tuple(sorted(found, key=lambda one: one.started_at, reverse=True)),
            unconfirmed=tuple(one for one in candidates if not one.sources),
            too_few={one: n for one, n in too_few.items() if one not in few} | hidden,
            heard=heard if self._settings.metrics else presence.without_few(heard, few, care),
        )

    def _heard(self, now: float) -> Mapping[NetworkKey, int]:
        """How many probes of each network that was heard within a day are heard now."""
        found: dict[NetworkKey, int] = {}
        for key, times in self._times.beats.items():
            network = self._times.networks.get(key)
            if network is None or not times or times[-1] < now - _DAY:
                continue
            if self._standings.is_trusted(key):
                found[network] = found.get(network, 0) + (times[-1] > now - HEARD_SECONDS)
        return found

    def _advance(self, now: float) -> None:
        start = ((now - BACK) // SLOT + 1) * SLOT
        advance(self._replays, self._times, self._standings, start=start, end=now)


def _points(since: float) -> Operation[list[SeriesPoint]]:
    rows = yield Query("series_since", {"since": since})
    return [SeriesPoint(*row) for row in rows]
