"""Parquet files of rows, by DuckDB, in bounded memory.

Rule: the rows are written to a compressed file of JSON lines first and converted as they are read,
so that memory does not grow with their number.
"""

import asyncio
import gzip
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

_DUCKDB = {"threads": 1, "memory_limit": "256MB", "preserve_insertion_order": True}


async def write(
    path: Path, columns: Mapping[str, str], pages: AsyncIterator[Iterable[object]]
) -> None:
    """Write rows with these columns (name and DuckDB's type), page by page.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
    """
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl.gz"
        with gzip.open(rows, "wb", compresslevel=1) as file:
            async for page in pages:
                file.writelines(msgspec.json.encode(row) + b"\n" for row in page)
        await asyncio.to_thread(_convert, duckdb, rows, path, columns)


def _convert(duckdb: Any, rows: Path, path: Path, columns: Mapping[str, str]) -> None:
    types = ", ".join(f"\"{name}\": '{type_}'" for name, type_ in columns.items())
    source = f"read_json('{_quoted(rows)}', format = 'newline_delimited', columns = {{{types}}})"
    with connected(duckdb) as connection:
        into = f"TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
        connection.execute(f"COPY (SELECT * FROM {source}) {into}")  # noqa: S608 - constant names


def connected(duckdb: Any) -> Any:
    """A small database in memory."""
    connection = duckdb.connect(config=_DUCKDB)
    # It would go to the standard output, whenever a file takes two seconds.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
