"""Export of records: JSON lines with all the evidence, CSV or Parquet with the columns.

Rule: a cell that a spreadsheet would take for a formula gets an apostrophe before it.
"""

import asyncio
import base64
import csv
import gzip
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from collector.store import Operation, Store, queries
from collector.store.queries import MeasurementSummary, Selection, StoredRecord

Format = Literal["jsonl", "csv", "parquet"]

# Records read at a time: their columns, or with all their evidence.
PAGE, EVIDENCE_PAGE = 200, 20
_DUCKDB = {"threads": 1, "memory_limit": "256MB", "preserve_insertion_order": True}
_HIDDEN = ("seq", "verdict")
COLUMNS = tuple(name for name in MeasurementSummary._fields if name not in _HIDDEN)
_INDEXES = tuple(MeasurementSummary._fields.index(name) for name in COLUMNS)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARQUET = {"lab": "BOOLEAN", "at": "DOUBLE", "asn": "BIGINT", "confidence": "DOUBLE"}
_PARQUET |= {"claimed_asn": "BIGINT", "voting": "BOOLEAN"}
TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def record_line(stored: StoredRecord) -> bytes | None:
    """A stored record as one JSON line, with its certificates; None when it is not readable.

    Its fields are not looked at, so that records of every version leave the store as they came.
    """
    try:
        fields = msgspec.json.decode(stored.body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    if stored.certs:
        certs = {sha256: base64.b64encode(der).decode() for sha256, der in stored.certs.items()}
        fields["certs"] = msgspec.Raw(msgspec.json.encode(certs))
    return msgspec.json.encode(fields)


@dataclass
class ExportTally:
    """How many records could not be exported, because what is stored is not readable."""

    unreadable: int = 0


async def lines(
    store: Store, selection: Selection, format_: Format, tally: ExportTally
) -> AsyncIterator[bytes]:
    """Yield the selected records, oldest first, as pieces of a JSONL or CSV file."""
    if format_ == "csv":
        yield csv_bytes([COLUMNS])
    cursor: int | None = None
    limit = PAGE if format_ == "csv" else EVIDENCE_PAGE
    while True:
        page, records = await store.read(_page(selection, cursor, format_, limit), slow=True)
        if not page:
            return
        cursor = page[-1].seq
        if format_ == "csv":
            yield csv_bytes([_cells(row) for row in page])
            continue
        made = [line for one in records if (line := record_line(one)) is not None]
        tally.unreadable += len(records) - len(made)
        yield b"".join(line + b"\n" for line in made)


def _page(
    selection: Selection, cursor: int | None, format_: Format, limit: int
) -> Operation[tuple[Sequence[MeasurementSummary], Sequence[StoredRecord]]]:
    page = yield from queries.page(selection, cursor=cursor, limit=limit, oldest_first=True)
    if format_ != "jsonl":
        return page, ()
    return page, (yield from queries.stored_many([row.seq for row in page]))


def _cells(row: MeasurementSummary) -> list[object]:
    return [row[index] for index in _INDEXES]


def csv_bytes(rows: Sequence[Sequence[object]]) -> bytes:
    """Rows as CSV, without cells that a spreadsheet would run as formulas."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


async def parquet(store: Store, selection: Selection, path: Path) -> None:
    """Write the selected records' columns to a Parquet file.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
    """
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl.gz"
        cursor: int | None = None
        with gzip.open(rows, "wb", compresslevel=1) as file:
            while True:
                page, _ = await store.read(_page(selection, cursor, "parquet", PAGE), slow=True)
                if not page:
                    break
                cursor = page[-1].seq
                for row in page:
                    named = dict(zip(COLUMNS, _cells(row), strict=True))
                    named |= {"lab": bool(row.lab), "voting": bool(row.voting)}
                    file.write(msgspec.json.encode(named) + b"\n")
        await asyncio.to_thread(_convert, duckdb, rows, path)


def _convert(duckdb: "object", rows: Path, path: Path) -> None:
    """Convert the rows as they are read, so that memory does not grow with their number."""
    types = ", ".join(f"\"{name}\": '{_PARQUET.get(name, 'VARCHAR')}'" for name in COLUMNS)
    source = f"read_json('{_quoted(rows)}', format = 'newline_delimited', columns = {{{types}}})"
    with duckdb.connect(config=_DUCKDB) as connection:  # type: ignore[attr-defined]
        into = f"TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
        connection.execute(f"COPY (SELECT * FROM {source}) {into}")  # noqa: S608 - constant names


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
