"""The endpoints for readers: records, verdicts, events, exports; cursors, and bounded pages."""

import asyncio
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from aiohttp import web

from collector import record_row, target_labels
from collector.admin import export
from collector.admin.export import Format
from collector.api.http import Refused, answer
from collector.detection.quorum import Event, TargetOnNetwork, Vote, detect
from collector.detection.shutdown import ShutdownCandidate
from collector.metrics.families import VoteCount, by_outcome, ratio
from collector.service import SERVICE, Service
from collector.store import Operation, queries
from collector.store.interface import Query
from collector.store.queries import MeasurementSummary, Selection

PAGE_LIMIT = 1000
EVENT_DAYS = 7.0
EVENT_DAYS_LIMIT = 90.0
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d{1,19}")


async def get_measurements(request: web.Request) -> web.Response:
    """A page of records, newest first unless `order=oldest`."""
    service, query = request.app[SERVICE], request.query
    limit = number(query, "limit", 100)
    cursor = number(query, "cursor", -1)
    order = query.get("order", "newest")
    if not 0 < limit <= PAGE_LIMIT or order not in {"newest", "oldest"}:
        message = f"limit: 1 to {PAGE_LIMIT}, order: newest or oldest expected"
        raise Refused(400, "malformed", message)
    operation = queries.page(
        selection(query),
        cursor=None if cursor < 0 else cursor,
        limit=limit,
        oldest_first=order == "oldest",
    )
    found = await service.store.read(operation, slow=True)
    following = str(found[-1].seq) if len(found) == limit else None
    return answer({"measurements": [_shown(row) for row in found], "next": following})


async def get_measurement(request: web.Request) -> web.Response:
    """One record with its evidence, and the collector's verdict on it."""
    service = request.app[SERVICE]
    found = await service.store.read(_one(request.match_info["id"]))
    if found is None:
        raise Refused(404, "unknown_record", "no record with this id is kept here")
    row, stored = found
    verdict = msgspec.Raw(row.verdict.encode()) if row.verdict else None
    record = msgspec.Raw(export.record_line(stored)) if stored else None
    judged = {
        "outcome": row.outcome,
        "stage": row.stage,
        "verdict": verdict,
        "ruleset": row.ruleset,
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
    wanted = selection(request.query)
    snapshot = await service.snapshots.snapshot()
    votes = [vote for vote in snapshot.votes if _is_wanted(vote, wanted)]
    found = await asyncio.to_thread(_verdicts, service, votes)
    return answer({"window_seconds": service.settings.window, "verdicts": found})


def _is_wanted(vote: VoteCount, wanted: Selection) -> bool:
    return (
        (not wanted.target or vote.target == wanted.target)
        and (not wanted.country or vote.country == wanted.country)
        and wanted.asn in {-1, vote.asn}
    )


def _verdicts(service: Service, votes: list[VoteCount]) -> list[dict[str, object]]:
    mechanisms: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    authorities: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    confirmed: dict[TargetOnNetwork, int] = defaultdict(int)
    newest: dict[TargetOnNetwork, float] = defaultdict(float)
    for vote in votes:
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
        for where, outcomes in sorted(by_outcome(votes).items())
    ]


async def get_events(request: web.Request) -> web.Response:
    """Events by kind, target and network.

    Also unconfirmed outages, which have no second source, and networks with too few probes.
    """
    service = request.app[SERVICE]
    now = service.clock()
    since = _instant_of(request.query, "since", now - EVENT_DAYS * 86400)
    if since < now - EVENT_DAYS_LIMIT * 86400:
        raise Refused(400, "malformed", f"since: at most {EVENT_DAYS_LIMIT:.0f} days ago expected")
    window, quorum = service.settings.window, service.settings.quorum
    votes = await service.store.read(_votes(since - window), slow=True)
    found = await asyncio.to_thread(detect, votes, now=now, window=window, quorum=quorum)
    detections = await service.monitor.detections()
    wanted = selection(request.query)
    every = sorted(merged(found, detections.events), key=lambda one: one.started_at, reverse=True)
    shown = [_event(one) for one in every if _is_wanted_event(one, wanted, since)]
    return answer(
        {
            "quorum": quorum,
            "window_seconds": window,
            "events": shown,
            "unconfirmed": [
                _unconfirmed(one)
                for one in detections.unconfirmed
                if _is_wanted_network(wanted, one.country, one.asn)
                and (one.ended_at is None or one.ended_at >= since)
            ],
            "too_few": [
                {"country": country, "asn": asn, "probes": n}
                for (country, asn), n in sorted(detections.too_few.items())
                if _is_wanted_network(wanted, country, asn)
            ],
        }
    )


