"""GET /e/ID: one event with the looks, the records and the revisions that it rests on."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from collector.admin.export import csv_bytes
from collector.api import events, negotiation, parameters, readers
from collector.api.event_messages import EventDetail
from collector.api.http import instant_text
from collector.api.pages import chart, cut, event_looks, event_records, outages
from collector.api.pages.chart import ChartTable
from collector.api.pages.citing import Citation, citation
from collector.api.pages.cut import CutShown, brackets
from collector.api.pages.event_looks import LooksChart, SeenLook, SeenLooks
from collector.api.pages.event_records import CertificatePair, RecordInWords
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Parameters
from collector.events.reconcile import StoredEvent
from collector.service import SERVICE
from collector.web import languages, time_axis
from collector.web.languages import Language
from collector.web.time_axis import AxisSpan

LOOK_COLUMNS = ("at", "probe", "experiment", "outcome", "mechanisms", "looks")


@dataclass(frozen=True, slots=True)
class EventPageShown:
    """Everything that the page shows.

    Attributes:
        looks: Those of the chart as rows. cut: what is known of the time around it; None: of a
            site.
        known_records: How many records it rests on.
    """

    event: EventDetail
    looks: ChartTable
    cut: CutShown | None
    known_records: int
    chart: LooksChart
    brackets: Sequence[AxisSpan]
    records: Sequence[RecordInWords]
    pairs: Sequence[CertificatePair]
    citation: Citation


async def get_event(request: web.Request) -> web.Response:
    """One event: what, from when to when, by which looks, explained step by step."""
    service, asked = request.app[SERVICE], parameters.of(request, PersonParameters)
    stored = await events.one(request)
    language = asked.lang or languages.preferred(request.headers.get("Accept-Language", ""))
    key = ("event page", stored.id, readers.least_probes(request), language)

    async def make() -> EventPageShown:
        return await _made(request, stored, language)

    it = await service.results.get(key, service.snapshots.revision, make)
    charts = {"looks": lambda: it.looks}
    if it.cut is not None:
        charts["cut"] = lambda: cut.table([it.cut] if it.cut else [])
    return await chart.give(request, "event.html", asked.lang, charts, it=it, axis=time_axis)


async def get_looks(request: web.Request) -> web.Response:
    """The looks of an event's chart as CSV."""
    parameters.of(request, Parameters)
    stored = await events.one(request)
    read = await _looks(request, stored)
    table = await asyncio.to_thread(_table, read.found, coarse=read.coarse)
    body = await asyncio.to_thread(csv_bytes, [table.columns, *table.rows])
    headers = {"Content-Disposition": f'attachment; filename="looks-{stored.id}.csv"'}
    return await negotiation.give(request, body, "csv", headers=headers)


def _table(found: Sequence[SeenLook], *, coarse: bool) -> ChartTable:
    rows = event_looks.rows(found, coarse=coarse)
    return ChartTable(LOOK_COLUMNS, [(instant_text(float(str(at))), *rest) for at, *rest in rows])


async def _made(request: web.Request, stored: StoredEvent, language: Language) -> EventPageShown:
    service = request.app[SERVICE]
    shown = await events.detail(request, stored)
    looks = await _looks(request, stored)
    care = await readers.care_for(request)
    read = await service.store.read(event_records.read(shown.evidence, care), slow=True)
    records = await asyncio.to_thread(event_records.in_words, read, language)
    lines = [] if shown.target else await outages.with_lines(request, [cut.of_event(shown)])
    return EventPageShown(
        event=shown,
        looks=await asyncio.to_thread(_table, looks.found, coarse=looks.coarse),
        cut=lines[0] if lines else None,
        known_records=len(shown.evidence),
        chart=await asyncio.to_thread(event_looks.chart, stored, looks),
        brackets=brackets(shown),
        records=records,
        pairs=event_records.pairs(records),
        citation=citation(shown, service.store.collector_id, {one.ruleset for one in records}),
    )


async def _looks(request: web.Request, stored: StoredEvent) -> SeenLooks:
    """The looks of an event's chart."""
    service = request.app[SERVICE]
    now = service.clock()
    wide = event_looks.axis_of(stored, now, coarse=True)
    looks = await service.store.read(event_looks.read(stored, wide), slow=True)
    places = {(one.country, one.asn, one.at) for one in looks}
    care = await readers.learned(request, {*places, *events.told_looks(stored)})
    coarse = any(care.is_coarse(*one) for one in (*places, *events.told_looks(stored)))
    axis = wide if coarse else event_looks.axis_of(stored, now, coarse=False)
    found = await asyncio.to_thread(event_looks.seen, stored, looks)
    return SeenLooks(found, coarse, axis, len(looks) >= event_looks.LOOKS)
