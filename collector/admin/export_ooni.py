"""An export in OONI's format: what the collector found of each record, and the record as it came.

The time, the place and the verdict in OONI's keys are the collector's own, as in the columns of
every export. What only its hour may be shown of is left out: OONI's format has no form for it.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from collector.admin import export as exporting
from collector.admin.commands import output_file
from collector.admin.export import Exported, ExportTally
from collector.admin.export_packing import Packing, packed
from collector.store import Store
from probe import codec
from probe.interop.ooni.out.bucket_files import writing_buckets
from probe.interop.ooni.out.exporting import CountLine, OoniLine, OoniTally, converted, is_one_file
from probe.model import Mechanism, Outcome, Record, Stage, Verdict

COARSE = "shown to the hour only"
UNREADABLE = "not readable"


async def export(store: Store, wanted: Exported, output: str, packing: Packing) -> OoniTally:
    """Write the selected records to a folder of buckets, or to one file."""
    tally = OoniTally()
    line = CountLine(sys.stderr, lambda: f"{tally.written} measurements in OONI's format")
    found = measurements(store, wanted, tally, line.tick)
    try:
        if is_one_file(output):
            with output_file(output) as write:
                async for piece in packed(_texts(found), packing):
                    write(piece)
        else:
            with writing_buckets(Path(output)) as folder:
                async for one in found:
                    folder.add(one.bucket, one.text)
    finally:
        line.end()
    return tally


async def _texts(found: AsyncIterator[OoniLine]) -> AsyncIterator[bytes]:
    async for one in found:
        yield one.text + b"\n"


def summary(tally: OoniTally) -> Iterator[str]:
    """What was written, what was left out and why, and whose it is."""
    yield f"{tally.written} measurements in OONI's format"
    for (reason, experiment), number in tally.left_out.most_common():
        yield f"left out: {number} ({reason.format(experiment=experiment)})"
    if tally.foreign:
        from probe.interop.ooni.incoming.to_record import LICENCE

        yield LICENCE


async def measurements(
    store: Store, wanted: Exported, tally: OoniTally, tick: Callable[[], None] = lambda: None
) -> AsyncIterator[OoniLine]:
    """The selected records that are measurements of OONI's, in the order of their arrival."""
    unreadable = ExportTally()
    async for piece in exporting.lines(store, wanted, unreadable):
        for line in piece.splitlines():
            tick()
            one = _measurement(line, tally)
            if one is not None:
                yield one
    for _ in range(unreadable.unreadable):
        tally.leave_out(UNREADABLE)


def _measurement(line: bytes, tally: OoniTally) -> OoniLine | None:
    try:
        record = codec.check(line)
    except codec.CodecError:
        tally.leave_out(UNREADABLE)
        return None
    if _columns(record).get("coarse"):
        tally.leave_out(COARSE)
        return None
    return converted(as_found(record), line, tally)


def as_found(record: Record) -> Record:
    """The record with the time, the place and the verdict that the collector found."""
    columns = _columns(record)
    country, asn = columns.get("country"), columns.get("asn")
    place = replace(
        record.vantage,
        country=str(country) if country else None,
        asn=int(asn) if isinstance(asn, int | float) and asn > 0 else None,
        network=str(columns.get("network") or "") or None,
        role="control" if columns.get("role") == "control" else "probe",
    )
    # When it was by the collector's clock.
    at = columns.get("measured_at")
    started = at if isinstance(at, str) and at else record.started_at
    return replace(record, vantage=place, started_at=started, verdict=_verdict(record, columns))


def _columns(record: Record) -> dict[str, object]:
    return dict(record.collector) if isinstance(record.collector, dict) else {}


def _verdict(record: Record, columns: dict[str, object]) -> Verdict | None:
    """The collector's own verdict; None where it did not judge the record."""
    try:
        outcome = Outcome(str(columns.get("outcome")))
    except ValueError:
        return None
    named = str(columns.get("mechanisms") or "").split()
    layer = str(columns.get("rule") or "").partition(".")[0]
    # The columns have them in alphabetical order; the deciding rule's own layer comes first.
    ordered = sorted(named, key=lambda mechanism: not mechanism.startswith(f"{layer}."))
    known = {each.value: each for each in Mechanism}
    stage = record.verdict.stage if record.verdict else Stage.SUSPECTED
    mechanisms = tuple(known[name] for name in ordered if name in known)
    return Verdict(outcome=outcome, mechanisms=mechanisms, stage=stage)
