"""GET /site/NAME: one site: its days on each network, events, speed, certificates, and lists."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from aiohttp import web

from collector.api import events, interceptions, parameters
from collector.api.events import EventFilter
from collector.api.http import Refused
from collector.api.interceptions import InterceptedLeaf, InterceptionRow
from collector.api.pages import history, matrix, page
from collector.api.pages.page import PersonParameters
from collector.metrics.counting import by_outcome
from collector.places import NetworkKey
from collector.service import SERVICE
from collector.store.interface import Operation, Query, Rows
from collector.store.measurements import UNLISTED

WEEKS = 12
SPEED_DAYS = 42
EVENTS = 50
# So many of the newest records are looked through.
FORGED, RATES = 300, 4000


@dataclass(frozen=True, slots=True)
class NetworkHistory:
    """The days of a site on one network; `rows` are as wide as a phone."""

    country: str
    asn: int
    name: str
    now: matrix.MatrixCell | None
    rows: Sequence[Sequence[history.DayShown]]
    spells: Sequence[history.Spell]
    able: int


@dataclass(frozen=True, slots=True)
class SpeedHistory:
    """Medians of days of a site's rate and its reference's, in bytes a second."""

    country: str
    asn: int
    name: str
    days: Sequence[tuple[int, float, float]]

    @property
    def newest(self) -> tuple[int, float, float]:
        """The newest day."""
        return self.days[-1]


@dataclass(frozen=True, slots=True)
class SiteRead:
    """What is read for the page."""

    history: history.History
    rates: Rows
    forged: Sequence[InterceptedLeaf]
    certificates: Mapping[str, bytes]


async def get_site(request: web.Request) -> web.Response:
    """One site: its days on each network, events, speed, certificates, and who lists it."""
    service, name = request.app[SERVICE], request.match_info["name"]
    asked = parameters.of(request, PersonParameters)
    snapshot = await service.snapshots.snapshot()
    votes = by_outcome(snapshot.votes)
    today = int(service.clock() // history.DAY)
    since = today + 1 - WEEKS * 7
    read = await service.store.read(_read(name, since, today), slow=True)
    found, _ = await events.selected(service, EventFilter(target=name, limit=EVENTS))
    lists = service.labels.lists_of(name)
    if name == UNLISTED or not (read.history or found or lists):
        raise Refused(404, "unknown_site", "no site with this name was measured here")
    quorum = service.settings.quorum
    now = {
        network: matrix.cell(votes.get((name, *network), {}), quorum) for network in read.history
    }
    return await page.give(
        request,
        "site.html",
        asked.lang,
        name=name,
        category=service.labels.category(name),
        lists=lists,
        networks=_histories(read.history, now, (since, today + 1)),
        speeds=_speeds(read.rates),
        certificates=await _certificates(read),
        events=await events.shown(request, found, page.care_of(request, snapshot)),
        since=since,
        until=today + 1,
    )


def _read(name: str, since: int, today: int) -> Operation[SiteRead]:
    days = yield from history.read(name, since)
    speed = {"target": name, "since": (today - SPEED_DAYS) * history.DAY, "limit": RATES}
    rates = yield Query("rates_of_target", speed)
    rows = yield Query("forged_of_target", {"target": name, "limit": FORGED})
    forged = [InterceptedLeaf(*row) for row in rows]
    return SiteRead(days, rates, forged, (yield from interceptions.certificates_of(forged)))


def _histories(
    found: history.History,
    now: Mapping[NetworkKey, matrix.MatrixCell | None],
    period: tuple[int, int],
) -> list[NetworkHistory]:
    made = []
    for (country, asn), of in found.items():
        shown = history.days(of, *period)
        made.append(
            NetworkHistory(
                country,
                asn,
                page.network_name(asn),
                now[country, asn],
                history.rows(shown),
                history.spells(shown),
                sum(one.able for one in shown),
            )
        )
    return sorted(made, key=lambda one: (-one.able, one.country, one.asn))


def _speeds(rates: Rows) -> list[SpeedHistory]:
    """Medians of each day, so that one slow evening of one line is no line of the chart."""
    by_day: dict[NetworkKey, dict[int, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for country, asn, at, rate, reference in rates:
        by_day[country, asn][int(at // history.DAY)].append((rate, reference))
    return [
        SpeedHistory(
            country,
            asn,
            page.network_name(asn),
            [
                (day, median(a for a, _ in of), median(b for _, b in of))
                for day, of in sorted(days.items())
            ],
        )
        for (country, asn), days in sorted(by_day.items())
    ]


async def _certificates(read: SiteRead) -> Iterable[InterceptionRow]:
    """Forged certificates that were served for the site, by intermediate."""
    if not read.forged:
        return ()
    return await asyncio.to_thread(
        interceptions.summarise, read.forged, read.certificates, by_leaf=False
    )
