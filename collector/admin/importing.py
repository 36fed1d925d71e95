"""Import records from files: written by a probe with `-o`, or exported by another collector.

Rule: these records carry no signature, so the operator answers for them. They are checked and
judged like uploaded ones, and each named source has one vote.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from collector import controls, record_row
from collector.record_row import BatchContext, Judge, Proof
from collector.store import Store, keys, measurements
from collector.store.measurements import MeasurementRow
from collector.target_labels import TargetLabels
from probe import codec
from probe.model import Record


@dataclass(frozen=True, slots=True)
class Imported:
    """Counts of imported lines; `complaints` has one message for each that was refused."""

    stored: int = 0
    duplicates: int = 0
    complaints: tuple[str, ...] = ()


def key_of(name: str) -> str:
    """The key id for a named source."""
    return hashlib.sha256(f"import:{name}".encode()).hexdigest()[:32]


async def import_lines(
    store: Store,
    lines: Iterable[bytes],
    *,
    context: BatchContext,
    source: str,
    labels: TargetLabels,
    judge: Judge,
) -> Imported:
    """Store the valid records among these lines."""
    await store.write(keys.add_source(context.key_id))
    done = Imported()
    numbered = enumerate(lines, 1)
    while group := list(islice(numbered, codec.BATCH_RECORDS)):
        good, bad = _read(group, context, source)
        done = replace(done, complaints=(*done.complaints, *bad))
        wanted = [
            (record_row.key_input(one), record_row.event_time(one, context.now)) for one in good
        ]
        seen = await store.read(controls.near(wanted, within=controls.NEAR_SECONDS))
        made = [
            _row(record, context, labels=labels, judge=judge, seen=near)
            for record, near in zip(good, seen, strict=True)
        ]
        stored = await store.write(measurements.ingest(made))
        done = replace(
            done,
            stored=done.stored + sum(stored),
            duplicates=done.duplicates + len(stored) - sum(stored),
        )
    return done


def _row(
    record: Record,
    context: BatchContext,
    *,
    labels: TargetLabels,
    judge: Judge,
    seen: Sequence[controls.Observation],
) -> MeasurementRow:
    is_control = record.vantage.role == "control"
    context = replace(context, role=record.vantage.role)
    near = () if is_control else seen
    row = record_row.make_row(record, context, labels=labels, judge=judge, proof=Proof(near))
    observed = controls.observation_of(record) if is_control else None
    return msgspec.structs.replace(row, observation=observed)


def _read(
    group: Iterable[tuple[int, bytes]], context: BatchContext, source: str
) -> tuple[list[Record], list[str]]:
    good: list[Record] = []
    bad: list[str] = []
    for number, record in _decoded(group):
        reason = record
        if isinstance(record, Record):
            reason = record_row.refusal(record, replace(context, role=record.vantage.role)) or ""
        if isinstance(record, Record) and not reason:
            good.append(record)
        else:
            bad.append(f"{source}:{number}: {reason}")
    return good, bad


def _decoded(group: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Record | str]]:
    for number, line in group:
        if not line.strip():
            continue
        try:
            yield number, codec.decode(line.strip())
        except codec.CodecError as error:
            yield number, " ".join(str(error).split())[:200]
