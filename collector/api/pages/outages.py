"""GET /outages: cuts of lines, each with what is known of it on one time line."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from aiohttp import web

from collector.api import events, parameters, readers
from collector.api.event_messages import shown_outages
from collector.api.events import EventFilter, Kind
from collector.api.pages import beside, chart, cut, open_ports, page
from collector.api.pages.beside import BesideLane
from collector.api.pages.cut import CutShown, CutSpan
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Asn, Country, Instant, PlaceParameters
from collector.service import SERVICE, Service
from collector.store import outside
from collector.store.outside import Source
from collector.store.queries import Selection
from collector.web import time_axis

# Each has a time line, so a page has few of them.
CUTS = 12
SOURCES: tuple[Source, ...] = get_args(Source)
_KINDS: tuple[Kind, ...] = ("shutdown", "whitelist")


class OutageParameters(PersonParameters, frozen=True, kw_only=True):
    """Which cuts are wanted: those that lasted at some time between `since` and `until`."""

    empty_is_none: ClassVar[bool] = True

    country: Country | None = None
    asn: Asn | None = None
    since: Instant | None = None
    until: Instant | None = None
    ioda: Literal["1"] | None = None
    radar: Literal["1"] | None = None

    @property
    def beside(self) -> tuple[Source, ...]:
        """The other observatories whose series the reader wants to see, too."""
        return tuple(one for one in SOURCES if getattr(self, one))


@dataclass(frozen=True, slots=True)
class OutagesShown:
    """Everything that the page shows.

    Attributes:
        more: Whether there are older ones; these begin before `before`.
        silences: How many unconfirmed ones there are.
        too_few: Networks on which no outage can be noticed now: country, ASN, probes.
        beside: What other observatories saw of the cuts of both kinds, in their order.
        sources: Those of which anything was imported.
    """

    cuts: Sequence[CutShown]
    unconfirmed: Sequence[CutShown]
    more: bool
    before: str
    silences: int
    too_few: Sequence[tuple[str, int, int]]
    beside: tuple[Sequence[Sequence[BesideLane]], Sequence[Sequence[BesideLane]]]
    sources: Sequence[Source]


async def get_outages(request: web.Request) -> web.Response:
    """Cuts of lines: shutdowns, white lists, and outages that nothing else confirms."""
    service = request.app[SERVICE]
    asked = readers.in_hours(request, parameters.of(request, OutageParameters))
    # It brings the events up to date, in the background where that takes long.
    await service.snapshots.snapshot()
    wanted = (asked.country, asked.asn, asked.since, asked.until, asked.beside)
    key = ("outages", wanted, readers.least_probes(request))

    async def make() -> OutagesShown:
        return await _made(request, asked)

    it = await service.results.get(key, service.snapshots.revision, make)
    return await chart.give(
        request,
        "outages.html",
        asked.lang,
        {"cuts": lambda: cut.table(it.cuts), "unconfirmed": lambda: cut.table(it.unconfirmed)},
        it=it,
        axis=time_axis,
        asked=asked,
        network_name=page.network_name,
    )


async def _made(request: web.Request, asked: OutageParameters) -> OutagesShown:
    service = request.app[SERVICE]
    found = []
    for kind in _KINDS:
        filter_ = EventFilter(
            kind=kind,
            country=asked.country,
            asn=asked.asn,
            since=asked.since,
            until=asked.until,
            limit=CUTS + 1,
        )
        selected, _ = await events.selected(service, filter_)
        found += [one for one in selected if not one.event.target]
    found.sort(key=lambda one: -one.event.began.by)
    told = await events.shown(request, found[:CUTS])
    detections = await service.monitor.told()
    place = PlaceParameters(country=asked.country, asn=asked.asn).place()
    silent = [
        one
        for one in shown_outages(detections.unconfirmed)
        if _is_wanted(one.country, one.asn, place)
    ]
    few = cut.networks_with_few(detections.too_few.items())
    cuts = await with_lines(request, [cut.of_event(one) for one in told])
    unconfirmed = await with_lines(request, [cut.of_outage(one) for one in silent[:CUTS]])
    sources = await service.store.read(outside.sources())
    return OutagesShown(
        cuts=cuts,
        unconfirmed=unconfirmed,
        more=len(found) > CUTS,
        silences=len(silent),
        before=told[-1].began.by if told else "",
        too_few=[one for one in few if _is_wanted(one[0], one[1], place)],
        beside=(
            await _beside(service, cuts, asked.beside),
            await _beside(service, unconfirmed, asked.beside),
        ),
        sources=sources,
    )


async def _beside(
    service: Service, cuts: Sequence[CutShown], wanted: Sequence[Source]
) -> list[Sequence[BesideLane]]:
    """What the observatories that a reader wants saw of each cut."""
    if not wanted:
        return [() for _ in cuts]
    places = [((one.cut.country, one.cut.asn), one.axis) for one in cuts]
    return [
        await service.store.read(beside.read(place, axis, wanted), slow=True)
        for place, axis in places
    ]


def _is_wanted(country: str, asn: int, place: Selection) -> bool:
    return place.country in {"", country} and place.asn in {-1, asn}


async def with_lines(request: web.Request, cuts: Sequence[CutSpan]) -> list[CutShown]:
    """Cuts with their time lines."""
    service, now = request.app[SERVICE], request.app[SERVICE].clock()
    trusted = (await readers.standings(service)).trusted
    most = max(open_ports.LEAST, open_ports.RECORDS // max(1, len(cuts)))
    found = []
    for one in cuts:
        data = await service.store.read(cut.read(one, now), slow=True)
        care = await readers.learned(request, set(cut.places(data)))
        known = {beat.key_id for beat in data.beats} if service.settings.lab else trusted
        looks = cut.shown_looks(data, care)
        if not service.settings.lab:
            looks = [look for look in looks if look.key in trusted]
        ports = await service.store.read(open_ports.read(looks, care, most), slow=True)
        found.append(await asyncio.to_thread(cut.shown, one, data, care, known, ports))
    return found
