"""GET /site/NAME: one site: its days on each network, events, speed, certificates, and lists."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from aiohttp import web

from collector.api import events, interceptions, parameters
from collector.api.events import EventFilter
from collector.api.http import Refused
from collector.api.interceptions import InterceptedLeaf, InterceptionRow
from collector.api.pages import chart, history, matrix, page
from collector.api.pages.chart import ChartTable
from collector.api.pages.page import PersonParameters
from collector.api.parameters import Asn, PlaceParameters
from collector.places import NetworkKey
from collector.service import SERVICE
from collector.store.interface import Operation, Query, Rows
from collector.store.measurements import UNLISTED
from collector.web.times import day_text

WEEKS = 12
SPEED_DAYS = 42
EVENTS = 50
# So many of the newest records are looked through.
FORGED, RATES = 300, 4000


class SiteParameters(PersonParameters, frozen=True, kw_only=True):
    """Which network is wanted; else all."""

    empty_is_none: ClassVar[bool] = True

    asn: Asn | None = None


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

    @property
    def share(self) -> float:
        """How fast the site is against its reference."""
        _, rate, reference = self.newest
        return rate / reference if reference else 1.0


@dataclass(frozen=True, slots=True)
class SiteRead:
    """What is read for the page.

    Attributes:
        rates_cut, forged_cut: Whether there are more than the newest, which are read.
    """

    history: history.History
    rates: Rows
    rates_cut: bool
    forged: Sequence[InterceptedLeaf]
    forged_cut: bool
    certificates: Mapping[str, bytes]


async def get_site(request: web.Request) -> web.Response:
    """One site: its days on each network, events, speed, certificates, and who lists it."""
    service, name = request.app[SERVICE], request.match_info["name"]
    asked = parameters.of(request, SiteParameters)
    snapshot = await service.snapshots.snapshot()
    votes = snapshot.outcomes
    today = int(service.clock() // history.DAY)
    since = today + 1 - WEEKS * 7
    asn = PlaceParameters(asn=asked.asn).place().asn
    read = await service.store.read(_read(name, since, today, asn), slow=True)
    wanted = EventFilter(target=name, asn=asked.asn, limit=EVENTS)
    found, more_events = await events.selected(service, wanted)
    lists = service.labels.lists_of(name)
    if name == UNLISTED or not (read.history or found or lists):
        raise Refused(404, "unknown_site", "no site with this name was measured here")
    quorum = service.settings.quorum
    now = {
        network: matrix.cell(votes.get((name, *network), {}), quorum) for network in read.history
    }
    networks = _histories(read.history, now, (since, today + 1))
    # Those that are slowed come first.
    speeds = sorted(_speeds(read.rates), key=lambda one: one.share)
    return await chart.give(
        request,
        "site.html",
        asked.lang,
        {"history": lambda: _history_table(networks), "speed": lambda: _speed_table(speeds)},
        name=name,
        asn=asn if asn >= 0 else None,
        category=service.labels.category(name),
        lists=lists,
        networks=networks,
        speeds=speeds,
        newest_rates=RATES if read.rates_cut else None,
        newest_forged=FORGED if read.forged_cut else None,
        more_events=more_events is not None,
        certificates=await _certificates(read),
        events=await events.shown(request, found, page.care_of(request, snapshot)),
        since=since,
        until=today + 1,
    )


def _history_table(networks: Iterable[NetworkHistory]) -> ChartTable:
    strips = [
        ((one.country, one.asn, one.name), [day for row in one.rows for day in row])
        for one in networks
    ]
    return history.table(("country", "asn", "network"), strips)


def _speed_table(speeds: Iterable[SpeedHistory]) -> ChartTable:
    columns = ("country", "asn", "network", "day", "bytes_per_second", "reference_bytes_per_second")
    rows = [
        (one.country, one.asn, one.name, day_text(day), round(rate), round(reference))
        for one in speeds
        for day, rate, reference in one.days
    ]
    return ChartTable(columns, rows)


def _read(name: str, since: int, today: int, asn: int) -> Operation[SiteRead]:
    days = yield from history.read(name, since, asn=asn)
    speed = {"target": name, "since": (today - SPEED_DAYS) * history.DAY, "limit": RATES}
    rates = yield Query("rates_of_target", speed)
    here = [row for row in rates if asn in {-1, row[1]}]
    rows = yield Query("forged_of_target", {"target": name, "limit": FORGED})
    every = [InterceptedLeaf(*row) for row in rows]
    forged = [one for one in every if asn in {-1, one.asn}]
    return SiteRead(
        history=days,
        rates=here,
        rates_cut=len(rates) >= RATES,
        forged=forged,
        forged_cut=sum(one.n for one in every) >= FORGED,
        certificates=(yield from interceptions.certificates_of(forged)),
    )


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
