"""GET /v1/events: what happened, by kind, target and network."""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from collector.api import parameters
from collector.api.http import Refused, answer, instant_text
from collector.api.parameters import Instant, PlaceParameters
from collector.detection.quorum import Event, Vote, detect
from collector.detection.shutdown import ShutdownCandidate
from collector.service import SERVICE
from collector.store import Operation
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
    votes = await service.store.read(_votes(since - window), slow=True)
    found = await asyncio.to_thread(detect, votes, now=now, window=window, quorum=quorum)
    detections = await service.monitor.detections()
    wanted = asked.place()
    every = sorted(merged(found, detections.events), key=lambda one: one.started_at, reverse=True)
    shown = [_event(one) for one in every if _is_wanted_event(one, wanted, since)]
    return answer(
        {
            "quorum": quorum,
            "window_seconds": window,
            "events": shown,
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


def merged(quorum: Iterable[Event], detected: Iterable[Event]) -> list[Event]:
    """Both, without detected events that repeat an event of a quorum on the same target."""
    known = list(quorum)
    return [*known, *(one for one in detected if not any(_same(one, other) for other in known))]


def _same(one: Event, other: Event) -> bool:
    where = (one.kind, one.target, one.country, one.asn)
    return (
        where == (other.kind, other.target, other.country, other.asn)
        and (other.ended_at is None or other.ended_at >= one.started_at)
        and (one.ended_at is None or one.ended_at >= other.started_at)
    )


def _votes(since: float) -> Operation[list[Vote]]:
    rows = yield Query("votes_since", {"since": since})
    return [Vote(*row) for row in rows]


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
