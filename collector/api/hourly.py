"""GET /v1/hourly: how many measurements of each hour found what; it outlasts the records."""

import asyncio
from collections.abc import Sequence
from math import ceil
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from collector.admin import hourly_process
from collector.admin.hourly_process import HourlyJob
from collector.api import paging, parameters
from collector.api.http import instant_text
from collector.api.lists import RowsPage, give_page
from collector.api.made_files import give_parquet
from collector.api.negotiation import chosen
from collector.api.parameters import (
    Cursor,
    ExperimentWord,
    Instant,
    OutcomeWord,
    PlaceParameters,
    Text,
    unusable,
)
from collector.service import SERVICE, Service
from collector.store import hourly
from collector.store.hourly import HourlyCount, HourlySelection

HOUR = 3600
# After all hours that can be asked for.
_LAST = 1 << 40
_USUAL, _MOST = 1000, 10_000
HourlyLimit = Annotated[int, Meta(ge=1, le=_MOST, description=f"a number from 1 to {_MOST}")]


class HourlyParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which hours are wanted: those that begin at or after `since` and before `until`."""

    category: Text | None = None
    experiment: ExperimentWord | None = None
    outcome: OutcomeWord | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: HourlyLimit | None = None
    cursor: Cursor | None = None
    format: Literal["json", "csv", "parquet"] | None = None


class HourlyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Number of measurements in one hour with the same outcome, of one target on one network.

    Attributes:
        hour: When it begins. target: `unlisted` stands for all that are not listed here.
        category: Of the target's listing now.
    """

    hour: str
    experiment: str
    target: str
    category: str
    country: str
    asn: int
    outcome: str
    measurements: int


class HourlyPage(RowsPage, frozen=True, kw_only=True):
    """A page of counts, by hour; `next` is the cursor of the page after it."""

    hours: list[HourlyRow]
    next: str | None


async def get_hourly(request: web.Request) -> web.StreamResponse:
    """Numbers of measurements by hour, outcome, target and network, the oldest first."""
    service, asked = request.app[SERVICE], parameters.of(request, HourlyParameters)
    selection = _selection(service, asked)
    format_ = chosen(request, asked.format, ("json", "csv", "parquet"))
    if format_ == "parquet":
        return await _file(request, service, asked, selection)
    page = await _page(service, asked, selection)
    return await give_page(request, page, "csv" if format_ == "csv" else "json")


async def _page(
    service: Service, asked: HourlyParameters, selection: HourlySelection
) -> HourlyPage:
    after, limit = hourly.FIRST, asked.limit or _USUAL
    if asked.cursor is not None:
        after = paging.key_of(service, asked.cursor, tuple[int, str, str, str, int, str])

    async def make() -> HourlyPage:
        found = await service.store.read(
            hourly.page(selection, after=after, limit=limit), slow=True
        )
        return await asyncio.to_thread(_shown, service, found, limit)

    key = ("hourly", msgspec.structs.replace(asked, format=None))
    return await service.results.get(key, service.snapshots.revision, make)


async def _file(
    request: web.Request, service: Service, asked: HourlyParameters, selection: HourlySelection
) -> web.StreamResponse:
    """All hours as one Parquet file, whose parts can be asked for."""
    for name in ("limit", "cursor"):
        if getattr(asked, name) is not None:
            raise unusable(
                name, "none with format=parquet, which has everything,", HourlyParameters
            )

    def job(path: str) -> HourlyJob:
        categories = service.labels.by_category
        return HourlyJob(
            store=service.settings.store, selection=selection, categories=categories, file=path
        )

    module = hourly_process.__name__
    return await give_parquet(request, service, asked, name="hours", module=module, job=job)


def _shown(service: Service, found: Sequence[HourlyCount], limit: int) -> HourlyPage:
    rows = [
        HourlyRow(
            hour=instant_text(one.hour * HOUR),
            experiment=one.experiment,
            target=one.target,
            category=service.labels.category(one.target),
            country=one.country,
            asn=one.asn,
            outcome=one.outcome,
            measurements=one.n,
        )
        for one in found
    ]
    following = paging.cursor_of(service, found[-1][:-1]) if len(found) == limit else None
    return HourlyPage(hours=rows, next=following)


def _selection(service: Service, asked: HourlyParameters) -> HourlySelection:
    place = asked.place()
    targets = None if not asked.target else [asked.target]
    if asked.category is not None:
        known = service.labels.categories
        if asked.category not in known:
            raise unusable("category", f"one of {', '.join(known)}", HourlyParameters)
        listed = service.labels.targets_of(asked.category)
        targets = listed if targets is None else [one for one in targets if one in listed]
    return HourlySelection(
        targets=targets,
        country=place.country,
        asn=place.asn,
        experiment=asked.experiment or "",
        outcome=asked.outcome or "",
        since=0 if asked.since is None else ceil(asked.since / HOUR),
        until=_LAST if asked.until is None else ceil(asked.until / HOUR),
    )
