"""The endpoints for readers: records and verdicts; cursors, and bounded pages."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from collector.admin import export
from collector.api import paging, parameters, readers
from collector.api.http import Refused, instant_text
from collector.api.lists import ListFormat, RowsPage, give_json, give_page
from collector.api.parameters import Cursor, Limit, PlaceParameters, SelectionParameters
from collector.care import Care, coarsened, hour_of, is_within
from collector.metrics.counting import VoteCount, by_outcome, ratio
from collector.service import SERVICE, Service
from collector.store import Operation, queries
from collector.store.queries import MeasurementSummary, Selection, ShownPlace

if TYPE_CHECKING:
    from collector.detection.quorum import TargetOnNetwork

_ID = re.compile("[0-9A-Za-z-]{1,64}")
_UNKNOWN = "no record with this id is shown here"

Share = Annotated[float, Meta(ge=0, le=1)]
Number = Annotated[int, Meta(ge=0)]


class ListedMeasurement(msgspec.Struct, frozen=True, kw_only=True):
    """One record.

    Attributes:
        id, run, region, claimed_country, claimed_asn: None where the row is coarse.
        started_at: When it was measured; where the row is coarse, the beginning of that hour.
        coarse: Few probes measure on this network, so the row does not tell which one this was.
        claim, claim_mechanisms: What the probe concluded.
        outcome, mechanisms, stage, confidence, ruleset: What the collector concluded.
    """

    id: str | None
    run: str | None
    role: str
    lab: bool
    experiment: str
    input: str
    target: str
    category: str
    started_at: str
    country: str
    asn: Number
    region: str | None
    network: str
    version: str
    claim: str
    claim_mechanisms: list[str]
    outcome: str
    mechanisms: list[str]
    stage: str
    confidence: Share
    ruleset: str
    authority: str
    claimed_country: str | None
    claimed_asn: Number | None
    voting: bool
    doubts: str
    unjudged: str
    coarse: bool


class MeasurementPage(RowsPage, frozen=True, kw_only=True):
    """A page of records; `next` is the cursor of the page after it."""

    measurements: list[ListedMeasurement]
    next: str | None


class CollectorVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The collector's verdict on one record."""

    outcome: str
    stage: str
    verdict: dict[str, Any] | None
    ruleset: str
    unjudged: str | None


