"""Export of records: JSON lines with all the evidence, CSV or Parquet with the columns.

Rule: a cell that a spreadsheet would take for a formula gets an apostrophe before it.
"""

import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from collector.store import Operation, Store, queries
from collector.store.queries import MeasurementSummary, Selection, StoredRecord
from probe import codec
from probe.model import Record

Format = Literal["jsonl", "csv", "parquet"]

PAGE = 200
_HIDDEN = ("seq", "verdict")
COLUMNS = tuple(name for name in MeasurementSummary._fields if name not in _HIDDEN)
_INDEXES = tuple(MeasurementSummary._fields.index(name) for name in COLUMNS)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARQUET = {"lab": "BOOLEAN", "at": "DOUBLE", "asn": "BIGINT", "confidence": "DOUBLE"}
TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def record_line(stored: StoredRecord) -> bytes:
    """A stored record as one JSON line, with its certificates."""
    import base64

    record = msgspec.json.decode(stored.body, type=Record)
    certs = {sha256: base64.b64encode(der).decode() for sha256, der in stored.certs.items()}
    return codec.encode(replace(record, certs=certs))


async def lines(store: Store, selection: Selection, format_: Format) -> AsyncIterator[bytes]:
    """Yield the selected records, oldest first, as pieces of a JSONL or CSV file."""
    if format_ == "csv":
        yield csv_bytes([COLUMNS])
    cursor: int | None = None
    while True:
        page, records = await store.read(_page(selection, cursor, format_), slow=True)
        if not page:
            return
        cursor = page[-1].seq
        if format_ == "csv":
            yield csv_bytes([_cells(row) for row in page])
        else:
            yield b"".join(record_line(one) + b"\n" for one in records)


def _page(
    selection: Selection, cursor: int | None, format_: Format
) -> Operation[tuple[Sequence[MeasurementSummary], Sequence[StoredRecord]]]:
    page = yield from queries.page(selection, cursor=cursor, limit=PAGE, oldest_first=True)
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
    import asyncio

    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        cursor: int | None = None
        with rows.open("wb") as file:
            while True:
                page, _ = await store.read(_page(selection, cursor, "parquet"), slow=True)
                if not page:
                    break
                cursor = page[-1].seq
                for row in page:
                    named = dict(zip(COLUMNS, _cells(row), strict=True))
                    file.write(msgspec.json.encode({**named, "lab": bool(row.lab)}) + b"\n")
        await asyncio.to_thread(_convert, duckdb, rows, path)


def _convert(duckdb: "object", rows: Path, path: Path) -> None:
    types = ", ".join(f"\"{name}\": '{_PARQUET.get(name, 'VARCHAR')}'" for name in COLUMNS)
    source = f"read_json(?, format = 'newline_delimited', columns = {{{types}}})"
    with duckdb.connect() as connection:  # type: ignore[attr-defined]
        table = f"CREATE TABLE rows AS SELECT * FROM {source}"  # noqa: S608 - constant names
        connection.execute(table, [str(rows)])
        target = str(path).replace("'", "''")
        connection.execute(f"COPY rows TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
