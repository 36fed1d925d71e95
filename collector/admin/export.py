"""Export of records: JSON lines with all the evidence, CSV or Parquet with the columns.

Rules: memory does not grow with the number of records. A cell that a spreadsheet would take for a
formula gets an apostrophe before it. In public, what `collector.care` calls coarse is shown without
evidence, and without what tells who measured it and when exactly.
"""

import base64
import csv
import io
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from collector import conduct
from collector.admin import parquet_file
from collector.admin.export_coarse import CoarseRows
from collector.admin.export_columns import (
    COLUMNS,
    NAMES,
    Cell,
    Pseudonyms,
    cells,
    with_instants,
)
from collector.care import Care, is_within
from collector.standing import Standings
from collector.store import Operation, Store, exports, queries
from collector.store.exports import ExportRow
from collector.store.queries import Selection, StoredRecord
from probe.model import SCHEMA

Format = Literal["jsonl", "csv", "parquet"]

# Records read at a time: their columns, or with all their evidence.
PAGE, EVIDENCE_PAGE = 200, 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARQUET = {
    "text": "VARCHAR",
    "flag": "BOOLEAN",
    "whole": "BIGINT",
    "number": "DOUBLE",
    "time": "TIMESTAMPTZ",
}
TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported, and for whom.

    Attributes:
        release: Keys have the same pseudonyms in all exports of one release; empty: of this one.
        least: In public, so many probes on a network make its looks not coarse; 1: not in public.
    """

    selection: Selection = Selection()
    format: Format = "jsonl"
    release: str = ""
    least: int = 1
    now: float
    lab: bool = False


@dataclass
class ExportTally:
    """What an export has to say besides its records.

    Attributes:
        unreadable: How many could not be exported, because what is stored is not readable.
        made_from: Whose measurements the exported ones were made from.
    """

    unreadable: int = 0
    made_from: set[str] = field(default_factory=set)


class _ExportLine(NamedTuple):
    """One record's columns, and its evidence where it is wanted and still there."""

    cells: dict[str, Cell]
    stored: StoredRecord | None = None


class _Reader:
    """Reads the records of one export, page by page; coarse ones come last, by their hour.

    Among the others their place would tell when they arrived.
    """

    def __init__(self, wanted: Exported, secret: bytes, standings: Standings) -> None:
        self._wanted = wanted
        self._care = Care(wanted.least, standings)
        self._pseudonyms = Pseudonyms(secret, standings, public=wanted.least > 1)
        self._coarse = CoarseRows()

    async def pages(self, store: Store) -> AsyncIterator[Sequence[_ExportLine]]:
        """The selected records in the order of their arrival, and then the coarse ones."""
        cursor: int | None = -1
        try:
            while cursor is not None:
                page, cursor = await store.read(self._page(cursor), slow=True)
                self._coarse.add(line.cells for line in page if line.cells["coarse"])
                if shown := [line for line in page if not line.cells["coarse"]]:
                    yield shown
            for rows in self._coarse.pages(PAGE):
                yield [_ExportLine(row) for row in rows]
        finally:
            self._coarse.close()

    def _page(self, cursor: int) -> Operation[tuple[Sequence[_ExportLine], int | None]]:
        evidence = self._wanted.format == "jsonl"
        limit = EVIDENCE_PAGE if evidence else PAGE
        wanted = self._care.widened(self._wanted.selection)
        rows = yield from exports.rows_after(cursor, wanted, limit=limit)
        yield from self._care.learn_rows(rows)
        seen = [(row, self._care.hides(row)) for row in rows]
        shown = [
            (row, coarse)
            for row, coarse in seen
            if is_within(row, self._wanted.selection, coarse=coarse)
        ]
        whole = [row.seq for row, coarse in shown if evidence and not coarse]
        stored = yield from queries.stored_many(whole)
        lines = [
            _ExportLine(cells(row, self._pseudonyms, coarse=coarse), stored.get(row.seq))
            for row, coarse in shown
        ]
        return lines, rows[-1].seq if rows else None


async def _reader(store: Store, wanted: Exported) -> _Reader:
    secret = (
        await store.write(exports.release_secret(wanted.release))
        if wanted.release
        else secrets.token_bytes(32)
    )
    standings = await store.read(conduct.read_standings(wanted.now, lab=wanted.lab), slow=True)
    return _Reader(wanted, secret, standings)


def record_line(stored: StoredRecord, columns: dict[str, Cell] | None = None) -> bytes | None:
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
    if columns is not None:
        fields["collector"] = msgspec.Raw(msgspec.json.encode(columns))
    return msgspec.json.encode(fields)


def _coarse_line(columns: dict[str, Cell]) -> bytes:
    """A record that shows only its columns."""
    shown = {
        "schema": SCHEMA,
        "id": "-",
        "run": "-",
        **{name: columns[name] for name in ("experiment", "input", "lab")},
        "started_at": columns["measured_at"],
        "elapsed": 0.0,
        "vantage": {name: columns[name] for name in ("role", "country", "asn")},
        "collector": columns,
    }
    return msgspec.json.encode(shown)


async def lines(store: Store, wanted: Exported, tally: ExportTally) -> AsyncIterator[bytes]:
    """Yield the selected records, oldest first, as pieces of a JSONL or CSV file."""
    if wanted.format == "csv":
        yield csv_bytes([NAMES])
    reader = await _reader(store, wanted)
    async for page in reader.pages(store):
        tally.made_from.update(str(line.cells["made_from"]) for line in page)
        if wanted.format == "csv":
            yield csv_bytes([_csv_cells(line.cells) for line in page])
        else:
            yield b"".join(_jsonl(line, tally) for line in page)


def _jsonl(line: _ExportLine, tally: ExportTally) -> bytes:
    """A record as a line; nothing when its evidence is gone or unreadable."""
    columns = with_instants(line.cells)
    if line.cells["coarse"]:
        return _coarse_line(columns) + b"\n"
    if line.stored is None:
        return b""
    made = record_line(line.stored, columns)
    tally.unreadable += made is None
    return b"" if made is None else made + b"\n"


def _csv_cells(found: dict[str, Cell]) -> list[Cell]:
    """The cells in order, with the words for truth that other tools read."""
    row = with_instants(found).values()
    return [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]


def csv_bytes(rows: Sequence[Sequence[object]]) -> bytes:
    """Rows as CSV, without cells that a spreadsheet would run as formulas."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


async def parquet(store: Store, wanted: Exported, path: Path, tally: ExportTally) -> None:
    """Write the selected records' columns to a Parquet file.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
    """

    async def pages() -> AsyncIterator[Iterable[object]]:
        reader = await _reader(store, wanted)
        async for page in reader.pages(store):
            tally.made_from.update(str(line.cells["made_from"]) for line in page)
            yield (with_instants(line.cells) for line in page)

    columns = {name: _PARQUET[one.type] for name, one in COLUMNS.items()}
    await parquet_file.write(path, columns, pages())


__all__ = [
    "PAGE",
    "TYPES",
    "ExportRow",
    "ExportTally",
    "Exported",
    "Format",
    "csv_bytes",
    "lines",
    "parquet",
    "record_line",
]