def merged(quorum: Iterable[Event], detected: Iterable[Event]) -> list[Event]:
    """Both, without detected events that repeat an event of a quorum on the same target."""
    known = list(quorum)
    return [*known, *(one for one in detected if not any(_same(one, other) for other in known))]


def _same(one: Event, other: Event) -> bool:
    where = (one.kind, one.target, one.country, one.asn)
    return (
        where == (other.kind, other.target, other.country, other.asn)
        and (other.ended_at is None or other.ended_at >= one.started_at)
        and (one.ended_at is None or one.ended_at >= other.started_at)
    )


def _votes(since: float) -> Operation[list[Vote]]:
    rows = yield Query("votes_since", {"since": since})
    return [Vote(*row) for row in rows]


def _is_wanted_event(event: Event, wanted: Selection, since: float) -> bool:
    return (
        (event.ended_at is None or event.ended_at >= since)
        and (not wanted.target or event.target == wanted.target)
        and _is_wanted_network(wanted, event.country, event.asn)
    )


def _is_wanted_network(wanted: Selection, country: str, asn: int) -> bool:
    return (not wanted.country or country == wanted.country) and wanted.asn in {-1, asn}


def _unconfirmed(one: ShutdownCandidate) -> dict[str, object]:
    return {
        "country": one.country,
        "asn": one.asn,
        "started_at": instant_text(one.started_at),
        "ended_at": None if one.ended_at is None else instant_text(one.ended_at),
        "probes": one.probes,
        "active": one.ended_at is None,
        "why": "nothing else says so yet",
    }


def _event(event: Event) -> dict[str, object]:
    ended = None if event.ended_at is None else instant_text(event.ended_at)
    shown = {
        "active": ended is None,
        "started_at": instant_text(event.started_at),
        "ended_at": ended,
    }
    return {**event._asdict(), **shown}


async def get_export(request: web.Request) -> web.StreamResponse:
    """The selected records, oldest first, as one file."""
    service = request.app[SERVICE]
    format_ = cast("Format", request.query.get("format", "jsonl"))
    if format_ not in get_args(Format):
        raise Refused(400, "malformed", "format: jsonl, csv or parquet expected")
    wanted = selection(request.query)
    headers = {
        "Content-Type": export.TYPES[format_],
        "Content-Disposition": f'attachment; filename="measurements.{format_}"',
    }
    if format_ == "parquet":
        return await _parquet(service, wanted, headers)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    async for piece in export.lines(service.store, wanted, format_):
        await response.write(piece)
    await response.write_eof()
    return response


async def _parquet(
    service: Service, wanted: Selection, headers: Mapping[str, str]
) -> web.StreamResponse:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measurements.parquet"
        try:
            await export.parquet(service.store, wanted, file)
        except ModuleNotFoundError as error:
            message = "Parquet is not offered here: it needs qazprobe[analytics]"
            raise Refused(501, "no_parquet", message) from error
        body = await asyncio.to_thread(file.read_bytes)
    return web.Response(body=body, headers=headers)


def selection(query: Mapping[str, str]) -> Selection:
    """The records that a query string selects.

    Raises:
        Refused: A value is malformed.
    """
    asn = query.get("asn", "").upper().removeprefix("AS")
    if asn and not _NUMBER.fullmatch(asn):
        raise Refused(400, "malformed", "asn: a number expected")
    input_ = query.get("input", "")
    return Selection(
        target=query.get("target", ""),
        input=(target_labels.normalise(input_) or input_) if input_ else "",
        country=query.get("country", "").upper(),
        asn=min(int(asn), 2**32) if asn else -1,
        outcome=query.get("outcome", ""),
        experiment=query.get("experiment", ""),
        role=query.get("role", ""),
        since=_instant_of(query, "since", 0.0),
        until=_instant_of(query, "until", 1e12),
    )


def _instant_of(query: Mapping[str, str], name: str, default: float) -> float:
    text = query.get(name, "")
    if not text:
        return default
    at = record_row.instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    if at is None:
        message = f"{name}: a day (2026-11-21) or an RFC 3339 instant expected"
        raise Refused(400, "malformed", message)
    return at


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number in a query string.

    Raises:
        Refused: It is malformed.
    """
    text = query.get(name, "")
    if text and not _NUMBER.fullmatch(text):
        raise Refused(400, "malformed", f"{name}: a number expected")
    return min(int(text), queries.LAST) if text else default


def _shown(row: MeasurementSummary) -> dict[str, Any]:
    """A record's row, without the columns that the API does not have."""
    shown = row._asdict()
    for name in ("seq", "verdict", "at"):
        del shown[name]
    shown["lab"] = bool(row.lab)
    shown["mechanisms"] = row.mechanisms.split()
    shown["claim_mechanisms"] = row.claim_mechanisms.split()
    return shown


def instant_text(at: float) -> str:
    """A Unix time as an RFC 3339 instant."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
