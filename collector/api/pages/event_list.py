"""GET /events: the events that a filter selects, as a page."""

from typing import ClassVar

from aiohttp import web

from collector.api import events, parameters, readers
from collector.api.events import EventFilter
from collector.api.pages import page
from collector.service import SERVICE
from collector.web.languages import Language
from collector.web.words import KINDS, STATES
from probe import reference_data


class EventListParameters(EventFilter, frozen=True, kw_only=True):
    """Which events are wanted; a field of the form that was left empty is not given."""

    empty_is_none: ClassVar[bool] = True
    lang: Language | None = None


async def get_event_list(request: web.Request) -> web.Response:
    """Events by kind, state, site, category, network and time, newest beginning first."""
    service = request.app[SERVICE]
    asked = parameters.of(request, EventListParameters)
    # It brings the events up to date too, and in the background where that takes long.
    snapshot = await service.snapshots.snapshot()
    exact = readers.least_probes(request) <= 1
    wanted = readers.in_hours(request, asked)
    found, following = await events.selected(service, wanted, exact=exact)
    place = asked.place()
    return await page.give(
        request,
        "events.html",
        asked.lang,
        events=await events.shown(request, found, page.care_of(request, snapshot)),
        next=following,
        asked=asked,
        asn=place.asn,
        day=lambda at: "" if at is None else page.day_of(at),
        kinds=KINDS,
        states=STATES,
        categories=service.labels.categories,
        networks=sorted(reference_data.networks().items(), key=lambda one: one[1]),
    )