class MeasurementReply(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it was sent (None when its evidence is gone), and the collector's verdict."""

    record: dict[str, Any] | None
    judged: CollectorVerdict
    authority: str | None


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest verdicts say of one target on one network.

    Attributes:
        probes: Number of probes by outcome; mechanisms, authorities: by what they saw.
        confirmed: Number of probes that saw it in more than one run.
        newest: When the newest of them was measured; to the hour where the row is coarse.
    """

    target: str
    category: str
    country: str
    asn: Number
    probes: dict[str, int]
    interference_ratio: Share | None
    confirmed: Number
    mechanisms: dict[str, int]
    authorities: dict[str, int]
    newest: str
    coarse: bool


class VerdictPage(RowsPage, frozen=True, kw_only=True):
    """The current verdicts; a probe's newest one counts for `window_seconds`."""

    verdicts: list[VerdictRow]
    next: str | None
    window_seconds: float


class PageParameters(SelectionParameters, frozen=True, kw_only=True):
    """Which records are wanted, and which page of them."""

    limit: Limit = 100
    cursor: Cursor | None = None
    order: Literal["newest", "oldest"] = "newest"
    format: ListFormat | None = None


class VerdictParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which verdicts are wanted; all in one page unless there is a limit."""

    limit: Limit | None = None
    cursor: Cursor | None = None
    format: ListFormat | None = None


async def get_measurements(request: web.Request) -> web.Response:
    """A page of records, newest first unless `order=oldest`; within an hour in any order."""
    service, asked = request.app[SERVICE], parameters.of(request, PageParameters)
    care = await readers.care_for(request)
    cursor = None if asked.cursor is None else paging.key_of(service, asked.cursor, _place_of(care))

    async def make() -> MeasurementPage:
        found, last = await service.store.read(_page(asked, cursor, care), slow=True)
        full = len(found) == asked.limit
        following = paging.cursor_of(service, last) if full else None
        wanted = asked.selection()
        rows = [row for one in found if (row := _row(one, care, wanted)) is not None]
        return MeasurementPage(measurements=rows, next=following)

    key = ("measurements", msgspec.structs.replace(asked, format=None), care.least)
    page = await service.results.get(key, service.snapshots.revision, make)
    return await give_page(request, page, asked.format)


def _place_of(care: Care) -> type[int | ShownPlace]:
    """What a cursor holds: the operator reads by arrival, the public by the hour."""
    return int if care.least <= 1 else ShownPlace


def _page(
    asked: PageParameters, cursor: int | ShownPlace | None, care: Care
) -> Operation[tuple[Sequence[MeasurementSummary], int | ShownPlace | None]]:
    """A page of records, and where the last of them is."""
    wanted, oldest_first = care.widened(asked.selection()), asked.order == "oldest"
    last: int | ShownPlace | None
    if care.least > 1:
        after = cursor if isinstance(cursor, ShownPlace) else None
        found, last = yield from queries.shown_page(
            wanted, cursor=after, limit=asked.limit, oldest_first=oldest_first
        )
    else:
        number = cursor if isinstance(cursor, int) else None
        found = yield from queries.page(
            wanted, cursor=number, limit=asked.limit, oldest_first=oldest_first
        )
        last = found[-1].seq if found else None
    yield from care.learn_rows(found)
    return found, last


async def get_measurement(request: web.Request) -> web.Response:
    """One record with its evidence, and the collector's verdict on it."""
    service, care = request.app[SERVICE], await readers.care_for(request)
    id_ = request.match_info["id"]
    found = await service.store.read(one_shown(id_, care)) if _ID.fullmatch(id_) else None
    if found is None:
        # The same for an id that is not here and one that is not shown: a reader who found an id on
        # a seized machine must not learn whether the record was sent.
        raise Refused(404, "unknown_record", _UNKNOWN)
    row, stored = found
    verdict = msgspec.Raw(row.verdict.encode()) if row.verdict else None
    line = export.record_line(stored) if stored else None
    if stored and line is None:
        service.instruments.unreadable.inc()
    record = msgspec.Raw(line) if line else None
    judged = {
        "outcome": row.outcome,
        "stage": row.stage,
        "verdict": verdict,
        "ruleset": row.ruleset,
        "unjudged": row.unjudged or None,
    }
    shown = {"record": record, "judged": judged, "authority": row.authority or None}
    return await give_json(request, shown)


def one_shown(
    id_: str, care: Care
) -> Operation[tuple[MeasurementSummary, queries.StoredRecord | None] | None]:
    """One record with its evidence; None when there is none, or this reader may not see it."""
    seq = yield from queries.find(id_)
    if seq is None:
        return None
    row = yield from queries.summary(seq)
    if row is None:
        return None
    yield from care.learn_rows([row])
    return None if care.hides(row) else (row, (yield from queries.stored(seq)))


async def get_verdicts(request: web.Request) -> web.Response:
    """The current verdicts on each target and network: one key, one vote."""
    service = request.app[SERVICE]
    asked = parameters.of(request, VerdictParameters)
    least = readers.least_probes(request)
    place = asked.place()

    async def make() -> list[VerdictRow]:
        snapshot = await service.snapshots.snapshot()
        votes = [vote for vote in snapshot.votes if _is_wanted(vote, place)]
        looks = {(one.country, one.asn, one.newest) for one in votes}
        care = await readers.learned(request, looks)
        return await asyncio.to_thread(_verdicts, service, votes, care)

    key = ("verdicts", place, least)
    found = await service.results.get(key, service.snapshots.revision, make)
    rows, following = paging.part(
        service,
        found,
        lambda row: (row.target, row.country, row.asn),
        tuple[str, str, int],
        cursor=asked.cursor,
        limit=asked.limit,
    )
    window = service.settings.window
    page = VerdictPage(verdicts=rows, next=following, window_seconds=window)
    return await give_page(request, page, asked.format)


def _is_wanted(vote: VoteCount, wanted: Selection) -> bool:
    return (
        (not wanted.target or vote.target == wanted.target)
        and (not wanted.country or vote.country == wanted.country)
        and wanted.asn in {-1, vote.asn}
    )


def _verdicts(service: Service, votes: Iterable[VoteCount], care: Care) -> list[VerdictRow]:
    shown = list(votes)
    mechanisms: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    authorities: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    confirmed: dict[TargetOnNetwork, int] = defaultdict(int)
    newest: dict[TargetOnNetwork, float] = defaultdict(float)
    for vote in shown:
        where = (vote.target, vote.country, vote.asn)
        for word in vote.mechanisms.split():
            mechanisms[where][word] += vote.n
        if vote.authority:
            authorities[where][vote.authority] += vote.n
        confirmed[where] += vote.confirmed
        newest[where] = max(newest[where], vote.newest)
    rows = []
    for where, outcomes in sorted(by_outcome(shown).items()):
        coarse = care.is_coarse(where[1], where[2], newest[where])
        at = hour_of(newest[where]) if coarse else newest[where]
        row = VerdictRow(
            target=where[0],
            category=service.labels.category(where[0]),
            country=where[1],
            asn=where[2],
            probes=outcomes,
            interference_ratio=ratio(outcomes),
            confirmed=confirmed[where],
            mechanisms=dict(mechanisms[where]),
            authorities=dict(authorities[where]),
            newest=instant_text(at),
            coarse=coarse,
        )
        rows.append(row)
    return rows


def _row(one: MeasurementSummary, care: Care, wanted: Selection) -> ListedMeasurement | None:
    """A record's row; None when what it shows lies outside of what is wanted."""
    coarse = care.hides(one)
    if not is_within(one, wanted, coarse=coarse):
        return None
    shown: dict[str, Any] = one._asdict()
    if coarse:
        shown = coarsened(shown) | {"started_at": instant_text(hour_of(one.at))}
    shown["lab"] = bool(one.lab)
    shown["voting"] = bool(one.voting)
    shown["mechanisms"] = one.mechanisms.split()
    shown["claim_mechanisms"] = one.claim_mechanisms.split()
    names = ListedMeasurement.__struct_fields__
    return ListedMeasurement(
        **{name: shown[name] for name in names if name in shown}, coarse=coarse
    )
