"""Parquet files of rows."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from collector.admin import parquet_file

duckdb = pytest.importorskip("duckdb")
ROOT = Path(__file__).parents[3]
COLUMNS = {"name": "VARCHAR", "n": "BIGINT", "at": "TIMESTAMPTZ"}


async def pages() -> AsyncIterator[Iterable[object]]:
    yield [{"name": "a", "n": 1, "at": "2026-11-21T00:00:00Z"}, {"name": None, "n": 2}]
    yield []
    yield [{"name": "it's", "n": 3}]


def test_rows_have_their_types_and_order(tmp_path: Path) -> None:
    file = tmp_path / "it's here.parquet"
    asyncio.run(parquet_file.write(file, COLUMNS, pages()))
    with duckdb.connect() as connection:
        source = str(file).replace("'", "''")
        names = 'name, n, epoch("at"), typeof("at")'
        rows = connection.execute(f"SELECT {names} FROM '{source}'").fetchall()
    when = "TIMESTAMP WITH TIME ZONE"
    assert rows == [
        ("a", 1, 1795219200.0, when),
        (None, 2, None, when),
        ("it's", 3, None, when),
    ]


def test_no_progress_is_written_to_the_standard_output() -> None:
    """The bytes there are those of an export. `python -c` seems a terminal to DuckDB."""
    code = (
        "import duckdb; from collector.admin.parquet_file import connected;"
        "asked = connected(duckdb).execute(\"SELECT current_setting('enable_progress_bar')\");"
        "print(asked.fetchall())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
    assert done.stdout == b"[(False,)]\n"
