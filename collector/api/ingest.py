"""POST /v1/measurements: keep the records of a signed batch, and reply for each of them.

Steps: type and size → signature over the bytes as sent → inflate, bounded → decode and check each
line by itself → one transaction → reply. A bad record is rejected alone; when the store fails, the
whole batch fails and the probe sends it again. What was kept is judged afterwards, elsewhere.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from aiohttp import web

from collector import controls, record_row
from collector.api.auth import SignedRequest, signed_request
from collector.api.http import Refused, answer, log
from collector.record_row import BatchContext
from collector.service import SERVICE, Service
from collector.store import Operation, backlog
from collector.store.backlog import NewBatch, NewObservation
from probe import codec
from probe.api_types import BatchReply, RecordReply
from probe.model import Record

# A batch of more bytes is parsed in a thread, so that the others go on meanwhile.
_LARGE = 64 * 1024
# After so long a probe may try again when too much waits to be judged.
_BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What is needed of an accepted record until it is kept."""

    id: str
    input: str
    at: float
    observation: bytes | None


_Parsed = _Accepted | RecordReply


async def post_measurements(request: web.Request) -> web.Response:
    """Keep one batch."""
    service = request.app[SERVICE]
    if request.content_type != codec.BATCH_TYPE:
        raise Refused(415, "type", f"Content-Type {codec.BATCH_TYPE} expected")
    signed = await signed_request(request, limit=service.settings.limits.body_bytes)
    key = signed.key
    if service.backlog.full:
        message = "more is waiting to be judged than is kept; try again later"
        raise Refused(503, "backlog", message, retry_after=_BUSY_SECONDS)
    began = time.perf_counter()
    origin = service.origin(request)
    context = BatchContext(key.key_id, key.role, service.settings.lab, service.clock(), origin)
    with service.ingesting:
        reply = await take(service, context, signed)
    service.instruments.ingest_seconds.observe(time.perf_counter() - began)
    for status in ("stored", "duplicate", "rejected"):
        count = sum(one.status == status for one in reply.records)
        service.instruments.records.labels(key.role, status).inc(count)
    service.instruments.rejected.labels("record").inc(reply.rejected)
    return answer(reply)


async def take(service: Service, context: BatchContext, signed: SignedRequest) -> BatchReply:
    """Keep the valid records of a batch whose signature has been verified."""
    parse = partial(_parse, signed.body, context)
    parsed = await service.run_in_worker(parse) if len(signed.body) > _LARGE else parse()
    kept = await _keep(service, context, signed, parsed)
    replies = tuple(
        one
        if isinstance(one, RecordReply)
        else RecordReply(line=line, status="stored" if line in kept else "duplicate", id=one.id)
        for line, one in enumerate(parsed)
    )
    return BatchReply(
        stored=sum(one.status == "stored" for one in replies),
        duplicates=sum(one.status == "duplicate" for one in replies),
        rejected=sum(one.status == "rejected" for one in replies),
        records=replies,
    )


def _parse(body: bytes, context: BatchContext) -> tuple[_Parsed, ...]:
    """What is needed of each line, or the reply that rejects it."""
    try:
        lines = codec.unpack(body)
        found: list[_Parsed] = []
        for number, line in enumerate(lines):
            if number >= codec.BATCH_RECORDS:
                message = f"batch of at most {codec.BATCH_RECORDS} records expected"
                raise Refused(413, "too_many", message)
            found.append(_parse_line(number, line, context))
    except codec.CodecError as error:
        raise Refused(400, "malformed", str(error)) from error
    return tuple(found)


def _parse_line(number: int, line: bytes, context: BatchContext) -> _Parsed:
    try:
        record = codec.decode(line)
    except codec.CodecError as error:
        return RecordReply(line=number, status="rejected", reason=_one_line(str(error)))
    reason = record_row.refusal(record, context)
    if reason is not None:
        return RecordReply(line=number, status="rejected", id=record.id[:64], reason=reason)
    if context.role != "control":
        return _Accepted(record.id, "", 0.0, None)
    at = record_row.event_time(record, context.now)
    return _Accepted(record.id, record_row.key_input(record), at, _observation(record))


def _observation(record: Record) -> bytes | None:
    """What a control observed: it is given to probes before its record is judged."""
    try:
        return controls.observation_of(record)
    except Exception:  # noqa: BLE001 - the record is kept despite a bug
        log.exception("bug while trimming a record of experiment %s", record.experiment)
        return None


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


async def _keep(
    service: Service, context: BatchContext, signed: SignedRequest, parsed: Sequence[_Parsed]
) -> frozenset[int]:
    """Keep what was accepted; return the lines that were not there before."""
    accepted = [(line, one) for line, one in enumerate(parsed) if isinstance(one, _Accepted)]
    if not accepted:
        return frozenset()
    batch = NewBatch(
        key_id=context.key_id,
        role=context.role,
        received_at=context.now,
        context=msgspec.json.encode(context).decode(),
        body=signed.body,
        records=[(line, one.id) for line, one in accepted],
        observations=[
            NewObservation(line, one.id, one.input, one.at, one.observation)
            for line, one in accepted
            if one.observation is not None
        ],
    )
    kept = await service.store.write(_write(signed, batch))
    service.backlog.added(len(kept))
    service.judging.wake()
    if context.role == "control":
        service.rechecks.observed({one.input for _, one in accepted if one.observation})
    return kept


def _write(signed: SignedRequest, batch: NewBatch) -> Operation[frozenset[int]]:
    """One transaction: the key still exists and sent this once; the batch, its observations."""
    yield from signed.accept()
    return (yield from backlog.add(batch))
