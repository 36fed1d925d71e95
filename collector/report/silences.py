"""The outages of a report that nothing but heartbeats shows, out of a store.

Rule: they are no findings. An outage that an event tells of is left out here.
"""

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from collector.api.event_messages import EventShown
from collector.detection import shutdown
from collector.detection.heartbeat_times import HeartbeatTimes, advance, reported_spans
from collector.detection.outage import BEFORE, HISTORY, Replay
from collector.detection.shutdown import HeartbeatHistory, NetworkKey, ShutdownCandidate
from collector.report.asked import ReportAsked
from collector.report.findings import OF_LINES, at_of
from collector.standing import Standings
from collector.store import Store, heartbeats
from collector.store.heartbeats import HOUR, SLOT, HeartbeatHour

# Heartbeats are read in portions, so that weeks of many probes are never in memory twice.
_PORTION = 4 * 86_400.0


class SilenceFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which most probes of a network, or of the country (ASN 0), fell silent together.

    Attributes:
        probes: How many fell silent. sources: other evidence of it, where there is no event.
    """

    asn: int
    since: float
    until: float | None
    probes: int
    sources: Sequence[str] = ()

    @property
    def state(self) -> str:
        """How sure it is, as with events."""
        return "suspected" if self.sources else "unconfirmed"


async def read_silences(
    store: Store, asked: ReportAsked, standings: Standings
) -> list[SilenceFinding]:
    """The outages in the time of a report; habits are learned from the weeks before it."""
    times, at = HeartbeatTimes(), asked.since - HISTORY
    while at < asked.until:
        until = min(asked.until, (at + _PORTION) // HOUR * HOUR)
        rows = await store.read(heartbeats.heartbeats_since(at, until), slow=True)
        await asyncio.to_thread(times.add, rows)
        at = until
    reports = await store.read(heartbeats.reported_since(asked.since - BEFORE), slow=True)
    return await asyncio.to_thread(_silences, asked, times, reports, standings)


def _silences(
    asked: ReportAsked,
    times: HeartbeatTimes,
    reports: Iterable[HeartbeatHour],
    standings: Standings,
) -> list[SilenceFinding]:
    replays: dict[NetworkKey, Replay] = {}
    start = (asked.since // SLOT + 1) * SLOT
    advance(replays, times, standings, start=start, end=asked.until)
    rows = list(reports)
    history = HeartbeatHistory(
        networks=times.networks,
        beats=times.beats,
        cut_off=reported_spans(rows, "cut"),
        unheard=reported_spans(rows, "missed"),
        standings=standings,
    )
    outages = {network: replay.outages for network, replay in replays.items()}
    found = shutdown.shutdown_candidates(outages, history, {}, least=1)
    return sorted(
        (_finding(one) for one in found if one.country == asked.country),
        key=lambda one: (one.since, one.asn),
    )


def _finding(one: ShutdownCandidate) -> SilenceFinding:
    return SilenceFinding(
        asn=one.asn,
        since=one.started_at,
        until=one.ended_at,
        probes=one.probes,
        sources=one.sources,
    )


def untold(
    silences: Iterable[SilenceFinding], events: Sequence[EventShown], asked: ReportAsked
) -> list[SilenceFinding]:
    """The silences of which no event of a line tells, on the network or in the whole country."""
    told = [
        (one.asn, at_of(one.began.after or one.began.by), _end(one, asked))
        for one in events
        if one.kind in OF_LINES and one.state != "withdrawn"
    ]
    return [
        one
        for one in silences
        if not any(
            asn in {0, one.asn} and since <= (one.until or asked.until) and until >= one.since
            for asn, since, until in told
        )
    ]


def _end(event: EventShown, asked: ReportAsked) -> float:
    return at_of(event.ended.by) if event.ended else asked.until
