"""GET /: what is happening now, how grave it is, and on how many probes it rests."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from aiohttp import web

from collector.api import events, parameters
from collector.api.event_messages import EventShown
from collector.api.http import instant_text
from collector.api.pages import chart, matrix, page, reached
from collector.api.pages.chart import ChartTable
from collector.api.pages.page import PersonParameters
from collector.api.pages.reached import ReachedByHour
from collector.care import Care
from collector.events import storage
from collector.events.reconcile import StoredEvent
from collector.metrics.counting import Snapshot
from collector.places import NetworkKey
from collector.service import SERVICE, Service
from collector.store import Operation
from collector.store.interface import Query, Rows
from collector.store.measurements import UNLISTED
from collector.web import time_axis
from collector.web.time_axis import TimeAxis
from collector.web.words import KINDS as KIND_WORDS

DAY, HOUR = 86_400.0, 3600.0
WEEK = 7 * DAY
# So many subjects and changes are shown.
SUBJECTS, CHANGES = 10, 6
HOURS = 48
NETWORKS_OF_SUBJECT = 6
SITES = 40
_GRAVITY = {kind: place for place, kind in enumerate(KIND_WORDS)}


class ActiveSubject(NamedTuple):
    """How many active events there are of one kind about one site, or the lines of one country."""

    kind: str
    target: str
    country: str
    events: int
    confirmed: int
    probes: int
    newest: float


@dataclass(frozen=True, slots=True)
class OngoingSubject:
    """The active events of one kind about one site, or about the lines of one country.

    Attributes:
        events: The first to begin, one for each network. networks: how many there are.
        confirmed: How many are confirmed. probes: that agree, on all networks together.
    """

    kind: str
    target: str | None
    category: str | None
    country: str
    events: Sequence[EventShown]
    networks: int
    confirmed: int
    probes: int


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """How many events began and ended in a day and in a week."""

    began_day: int
    ended_day: int
    began_week: int
    ended_week: int


@dataclass(frozen=True, slots=True)
class NetworkNow:
    """One network now.

    Attributes:
        active: Probes in the window. heard: in the last 15 minutes.
        domestic, foreign: Shares of anchors that answered, or None.
    """

    country: str
    asn: int
    name: str
    active: int
    heard: int
    domestic: float | None
    foreign: float | None


@dataclass(frozen=True, slots=True)
class HeardByHour:
    """Numbers of probes of a country that were heard in each of the last hours."""

    country: str
    counts: Sequence[int]
    since: float

    @property
    def axis(self) -> TimeAxis:
        """The time that they are of."""
        return TimeAxis(self.since, self.since + HOURS * HOUR)

    @property
    def bars(self) -> list[tuple[float, int]]:
        """Each number with the beginning of its hour."""
        return [(self.since + n * HOUR, of) for n, of in enumerate(self.counts)]


@dataclass(frozen=True, slots=True)
class CategoryNow:
    """The sites of a category that were measured now, and those interfered with."""

    code: str
    sites: int
    interfered: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the page shows."""

    subjects: Sequence[OngoingSubject]
    more_subjects: int
    active: Mapping[str, int]
    suspected: int
    changes: ChangeCounts
    began: Sequence[EventShown]
    ended: Sequence[EventShown]
    table: matrix.Matrix
    cells: Callable[[], ChartTable]
    more_sites: int
    sites: int
    networks: Sequence[NetworkNow]
    heard: Sequence[HeardByHour]
    reached: Sequence[ReachedByHour]
    categories: Sequence[CategoryNow]
    probes: int
    hours: float


async def get_overview(request: web.Request) -> web.Response:
    """What is happening: events by gravity, sites and networks, probes and reachability."""
    service, asked = request.app[SERVICE], parameters.of(request, PersonParameters)
    least = page.least_probes(request)
    snapshot = await service.snapshots.snapshot()

    async def make() -> Overview:
        return await _made(request, service, snapshot)

    made = await service.results.get(("overview", least), service.snapshots.revision, make)
    charts = {
        "matrix": made.cells,
        "heard": lambda: _heard_table(made.heard),
        "reached": lambda: reached.reached_table(made.reached),
    }
    return await chart.give(request, "overview.html", asked.lang, charts, it=made, axis=time_axis)


def _heard_table(heard: Iterable[HeardByHour]) -> ChartTable:
    rows = [(one.country, instant_text(at), n) for one in heard for at, n in one.bars]
    return ChartTable(("country", "hour", "probes"), rows)


@dataclass(frozen=True, slots=True)
class EventsRead:
    """What is read of events. `subjects` are the gravest, each with its first events."""

    subjects: Sequence[tuple[ActiveSubject, Sequence[StoredEvent]]]
    every: Sequence[ActiveSubject]
    changes: ChangeCounts
    began: Sequence[StoredEvent]
    ended: Sequence[StoredEvent]


