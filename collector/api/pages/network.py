"""GET /network/ASN: one network: its sites now, days of those interfered with, and events."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from collector.api import events, parameters
from collector.api.events import EventFilter
from collector.api.http import Refused
from collector.api.pages import history, matrix, page
from collector.api.pages.page import PersonParameters
from collector.metrics.counting import Snapshot, by_outcome
from collector.service import SERVICE, Service
from collector.store.interface import Operation, Query
from collector.store.measurements import UNLISTED
from collector.web.words import OUTCOMES

SITES, EVENTS = 30, 30
_ASN = re.compile(r"(?:[Aa][Ss])?([1-9][0-9]{0,9})")


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
    service, asked = request.app[SERVICE], parameters.of(request, PersonParameters)
    asn = number_of(request.match_info["asn"])
    until = int(service.clock() // history.DAY) + 1
    since = until - history.ROW
    snapshot = await service.snapshots.snapshot()
    found, _ = await events.selected(service, EventFilter(asn=str(asn), limit=EVENTS))
    lines = _lines(service, snapshot, asn)
    read = await service.store.read(_read(asn, since), slow=True)
    votes = {where: of for where, of in by_outcome(snapshot.votes).items() if where[2] == asn}
    now = _by_site(votes)
    if not (found or lines or read or votes):
        raise Refused(404, "unknown_network", "nothing was measured on a network with this number")
    return await page.give(
        request,
        "network.html",
        asked.lang,
        asn=asn,
        name=page.network_name(asn),
        lines=lines,
        counts=_counts(votes, service.settings.quorum),
        sites=[
            SiteHistory(
                name,
                service.labels.category(name),
                matrix.cell(now.get(name, {}), service.settings.quorum),
                history.days(history.together(of.values()), since, until),
            )
            for name, of in read
        ],
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


def _read(asn: int, since: int) -> Operation[list[tuple[str, history.History]]]:
    """The sites with interference since a day, those with most of it first."""
    rows = yield Query("interfered_on_network", {"asn": asn, "since": since, "limit": SITES})
    found = []
    for name, _ in rows:
        if name != UNLISTED:
            of = yield from history.read(name, since, asn=asn, mechanisms=False)
            found.append((str(name), of))
    return found


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
