"""GET /network/ASN: one network: its sites now, days of those interfered with, and events."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from collector.api import events, parameters
from collector.api.events import EventFilter
from collector.api.http import Refused
from collector.api.pages import chart, history, matrix, page
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Count, Text
from collector.metrics.counting import Snapshot
from collector.service import SERVICE, Service
from collector.store.interface import Operation, Query
from collector.store.measurements import UNLISTED
from collector.web.words import OUTCOMES

SITES, EVENTS = 30, 30
# All of them, to count: those on the lists are some thousand.
_EVERY = 100_000
_ASN = re.compile(r"(?:[Aa][Ss])?([1-9][0-9]{0,9})")


class NetworkParameters(PersonParameters, frozen=True, kw_only=True):
    """Which sites are wanted, and which part of them."""

    empty_is_none: ClassVar[bool] = True

    category: Text = ""
    part: Count = 1


@dataclass(frozen=True, slots=True)
class SitesRead:
    """One part of the sites with interference, and how many there are.

    Attributes:
        every: How many of all categories. categories: those that they have.
    """

    shown: Sequence[tuple[str, history.History]]
    number: int
    every: int
    categories: Sequence[str]


@dataclass(frozen=True, slots=True)
class SiteHistory:
    """The days of one site, here or on all networks together, and what is said of it now."""

    site: str
    category: str
    now: matrix.MatrixCell | None
    days: Sequence[history.DayShown]


@dataclass(frozen=True, slots=True)
class LineNow:
    """The line itself: probes, and shares of anchors that answered."""

    country: str
    active: int
    heard: int
    domestic: float | None
    foreign: float | None


async def get_network(request: web.Request) -> web.Response:
    """One network: its probes, what it interferes with now and on which days, and its events."""
    service, asked = request.app[SERVICE], parameters.of(request, NetworkParameters)
    asn = number_of(request.match_info["asn"])
    until = int(service.clock() // history.DAY) + 1
    since = until - history.ROW
    snapshot = await service.snapshots.snapshot()
    wanted = EventFilter(asn=str(asn), category=asked.category, limit=EVENTS)
    found, more_events = await events.selected(service, wanted)
    lines = _lines(service, snapshot, asn)
    read = await service.store.read(_read(asn, since, asked, service.labels.category), slow=True)
    votes = {where: of for where, of in snapshot.outcomes.items() if where[2] == asn}
    now = _by_site(votes)
    if not (found or lines or read.every or votes):
        raise Refused(404, "unknown_network", "nothing was measured on a network with this number")
    sites = [
        SiteHistory(
            name,
            service.labels.category(name),
            matrix.cell(now.get(name, {}), service.settings.quorum),
            history.days(history.together(of.values()), since, until),
        )
        for name, of in read.shown
    ]
    return await chart.give(
        request,
        "network.html",
        asked.lang,
        {"history": lambda: _history_table(sites)},
        asn=asn,
        name=page.network_name(asn),
        lines=lines,
        counts=_counts(votes, service.settings.quorum),
        sites=sites,
        number=read.number,
        categories=read.categories,
        asked=asked,
        first=(asked.part - 1) * SITES + 1,
        next=asked.part + 1 if asked.part * SITES < read.number else None,
        more_events=more_events is not None,
        events=await events.shown(request, found, page.care_of(request, snapshot)),
        since=since,
        until=until,
    )


def number_of(text: str) -> int:
    """The number of a network in an address.

    Raises:
        Refused: It is none.
    """
    found = _ASN.fullmatch(text)
    if found is None or int(found[1]) >= 1 << 32:
        raise Refused(404, "unknown_network", "a number such as 9198 or AS9198 expected")
    return int(found[1])


def _history_table(sites: Iterable[SiteHistory]) -> chart.ChartTable:
    return history.table(("site", "category"), [((o.site, o.category), o.days) for o in sites])


def _read(
    asn: int, since: int, asked: NetworkParameters, category: Callable[[str], str]
) -> Operation[SitesRead]:
    """The sites with interference since a day, those with most of it first."""
    rows = yield Query("interfered_on_network", {"asn": asn, "since": since, "limit": _EVERY})
    every = [str(name) for name, _ in rows if name != UNLISTED]
    names = [name for name in every if asked.category in {"", category(name)}]
    found = []
    for name in names[(asked.part - 1) * SITES : asked.part * SITES]:
        of = yield from history.read(name, since, asn=asn, mechanisms=False)
        found.append((name, of))
    categories = sorted({category(name) for name in every} - {""})
    return SitesRead(found, len(names), len(every), categories)


def _by_site(votes: matrix.Votes) -> dict[str, dict[str, int]]:
    """Numbers of probes by outcome, for each site of the network."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (site, *_), of in votes.items():
        for outcome, n in of.items():
            found[site][outcome] += n
    return found


def _lines(service: Service, snapshot: Snapshot, asn: int) -> list[LineNow]:
    """The network in each country in which probes are on it; that is one, nearly always."""
    heard = service.monitor.newest.heard
    active: dict[str, int] = defaultdict(int)
    for country, number, _, n, _ in snapshot.active:
        active[country] += n if number == asn else 0
    shares: dict[str, list[tuple[float | None, float | None]]] = defaultdict(list)
    for country, number, foreign, domestic in snapshot.anchors:
        if number == asn:
            shares[country].append((domestic, foreign))
    return [
        LineNow(
            country,
            n,
            heard.get((country, asn), 0),
            page.mean(one[0] for one in shares[country]),
            page.mean(one[1] for one in shares[country]),
        )
        for country, n in sorted(active.items())
        if n
    ]


def _counts(votes: matrix.Votes, quorum: int) -> Mapping[str, int]:
    """Sites by what is said of them now."""
    found = dict.fromkeys(OUTCOMES, 0)
    for (site, *_), of in votes.items():
        cell = matrix.cell(of, quorum)
        if cell is not None and cell.outcome in found and site != UNLISTED:
            found[cell.outcome] += 1
    return found
