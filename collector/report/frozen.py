"""The rows of a report in DuckDB: frozen as Parquet, and asked for tables.

Rule: one thread and an order over all columns, so that the same rows give the same bytes. DuckDB
works on disk beyond a fixed amount of memory.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from collector.admin.export_columns import COLUMNS, NAMES
from collector.report.rows import BESIDE

MEMORY = "256MB"
_TYPES = {
    "text": "VARCHAR",
    "flag": "BOOLEAN",
    "whole": "BIGINT",
    "number": "DOUBLE",
    "time": "TIMESTAMPTZ",
}
_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_AT_ONCE = 5000
Row = tuple[Any, ...]


class FoundRows(NamedTuple):
    """The rows of one question, with the names of their columns."""

    names: Sequence[str]
    rows: Sequence[Row]

    def by_name(self) -> list[dict[str, Any]]:
        """Each row by column."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


class FrozenRows:
    """The rows of one report."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def freeze(self, path: Path, *, now: bool) -> None:
        """Write the rows of this or of the previous time, with the columns of an export."""
        columns = ", ".join(f'"{name}"' for name in NAMES)
        which = "in_period" if now else "NOT in_period"
        rows = f"SELECT {columns} FROM look WHERE {which} ORDER BY measured_at, {columns}"  # noqa: S608 - constant names
        options = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
        self._connection.execute(f"COPY ({rows}) TO '{_quoted(path)}' ({options})")

    def ask(self, name: str, **params: object) -> FoundRows:
        """The rows of a named question."""
        found = self._connection.execute(_questions()[name], params or None)
        return FoundRows([one[0] for one in found.description], found.fetchall())

    def pages(self, name: str) -> Iterator[Sequence[Row]]:
        """The rows of a question that may have many, the names of the columns first."""
        found = self._connection.execute(_questions()[name])
        yield [tuple(one[0] for one in found.description)]
        while page := found.fetchmany(_AT_ONCE):
            yield page


@contextmanager
def frozen_rows(source: Path, folder: Path) -> Iterator[FrozenRows]:
    """Load rows from a file; `folder` is for what does not fit into memory.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY,
        "preserve_insertion_order": True,
        "temp_directory": str(folder / "spill"),
    }
    types = {name: _TYPES[one.type] for name, one in COLUMNS.items()} | BESIDE
    columns = ", ".join(f"\"{name}\": '{type_}'" for name, type_ in types.items())
    rows = f"read_json('{_quoted(source)}', format='newline_delimited', columns={{{columns}}})"
    with duckdb.connect(folder / "rows.duckdb", config=config) as connection:
        # The command has its own, and a program that calls it has none.
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"CREATE TABLE look AS SELECT * FROM {rows}")  # noqa: S608 - constant names
        for statement in filter(str.strip, _questions()["views"].split(";")):
            connection.execute(statement)
        yield FrozenRows(connection)


@cache
def _questions() -> dict[str, str]:
    file = resources.files("collector.report") / "sql" / "tables.sql"
    text = file.read_text(encoding="utf-8")
    return {name: question.strip() for name, question in _NAMED.findall(text)}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
