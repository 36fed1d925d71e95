"""POST /v1/measurements: store the records of a signed batch, and reply for each of them.

Steps: type and size → signature over the bytes as sent → inflate, bounded → decode, check and judge
each line by itself → one transaction → reply. A bad record is rejected alone; when the store fails,
the whole batch fails and the probe sends it again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from collector import controls, record_row
from collector.api.auth import signed_body
from collector.api.http import Refused, answer, log
from collector.record_row import BatchContext
from collector.service import SERVICE, Service
from collector.store import Operation, keys, measurements
from collector.store.keys import ProbeNetwork
from collector.store.measurements import MeasurementRow
from probe import codec
from probe.api_types import BatchReply, RecordReply
from probe.model import Outcome, Record, Verdict

Parsed = Record | RecordReply


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch: for each line a record, or the reply that rejects it."""

    context: BatchContext
    parsed: Sequence[Parsed]

    @property
    def records(self) -> tuple[tuple[int, Record], ...]:
        found = enumerate(self.parsed)
        return tuple((line, record) for line, record in found if isinstance(record, Record))


async def post_measurements(request: web.Request) -> web.Response:
    """Store one batch."""
    service = request.app[SERVICE]
    if request.content_type != codec.BATCH_TYPE:
        raise Refused(415, "type", f"Content-Type {codec.BATCH_TYPE} expected")
    key, body = await signed_body(request, limit=service.settings.limits.body_bytes)
    began = time.perf_counter()
    origin = service.origin(request)
    context = BatchContext(key.key_id, key.role, service.settings.lab, service.clock(), origin)
    reply = await take(service, context, body)
    service.instruments.ingest_seconds.observe(time.perf_counter() - began)
    for status in ("stored", "duplicate", "rejected"):
        count = sum(one.status == status for one in reply.records)
        service.instruments.records.labels(key.role, status).inc(count)
    service.instruments.rejected.labels("record").inc(reply.rejected)
    return answer(reply)


async def take(service: Service, context: BatchContext, body: bytes) -> BatchReply:
    """Store the valid records of a batch whose signature has been verified."""
    parsed = await service.run_in_worker(partial(_parse, body, context))
    batch = _Batch(context, parsed)
    seen = await _seen(service, batch)
    rows = await service.run_in_worker(partial(_make_rows, service, batch, seen))
    stored = await _store(service, context, rows)
    answers = dict(zip((line for line, _ in batch.records), stored, strict=True))
    replies = tuple(
        one
        if isinstance(one, RecordReply)
        else RecordReply(line=line, status="stored" if answers[line] else "duplicate", id=one.id)
        for line, one in enumerate(parsed)
    )
    return BatchReply(
        stored=sum(one.status == "stored" for one in replies),
        duplicates=sum(one.status == "duplicate" for one in replies),
        rejected=sum(one.status == "rejected" for one in replies),
        records=replies,
    )


def _parse(body: bytes, context: BatchContext) -> tuple[Parsed, ...]:
    """Each line as a record, or as the reply that rejects it."""
    try:
        lines = codec.unpack(body)
        found: list[Parsed] = []
        for number, line in enumerate(lines):
            if number >= codec.BATCH_RECORDS:
                message = f"batch of at most {codec.BATCH_RECORDS} records expected"
                raise Refused(413, "too_many", message)
            found.append(_parse_line(number, line, context))
    except codec.CodecError as error:
        raise Refused(400, "malformed", str(error)) from error
    return tuple(found)


def _parse_line(number: int, line: bytes, context: BatchContext) -> Parsed:
    try:
        record = codec.decode(line)
    except codec.CodecError as error:
        return RecordReply(line=number, status="rejected", reason=_one_line(str(error)))
    reason = record_row.refusal(record, context)
    if reason is None:
        return record
    return RecordReply(line=number, status="rejected", id=record.id[:64], reason=reason)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


async def _seen(service: Service, batch: _Batch) -> tuple[tuple[controls.Observation, ...], ...]:
    """The observations of controls around each record; none for records of controls."""
    records = batch.records
    if batch.context.role == "control" or not records:
        return ((),) * len(records)
    wanted = [
        (record_row.key_input(r), record_row.event_time(r, batch.context.now)) for _, r in records
    ]
    return await service.store.read(controls.near(wanted, within=controls.NEAR_SECONDS))


def _make_rows(
    service: Service, batch: _Batch, seen: Sequence[tuple[controls.Observation, ...]]
) -> tuple[MeasurementRow, ...]:
    judge = partial(_judge, service)
    return tuple(
        record_row.make_row(
            record, batch.context, labels=service.labels, judge=judge, seen=observed
        )
        for (_, record), observed in zip(batch.records, seen, strict=True)
    )


def _judge(service: Service, record: Record) -> Verdict:
    try:
        return service.judge(record)
    except Exception:  # noqa: BLE001 - see below
        # Despite a bug in a rule the evidence is kept, and can be judged again later.
        log.exception("bug while judging a record of experiment %s", record.experiment)
        service.instruments.judge_errors.inc()
        return Verdict(outcome=Outcome.INCONCLUSIVE)


async def _store(
    service: Service, context: BatchContext, rows: Sequence[MeasurementRow]
) -> tuple[bool, ...]:
    if not rows:
        return ()
    stored = await service.store.write(_write(context, rows))
    service.snapshots.touch()
    if any(row.experiment in measurements.SERIES for row in rows):
        service.monitor.touch()
    if context.role == "control":
        service.rechecks.observed({row.input for row in rows if row.observation is not None})
    return stored


def _write(context: BatchContext, rows: Sequence[MeasurementRow]) -> Operation[tuple[bool, ...]]:
    """One transaction: the records, their counts, and that the key is alive."""
    if (yield from keys.find_key(context.key_id)) is None:
        # Erased while this batch was in transit: no record may be stored after that.
        raise Refused(401, "unknown_key", "this key is not enrolled here any more")
    stored = yield from measurements.ingest(rows)
    last = max(rows, key=lambda row: row.at)
    network = ProbeNetwork(last.country, last.asn, last.region)
    yield from keys.mark_seen(context.key_id, last.at, network)
    return stored
