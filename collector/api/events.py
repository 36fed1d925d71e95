"""GET /v1/events: what happened, by kind, target and network."""

import asyncio
from collections.abc import Iterable
from functools import partial

from aiohttp import web

from collector.api import parameters
from collector.api.http import Refused, answer, instant_text
from collector.api.parameters import Instant, PlaceParameters
from collector.conduct import read_standings
from collector.detection.monitor import Detections
from collector.detection.quorum import Event, Vote, detect
from collector.detection.shutdown import ShutdownCandidate
from collector.detection.withdrawn import Aside, Withdrawn, repeats, withdrawn_events
from collector.service import SERVICE, Service
from collector.standing import Standings
from collector.store import Operation, exclusions
from collector.store.interface import Query
from collector.store.queries import Selection

EVENT_DAYS = 7.0
EVENT_DAYS_LIMIT = 90.0


class EventParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which events are wanted."""

    since: Instant | None = None


async def get_events(request: web.Request) -> web.Response:
    """Events by kind, target and network.

    Also unconfirmed outages, which have no second source, and networks with too few probes.
    """
    service = request.app[SERVICE]
    now = service.clock()
    asked = parameters.of(request, EventParameters)
    since = now - EVENT_DAYS * 86400 if asked.since is None else float(asked.since)
    if since < now - EVENT_DAYS_LIMIT * 86400:
        raise Refused(400, "malformed", f"since: at most {EVENT_DAYS_LIMIT:.0f} days ago expected")
    window, quorum = service.settings.window, service.settings.quorum
    # The events since the beginning of that hour are shared by all who ask for a part of them.
    hour = since // 3600 * 3600
    found, withdrawn, detections = await service.results.get(
        ("events", None if asked.since is None else hour),
        service.snapshots.revision,
        partial(_events, service, hour, now),
    )
    wanted = asked.place()
    every = sorted(merged(found, detections.events), key=lambda one: one.started_at, reverse=True)
    shown = [_event(one) for one in every if _is_wanted_event(one, wanted, since)]
    return answer(
        {
            "quorum": quorum,
            "window_seconds": window,
            "events": shown,
            "withdrawn": [
                {**_event(one.event), "active": False, "why": one.why}
                for one in withdrawn
                if _is_wanted_event(one.event, wanted, since)
            ],
            "unconfirmed": [
                _unconfirmed(one)
                for one in detections.unconfirmed
                if _is_wanted_network(wanted, one.country, one.asn)
                and (one.ended_at is None or one.ended_at >= since)
            ],
            "too_few": [
                {"country": country, "asn": asn, "probes": n}
                for (country, asn), n in sorted(detections.too_few.items())
                if _is_wanted_network(wanted, country, asn)
            ],
        }
    )


async def _events(
    service: Service, since: float, now: float
) -> tuple[list[Event], list[Withdrawn], Detections]:
    window, quorum = service.settings.window, service.settings.quorum
    operation = _votes(since - window, now, lab=service.settings.lab)
    votes, aside, standings = await service.store.read(operation, slow=True)
    detections = await service.monitor.detections()
    find = partial(detect, now=now, window=window, quorum=quorum, standings=standings)
    found = await asyncio.to_thread(find, votes)
    return found, await asyncio.to_thread(withdrawn_events, aside, found, find), detections


def merged(quorum: Iterable[Event], detected: Iterable[Event]) -> list[Event]:
    """Both, without detected events that repeat an event of a quorum on the same target."""
    known = list(quorum)
    return [*known, *(one for one in detected if not any(repeats(one, other) for other in known))]


def _votes(
    since: float, now: float, *, lab: bool
) -> Operation[tuple[list[Vote], Aside, Standings]]:
    rows = yield Query("votes_since", {"since": since})
    reasons = {one.key_id: one.reason for one in (yield from exclusions.exclusions())}
    aside = (yield Query("votes_aside_since", {"since": since})) if reasons else ()
    standings = yield from read_standings(now, lab=lab)
    return [Vote(*row) for row in rows], Aside([Vote(*row) for row in aside], reasons), standings


def _is_wanted_event(event: Event, wanted: Selection, since: float) -> bool:
    return (
        (event.ended_at is None or event.ended_at >= since)
        and (not wanted.target or event.target == wanted.target)
        and _is_wanted_network(wanted, event.country, event.asn)
    )


def _is_wanted_network(wanted: Selection, country: str, asn: int) -> bool:
    return (not wanted.country or country == wanted.country) and wanted.asn in {-1, asn}


def _unconfirmed(one: ShutdownCandidate) -> dict[str, object]:
    return {
        "country": one.country,
        "asn": one.asn,
        "started_at": instant_text(one.started_at),
        "ended_at": None if one.ended_at is None else instant_text(one.ended_at),
        "probes": one.probes,
        "active": one.ended_at is None,
        "why": "nothing else says so yet",
    }


def _event(event: Event) -> dict[str, object]:
    ended = None if event.ended_at is None else instant_text(event.ended_at)
    shown = {
        "active": ended is None,
        "started_at": instant_text(event.started_at),
        "ended_at": ended,
    }
    return {**event._asdict(), **shown}
