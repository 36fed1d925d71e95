"""POST /v1/measurements: a signed batch becomes rows, and every record gets an answer.

The way of a batch: type and size → signature over the bytes as sent → inflated within bounds → each
line decoded, checked and judged again by itself → one transaction → answered. A bad record costs
only itself; a store that fails costs the whole batch, which the probe then sends again.
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
from collector.store.keys import Network
from collector.store.measurements import Row
from probe import codec
from probe.api_types import BatchReply, RecordReply
from probe.model import Outcome, Record, Verdict

Parsed = Record | RecordReply


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch on its way: for each line a record or already an answer."""

    door: BatchContext
    parsed: Sequence[Parsed]

    @property
    def records(self) -> tuple[tuple[int, Record], ...]:
        found = enumerate(self.parsed)
        return tuple((line, record) for line, record in found if isinstance(record, Record))


async def post_measurements(request: web.Request) -> web.Response:
    """Take one batch."""
    service = request.app[SERVICE]
    if request.content_type != codec.BATCH_TYPE:
        raise Refused(415, "type", f"Content-Type {codec.BATCH_TYPE} expected")
    key, body = await signed_body(request, limit=service.settings.limits.body_bytes)
    began = time.perf_counter()
    origin = service.origin(request)
    door = BatchContext(key.key_id, key.role, service.settings.lab, service.clock(), origin)
    reply = await take(service, door, body)
    service.instruments.ingest_seconds.observe(time.perf_counter() - began)
    for status in ("stored", "duplicate", "rejected"):
        count = sum(one.status == status for one in reply.records)
        service.instruments.records.labels(key.role, status).inc(count)
    service.instruments.rejected.labels("record").inc(reply.rejected)
    return answer(reply)


async def take(service: Service, door: BatchContext, body: bytes) -> BatchReply:
    """Store what is good in a batch whose signature has been verified."""
    parsed = await service.run_in_worker(partial(_parse, body, door))
    batch = _Batch(door, parsed)
    seen = await _seen(service, batch)
    made = await service.run_in_worker(partial(_make, service, batch, seen))
    stored = await _store(service, door, made)
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


def _parse(body: bytes, door: BatchContext) -> tuple[Parsed, ...]:
    """Each line as a record, or as the reason why it is none."""
    try:
        lines = codec.unpack(body)
        found: list[Parsed] = []
        for number, line in enumerate(lines):
            if number >= codec.BATCH_RECORDS:
                message = f"batch of at most {codec.BATCH_RECORDS} records expected"
                raise Refused(413, "too_many", message)
            found.append(_parse_line(number, line, door))
    except codec.WireError as error:
        raise Refused(400, "malformed", str(error)) from error
    return tuple(found)


def _parse_line(number: int, line: bytes, door: BatchContext) -> Parsed:
    try:
        record = codec.decode(line)
    except codec.WireError as error:
        return RecordReply(line=number, status="rejected", reason=_one_line(str(error)))
    reason = record_row.refusal(record, door)
    if reason is None:
        return record
    return RecordReply(line=number, status="rejected", id=record.id[:64], reason=reason)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


async def _seen(service: Service, batch: _Batch) -> tuple[tuple[controls.Observation, ...], ...]:
    """What our own controls saw around each record; theirs are judged without."""
    records = batch.records
    if batch.door.role == "control" or not records:
        return ((),) * len(records)
    looks = [
        (record_row.key_input(r), record_row.event_time(r, batch.door.now)) for _, r in records
    ]
    return await service.store.read(controls.near(looks, within=controls.NEAR_SECONDS))


def _make(
    service: Service, batch: _Batch, seen: Sequence[tuple[controls.Observation, ...]]
) -> tuple[Row, ...]:
    judge = partial(_judge, service)
    return tuple(
        record_row.make_row(record, batch.door, shown=service.listed, judge=judge, seen=observed)
        for (_, record), observed in zip(batch.records, seen, strict=True)
    )


def _judge(service: Service, record: Record) -> Verdict:
    try:
        return service.judge(record)
    except Exception:  # noqa: BLE001 - see below
        # A bug in a rule must not cost a volunteer's evidence: it is kept, and judged again later.
        log.exception("bug while judging a record of experiment %s", record.experiment)
        service.instruments.judge_errors.inc()
        return Verdict(outcome=Outcome.INCONCLUSIVE)


async def _store(service: Service, door: BatchContext, made: Sequence[Row]) -> tuple[bool, ...]:
    if not made:
        return ()
    stored = await service.store.write(_written(door, made))
    service.snapshots.touch()
    if any(row.experiment in measurements.SERIES for row in made):
        service.watch.touch()
    if door.role == "control":
        service.rechecks.seen({row.input for row in made if row.observation is not None})
    return stored


def _written(door: BatchContext, made: Sequence[Row]) -> Operation[tuple[bool, ...]]:
    """One transaction: the records, their counts, and that this key is alive."""
    if (yield from keys.find_key(door.key_id)) is None:
        # It was taken back while this batch was on its way: nothing may come in behind it.
        raise Refused(401, "unknown_key", "this key is not enrolled here any more")
    stored = yield from measurements.ingest(made)
    last = max(made, key=lambda row: row.at)
    network = Network(last.country, last.asn, last.region)
    yield from keys.seen(door.key_id, last.at, network)
    return stored
