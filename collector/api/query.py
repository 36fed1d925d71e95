"""The endpoints for readers: records and verdicts; cursors, and bounded pages."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from aiohttp import web

from collector.admin import export
from collector.api import parameters
from collector.api.http import Refused, answer, instant_text
from collector.api.parameters import Cursor, Limit, PlaceParameters, SelectionParameters
from collector.metrics.counting import VoteCount, by_outcome, ratio
from collector.service import SERVICE, Service
from collector.store import Operation, queries
from collector.store.queries import MeasurementSummary, Selection

if TYPE_CHECKING:
    from collector.detection.quorum import TargetOnNetwork

_ID = re.compile("[0-9A-Za-z-]{1,64}")


class PageParameters(SelectionParameters, frozen=True, kw_only=True):
    """Which records are wanted, and which page of them."""

    limit: Limit = 100
    cursor: Cursor | None = None
    order: Literal["newest", "oldest"] = "newest"


async def get_measurements(request: web.Request) -> web.Response:
    """A page of records, newest first unless `order=oldest`."""
    service, asked = request.app[SERVICE], parameters.of(request, PageParameters)
    operation = queries.page(
        asked.selection(),
        cursor=asked.cursor,
        limit=asked.limit,
        oldest_first=asked.order == "oldest",
    )
    found = await service.store.read(operation, slow=True)
    following = str(found[-1].seq) if len(found) == asked.limit else None
    return answer({"measurements": [_shown(row) for row in found], "next": following})


async def get_measurement(request: web.Request) -> web.Response:
    """One record with its evidence, and the collector's verdict on it."""
    service = request.app[SERVICE]
    id_ = request.match_info["id"]
    found = await service.store.read(_one(id_)) if _ID.fullmatch(id_) else None
    if found is None:
        raise Refused(404, "unknown_record", "no record with this id is kept here")
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
    return answer({"record": record, "judged": judged, "authority": row.authority or None})


def _one(id_: str) -> Operation[tuple[MeasurementSummary, queries.StoredRecord | None] | None]:
    seq = yield from queries.find(id_)
    if seq is None:
        return None
    row = yield from queries.summary(seq)
    return (row, (yield from queries.stored(seq))) if row else None


async def get_verdicts(request: web.Request) -> web.Response:
    """The current verdicts on each target and network: one key, one vote."""
    service = request.app[SERVICE]
    asked = parameters.of(request, PlaceParameters)

    async def make() -> list[dict[str, object]]:
        snapshot = await service.snapshots.snapshot()
        return await asyncio.to_thread(_verdicts, service, snapshot.votes, asked.place())

    found = await service.results.get(("verdicts", asked), service.snapshots.revision, make)
    return answer({"window_seconds": service.settings.window, "verdicts": found})


def _is_wanted(vote: VoteCount, wanted: Selection) -> bool:
    return (
        (not wanted.target or vote.target == wanted.target)
        and (not wanted.country or vote.country == wanted.country)
        and wanted.asn in {-1, vote.asn}
    )


def _verdicts(
    service: Service, votes: Iterable[VoteCount], wanted: Selection
) -> list[dict[str, object]]:
    mechanisms: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    authorities: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    confirmed: dict[TargetOnNetwork, int] = defaultdict(int)
    newest: dict[TargetOnNetwork, float] = defaultdict(float)
    shown = [vote for vote in votes if _is_wanted(vote, wanted)]
    for vote in shown:
        where = (vote.target, vote.country, vote.asn)
        for word in vote.mechanisms.split():
            mechanisms[where][word] += vote.n
        if vote.authority:
            authorities[where][vote.authority] += vote.n
        confirmed[where] += vote.confirmed
        newest[where] = max(newest[where], vote.newest)
    return [
        {
            "target": where[0],
            "category": service.labels.category(where[0]),
            "country": where[1],
            "asn": where[2],
            "probes": outcomes,
            "interference_ratio": ratio(outcomes),
            "confirmed": confirmed[where],
            "mechanisms": mechanisms[where],
            "authorities": authorities[where],
            "newest": instant_text(newest[where]),
        }
        for where, outcomes in sorted(by_outcome(shown).items())
    ]


def _shown(row: MeasurementSummary) -> dict[str, Any]:
    """A record's row, without the columns that the API does not have."""
    shown = row._asdict()
    for name in ("seq", "verdict", "at"):
        del shown[name]
    shown["lab"] = bool(row.lab)
    shown["voting"] = bool(row.voting)
    shown["mechanisms"] = row.mechanisms.split()
    shown["claim_mechanisms"] = row.claim_mechanisms.split()
    return shown
