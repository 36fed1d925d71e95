"""GET /feed.atom: what began, ended and changed its mechanism, as a feed (RFC 4287).

Rule: an entry is one revision of one event that was confirmed at some time. It never changes its
id, and a revision never changes.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from collector.api import events, negotiation, parameters
from collector.api.event_messages import EventShown
from collector.api.events import Kind
from collector.api.http import Refused, instant_text
from collector.api.pages import page
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Asn, Country, PlaceParameters, Text
from collector.care import hour_of
from collector.events import storage
from collector.events.reconcile import Revision, StoredEvent
from collector.service import SERVICE
from collector.store.measurements import UNLISTED
from collector.target_labels import TargetLabels
from collector.web import languages, rendering
from collector.web.links import Links

ENTRIES = 100
_DAY = 86_400.0
Change = Literal["began", "ended", "mechanism", "withdrawn"]
# Characters that no XML document may have.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class FeedParameters(PersonParameters, frozen=True, kw_only=True):
    """Which events are wanted; `site` and `target` are the same."""

    site: Text = ""
    target: Text = ""
    category: Text = ""
    country: Country | None = None
    asn: Asn | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change of one event."""

    event: EventShown
    change: Change
    number: int
    at: str
    what: str


async def get_feed(request: web.Request) -> web.Response:
    """Events that began, ended or changed their mechanism, newest first, as an Atom feed."""
    service, asked = request.app[SERVICE], parameters.of(request, FeedParameters)
    if asked.site and asked.target:
        raise Refused(400, "malformed", "site: expected alone; target is the same")
    # It brings the events up to date, in the background where that takes long.
    await service.snapshots.snapshot()
    found = await service.store.read(storage.changes(_params(asked, service.labels)), slow=True)
    # Else one would see between which changes one of a coarse event came.
    found.sort(key=_told_order, reverse=True)
    told = await events.shown(request, [event for event, _, _ in found])
    entries = list(_entries(found, told))
    language = asked.lang or languages.preferred(request.headers.get("Accept-Language", ""))
    text = await asyncio.to_thread(
        rendering.render,
        "feed.atom",
        language,
        entries=entries,
        collector=service.store.collector_id,
        # Without entries it is as new as the day, so that the same feed stays the same.
        updated=max(one.at for one in entries)
        if entries
        else instant_text(service.clock() // _DAY * _DAY),
        links=Links(request.path, page.query_of(request), asked.lang),
        lab=service.settings.lab,
    )
    headers = {"Content-Language": language, "Vary": f"{negotiation.VARY}, Accept-Language"}
    body = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text).encode()
    return await negotiation.give(request, body, "atom", headers=headers)


def _params(asked: FeedParameters, labels: TargetLabels) -> dict[str, object]:
    target = asked.site or asked.target
    if "://" in target and (label := labels.label(target)) != UNLISTED:
        target = label
    place = PlaceParameters(target=target, country=asked.country, asn=asked.asn).place()
    return {
        "kind": asked.kind or "",
        "target": place.target,
        "country": place.country,
        "asn": place.asn,
        "category": asked.category,
        "limit": ENTRIES,
    }


def _told_order(one: tuple[StoredEvent, int, Revision]) -> tuple[float, str, int]:
    event, number, revision = one
    return hour_of(revision.at), event.id, number


def _entries(
    found: Sequence[tuple[StoredEvent, int, Revision]], told: Sequence[EventShown]
) -> Iterator[FeedEntry]:
    for (_, number, revision), event in zip(found, told, strict=True):
        change = change_of(revision.what)
        if change is not None:
            at = hour_of(revision.at) if event.coarse else revision.at
            yield FeedEntry(event, change, number, instant_text(at), revision.what)


def change_of(what: str) -> Change | None:
    """What a revision of a confirmed event means to who follows it; None: nothing new."""
    _, arrow, state = what.removeprefix("opened as ").partition(" → ")
    word = (state if arrow else what.removeprefix("opened as ")).partition(":")[0]
    if word == "confirmed":
        return "began"
    if word == "ended":
        return "ended"
    if arrow and word in {"withdrawn", "suspected"}:
        return "withdrawn"
    return "mechanism" if what.startswith(("also by ", "authority ")) else None
