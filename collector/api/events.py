"""GET /v1/events, /v1/events/ID and /v1/waves: what happened, where, from when to when.

Rule: a query selects events and never makes or reshapes them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from collector.api import paging, parameters, readers
from collector.api.event_messages import (
    EventDetail,
    EventPage,
    EventShown,
    FewProbes,
    WavePage,
    shown_event,
    shown_outages,
    shown_wave,
    with_history,
)
from collector.api.http import Refused
from collector.api.lists import ListFormat, give_json, give_page
from collector.api.parameters import (
    EVERY,
    Cursor,
    Instant,
    Limit,
    Parameters,
    PlaceParameters,
    Text,
)
from collector.care import HOUR, Care
from collector.events import storage
from collector.events.reconcile import StoredEvent
from collector.service import SERVICE, Service
from collector.store.interface import Operation, Query
from probe import reference_data

_ID = re.compile("[0-9a-f]{1,32}")

WaveId = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,32}\Z", description="the id of a wave")]
Kind = Literal["blocking", "interception", "throttling", "shutdown", "whitelist"]
State = Literal["suspected", "confirmed", "ended", "withdrawn"]


class EventFilter(PlaceParameters, frozen=True, kw_only=True):
    """Which events are wanted: those that lasted at some time between `since` and `until`."""

    kind: Kind | None = None
    state: State | None = None
    category: Text = ""
    group: WaveId | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class EventParameters(EventFilter, frozen=True, kw_only=True):
    """Which events are wanted, and how."""

    format: ListFormat | None = None


class WaveParameters(Parameters, frozen=True, kw_only=True):
    """Which waves are wanted: those that began between `since` and `until`."""

    since: Instant | None = None
    until: Instant | None = None
    limit: Limit = 100
    cursor: Cursor | None = None
    format: ListFormat | None = None


async def get_events(request: web.Request) -> web.Response:
    """Events by kind, state, target, category, network, wave and time; newest hour first."""
    service = request.app[SERVICE]
    asked = readers.in_hours(request, parameters.of(request, EventParameters))
    await service.events.refresh()
    found, following = await selected(service, asked, exact=readers.least_probes(request) <= 1)
    page = EventPage(events=await shown(request, found), next=following)
    if asked.cursor is None:
        page = await _with_outages(page, service, asked)
    return await give_page(request, page, asked.format)


async def selected(
    service: Service, asked: EventFilter, *, exact: bool = False
) -> tuple[list[StoredEvent], str | None]:
    """The events that a filter selects, and the cursor of the next page.

    The public gets them by the hour of the beginning, and in no order within it: else a prober
    would see between which of its own events a coarse one began.
    """
    found = await service.store.read(_page(service, asked, exact=exact), slow=True)
    full = len(found) == asked.limit
    return found, _cursor(service, found[-1], exact=exact) if full else None


async def get_event(request: web.Request) -> web.Response:
    """One event with its history."""
    found = await one(request)
    return await give_json(request, await detail(request, found))


async def one(request: web.Request) -> StoredEvent:
    """The event that the path names, with its history."""
    service, id_ = request.app[SERVICE], request.match_info["id"]
    await service.events.refresh()
    found = await service.store.read(storage.event(id_)) if _ID.fullmatch(id_) else None
    if found is None:
        raise Refused(404, "unknown_event", "no event with this id is known here")
    return found


async def detail(request: web.Request, stored: StoredEvent) -> EventDetail:
    """An event with its history, as this reader may see them."""
    (event,) = await shown(request, [stored])
    return with_history(event, stored)


async def get_waves(request: web.Request) -> web.Response:
    """Waves: events that began together; newest hour first."""
    service = request.app[SERVICE]
    asked = readers.in_hours(request, parameters.of(request, WaveParameters))
    await service.events.refresh()
    exact = readers.least_probes(request) <= 1
    found = await service.store.read(_waves(service, asked, exact=exact), slow=True)
    waves = [shown_wave(id_, await shown(request, members)) for id_, _, members in found]
    following = None
    if len(found) == asked.limit:
        id_, began, _ = found[-1]
        following = paging.cursor_of(service, (began, id_))
    return await give_page(request, WavePage(waves=waves, next=following), asked.format)


async def shown(
    request: web.Request, events: Sequence[StoredEvent], care: Care | None = None
) -> list[EventShown]:
    """Events as this reader may see them; `care` is shared by all of a request."""
    names, now = reference_data.networks(), request.app[SERVICE].clock()
    are_coarse = await coarse(request, events, care)
    return [
        shown_event(one, now=now, coarse=is_coarse, network=names.get)
        for one, is_coarse in zip(events, are_coarse, strict=True)
    ]


async def coarse(
    request: web.Request, events: Sequence[StoredEvent], care: Care | None = None
) -> list[bool]:
    """Which events this reader sees to the hour only."""
    care = await readers.learned(
        request, (look for one in events for look in told_looks(one)), care
    )
    return [any(care.is_coarse(*look) for look in told_looks(one)) for one in events]


def told_looks(stored: StoredEvent) -> Iterator[tuple[str, int, float]]:
    """The looks whose times an event shows."""
    return stored.told_looks


def told_order(stored: StoredEvent) -> tuple[float, str]:
    """Where an event is among others that the public sees."""
    return stored.event.began.by // HOUR, stored.id


def _cursor(service: Service, stored: StoredEvent, *, exact: bool) -> str:
    began = stored.event.began.by
    return paging.cursor_of(service, (began if exact else int(began // HOUR), stored.id))


def _page(service: Service, asked: EventFilter, *, exact: bool) -> Operation[list[StoredEvent]]:
    place = asked.place()
    rows = yield Query(
        "events_page" if exact else "events_shown",
        {
            **_before(service, asked.cursor, exact=exact),
            "kind": asked.kind or "",
            "state": asked.state or "",
            "target": place.target,
            "category": asked.category,
            "country": place.country,
            "asn": place.asn,
            "wave": asked.group or "",
            **_between(asked.since, asked.until),
            "limit": asked.limit,
        },
    )
    return [storage.stored_event(row) for row in rows]


def _waves(
    service: Service, asked: WaveParameters, *, exact: bool
) -> Operation[list[tuple[str, float, list[StoredEvent]]]]:
    """The waves: id, beginning (or the hour of it) and events, oldest first."""
    period = _between(asked.since, asked.until)
    before = _before(service, asked.cursor, exact=exact)
    params = {**before, **period, "limit": asked.limit}
    found = []
    for id_, began in (yield Query("waves_page" if exact else "waves_shown", params)):
        members = yield from of_wave(id_, exact=exact)
        found.append((str(id_), began, members))
    return found


def of_wave(id_: str, *, exact: bool = False) -> Operation[list[StoredEvent]]:
    """The events of a wave, oldest first; none when it is unknown."""
    rows = yield Query("events_of_wave", {"wave": id_})
    found = [storage.stored_event(row) for row in rows]
    return found if exact else sorted(found, key=told_order)


def _before(service: Service, cursor: str | None, *, exact: bool) -> dict[str, object]:
    if exact:
        key: tuple[float, str] = EVERY, ""
        if cursor is not None:
            key = paging.key_of(service, cursor, tuple[float, str])
    else:
        key = int(EVERY // HOUR), ""
        if cursor is not None:
            key = paging.key_of(service, cursor, tuple[int, str])
    return {"before": key[0], "before_id": key[1]}


def _between(since: Instant | None, until: Instant | None) -> dict[str, object]:
    return {
        "since": 0.0 if since is None else float(since),
        "until": EVERY if until is None else float(until),
    }


async def _with_outages(page: EventPage, service: Service, asked: EventParameters) -> EventPage:
    """The first page also has outages that are no events, and where none could be noticed."""
    detections = await service.monitor.told()
    wanted = asked.place()

    def is_wanted(country: str, asn: int) -> bool:
        return (not wanted.country or country == wanted.country) and wanted.asn in {-1, asn}

    outages = [one for one in detections.unconfirmed if is_wanted(one.country, one.asn)]
    few = [(*network, n) for network, n in sorted(detections.too_few.items())]
    return msgspec.structs.replace(
        page,
        unconfirmed=shown_outages(outages),
        too_few=[FewProbes(*one) for one in few if is_wanted(*one[:2])],
    )
