"""GET /v1/outages/events: events as IODA writes outages, for tools that lay them over charts."""

from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from collector.api import events, parameters, readers
from collector.api.events import EventFilter, Kind, State
from collector.api.lists import ListFormat, RowsPage, give_page
from collector.api.parameters import Asn, Country, Cursor, Instant, Limit, Parameters
from collector.events.model import EventState
from collector.interop.codf import OutageEvent, outage_event
from collector.service import SERVICE
from probe import reference_data


class OutageEventParameters(Parameters, frozen=True, kw_only=True):
    """Which events are wanted: those that lasted at some time between `since` and `until`."""

    kind: Kind = "shutdown"
    state: State | None = None
    country: Country | None = None
    asn: Asn | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: Limit = 100
    cursor: Cursor | None = None
    format: ListFormat | None = None


class OutageEventPage(RowsPage, frozen=True, kw_only=True):
    """A page of events in the envelope of IODA's API, newest beginning first."""

    data: Sequence[OutageEvent]
    type: Literal["outages.events"] = "outages.events"
    error: None = None
    next: str | None


async def get_outage_events(request: web.Request) -> web.Response:
    """Events of a kind, shutdowns unless asked otherwise, in IODA's format `codf`."""
    service = request.app[SERVICE]
    asked = readers.in_hours(request, parameters.of(request, OutageEventParameters))
    await service.events.refresh()
    filter_ = EventFilter(
        kind=asked.kind,
        state=asked.state,
        country=asked.country,
        asn=asked.asn,
        since=asked.since,
        until=asked.until,
        limit=asked.limit,
        cursor=asked.cursor,
    )
    selected, following = await events.selected(service, filter_)
    # A suspicion that was taken back is no outage, unless a reader asks for these.
    found = [one for one in selected if asked.state or one.event.state != EventState.WITHDRAWN]
    now = service.clock()
    until = now if asked.until is None else min(now, asked.until)
    names = reference_data.networks()
    rows = [
        outage_event(one, until=until, coarse=is_coarse, network=names.get)
        for one, is_coarse in zip(found, await events.coarse(request, found), strict=True)
    ]
    return await give_page(request, OutageEventPage(data=rows, next=following), asked.format)