async def _made(request: web.Request, service: Service, snapshot: Snapshot) -> Overview:
    now = service.clock()
    read = await service.store.read(_events(now), slow=True)
    hour, least = int(now // HOUR), page.least_probes(request)
    beats = await service.store.read(_beats(hour), slow=True)
    anchors = await service.store.read(reached.read_reached(hour, HOURS), slow=True)
    votes, care = snapshot.outcomes, page.care_of(request, snapshot)
    # The snapshot was made with them, and this page does not wait for newer ones.
    heard = service.monitor.newest.heard
    bad = matrix.worst(votes)
    rows = [(site, service.labels.category(site)) for site in bad[:SITES]]
    table = matrix.matrix(votes, rows, matrix.networks_of(votes), service.settings.quorum)
    ranked = sorted(table.rows, key=lambda row: row.weight)
    return Overview(
        subjects=[await _subject(request, *of, care) for of in read.subjects],
        more_subjects=len(read.every) - len(read.subjects),
        active=_counts(read.every),
        suspected=sum(one.events - one.confirmed for one in read.every),
        changes=read.changes,
        began=await events.shown(request, read.began, care),
        ended=await events.shown(request, read.ended, care),
        table=matrix.Matrix(table.networks, ranked, table.left_out),
        cells=partial(matrix.as_data, votes, bad, service.settings.quorum),
        more_sites=len(bad) - len(ranked),
        sites=len({where[0] for where in votes if where[0] != UNLISTED}),
        networks=_networks(snapshot, heard),
        heard=_by_hour(beats, hour, least),
        reached=reached.reached_by_hour(
            anchors, hour, HOURS, standings=snapshot.standings, least=least
        ),
        categories=_categories(votes, set(bad), service),
        probes=sum(row[3] for row in snapshot.active),
        hours=service.settings.window / 3600,
    )


def _events(now: float) -> Operation[EventsRead]:
    rows = yield Query("subjects_active")
    every = sorted((ActiveSubject(*row) for row in rows), key=_gravity)
    subjects = []
    for one in every[:SUBJECTS]:
        where = {"kind": one.kind, "target": one.target, "country": one.country}
        found = yield Query("events_active_of", {**where, "limit": NETWORKS_OF_SUBJECT})
        subjects.append((one, sorted(_stored(found), key=events.told_order)))
    ((*changes,),) = yield Query("changes_since", {"day": now - DAY, "week": now - WEEK})
    newest = {"since": now - WEEK, "limit": CHANGES}
    began = yield Query("events_began_newest", newest)
    ended = yield Query("events_ended_newest", newest)
    counts = ChangeCounts(*(int(n or 0) for n in changes))
    # By the hour: else one would see between which others a coarse event began or ended.
    return EventsRead(
        subjects,
        every,
        counts,
        sorted(_stored(began), key=events.told_order, reverse=True),
        sorted(_stored(ended), key=_order_of_end, reverse=True),
    )


def _order_of_end(one: StoredEvent) -> tuple[float, str]:
    ended = one.event.ended
    return (ended.by // HOUR if ended is not None else 0.0), one.id


def _stored(rows: Rows) -> list[StoredEvent]:
    return [storage.stored_event(row) for row in rows]


def _beats(hour: int) -> Operation[Rows]:
    """Numbers of probes by hour and country."""
    return (yield Query("heard_by_hour", {"since": hour - HOURS + 1}))


def _by_hour(rows: Rows, hour: int, least: int) -> list[HeardByHour]:
    """Countries with few probes are left out: a reader must not see when the only one was on."""
    found: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    for at, country, n in rows:
        if 0 <= at - (hour - HOURS + 1) < HOURS:
            found[country][at - (hour - HOURS + 1)] = n
    since = (hour - HOURS + 1) * HOUR
    return [
        HeardByHour(country, counts, since)
        for country, counts in sorted(found.items())
        if max(counts) >= least
    ]


def _gravity(one: ActiveSubject) -> tuple[bool, int, int, float]:
    """Confirmed ones first, then lines before sites, then by networks, then the newest."""
    return not one.confirmed, _GRAVITY[one.kind], -one.events, -one.newest


async def _subject(
    request: web.Request, one: ActiveSubject, first: Sequence[StoredEvent], care: Care
) -> OngoingSubject:
    shown = await events.shown(request, first, care)
    return OngoingSubject(
        kind=one.kind,
        target=one.target or None,
        category=shown[0].category,
        country=one.country,
        events=shown,
        networks=one.events,
        confirmed=one.confirmed,
        probes=one.probes,
    )


def _counts(every: Iterable[ActiveSubject]) -> dict[str, int]:
    """Confirmed events by kind."""
    found = dict.fromkeys(KIND_WORDS, 0)
    for one in every:
        found[one.kind] += one.confirmed
    return found


def _networks(snapshot: Snapshot, heard: Mapping[NetworkKey, int]) -> list[NetworkNow]:
    active: dict[NetworkKey, int] = defaultdict(int)
    for country, asn, _, n, _ in snapshot.active:
        active[country, asn] += n
    shares: dict[NetworkKey, list[tuple[float | None, float | None]]] = defaultdict(list)
    for country, asn, foreign, domestic in snapshot.anchors:
        shares[country, asn].append((domestic, foreign))
    found = [
        NetworkNow(
            country,
            asn,
            page.network_name(asn),
            active[country, asn],
            heard.get((country, asn), 0),
            page.mean(one[0] for one in shares[country, asn]),
            page.mean(one[1] for one in shares[country, asn]),
        )
        for country, asn in active
    ]
    return sorted(found, key=lambda one: (-one.active, one.country, one.asn))


def _categories(votes: matrix.Votes, bad: set[str], service: Service) -> list[CategoryNow]:
    sites: dict[str, set[str]] = defaultdict(set)
    for site in {where[0] for where in votes}:
        if category := service.labels.category(site):
            sites[category].add(site)
    found = [CategoryNow(code, len(of), len(of & bad)) for code, of in sites.items()]
    return sorted(found, key=lambda one: (-one.interfered, one.code))
