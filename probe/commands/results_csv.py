"""`qazprobe results export --format csv`: one row for each record."""

import csv
import io
from collections.abc import Iterable, Iterator

from probe.escape import cell
from probe.runner.results import RecordHeader

_COLUMNS = (
    "id",
    "run",
    "started_at",
    "experiment",
    "input",
    "category",
    "country",
    "asn",
    "network",
    "region",
    "outcome",
    "mechanisms",
    "stage",
    "confidence",
    "rules",
    "reason",
    "lab",
)


def rows(chosen: Iterable[tuple[RecordHeader, bytes]]) -> Iterator[bytes]:
    """The column names, and one row for each record with a verdict."""
    yield _row(_COLUMNS)
    for header, _line in chosen:
        if header.verdict is not None:
            yield _row(_cells(header))


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([cell(one) for one in cells])
    return text.getvalue().encode("utf-8", "replace")


def _cells(header: RecordHeader) -> Iterator[str]:
    verdict, vantage = header.verdict, header.vantage
    yield from (header.id, header.run, header.started_at, header.experiment, header.input)
    yield from (header.category or "", vantage.country or "", str(vantage.asn or ""))
    yield from (vantage.network or "", vantage.region or "")
    if verdict is not None:
        yield from (verdict.outcome, ";".join(verdict.mechanisms), verdict.stage)
        yield from (f"{verdict.confidence:g}", ";".join(hit.id for hit in verdict.rules))
        yield verdict.rules[0].reason if verdict.rules else ""
        yield "true" if header.lab else "false"
