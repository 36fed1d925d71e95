"""The rows of a PostgreSQL store into an SQLite file, and back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from collector.settings import SettingsError
from collector.store import postgres, schema

_ROWS = 1000


async def save(url: str, file: Path) -> None:
    """Write every row of one snapshot; collectors go on."""
    with postgres.connecting():
        connection = await asyncpg.connect(url, timeout=postgres.SECONDS)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                with closing(sqlite3.connect(file, isolation_level=None)) as target:
                    await _save(connection, target)
        finally:
            await connection.close(timeout=5)


async def _save(connection: Any, target: sqlite3.Connection) -> None:
    await connection.execute("SET LOCAL statement_timeout = 0")
    there = schema.columns(await connection.fetch(postgres.COLUMNS))
    if "meta" not in there:
        raise SettingsError(f"{postgres.NAME}: holds no store")
    found = await connection.fetchval("SELECT value FROM meta WHERE name = $1", schema.VERSION)
    version = schema.parse(postgres.NAME, found or "1")
    target.execute("PRAGMA page_size = 8192")
    target.execute("PRAGMA auto_vacuum = INCREMENTAL")
    target.execute("BEGIN")
    for statement in schema.statements_to(version):
        target.execute(statement)
    made = schema.columns(target.execute(schema.SQLITE_COLUMNS))
    schema.check(postgres.NAME, there, made)
    for table, names in sorted(made.items()):
        columns = sorted(names)
        marks = ", ".join("?" * len(columns))
        text = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - names of our own schema
        put = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - the same
        cursor = await connection.cursor(text)
        while rows := await cursor.fetch(_ROWS):
            target.executemany(put, [tuple(row) for row in rows])
    target.execute("COMMIT")


async def load(url: str, file: Path, *, replace: bool) -> None:
    """Put every row of a file of the newest version into a store, in one transaction."""
    await postgres.prepare(url, upgrade=True)
    with postgres.connecting():
        connection = await asyncpg.connect(url, timeout=postgres.SECONDS)
        try:
            async with connection.transaction():
                await postgres.lock_alone(connection)
                with closing(sqlite3.connect(file, isolation_level=None)) as source:
                    await _load(connection, source, replace=replace)
        finally:
            await connection.close(timeout=5)


async def _load(connection: Any, source: sqlite3.Connection, *, replace: bool) -> None:
    held = "SELECT EXISTS (SELECT 1 FROM probe) OR EXISTS (SELECT 1 FROM measurement)"
    if not replace and await connection.fetchval(held):
        raise SettingsError(
            f"{postgres.NAME}: holds data; --replace restores the backup in its place"
        )
    for table, names in sorted(schema.columns(source.execute(schema.SQLITE_COLUMNS)).items()):
        columns = sorted(names)
        await connection.execute(f"TRUNCATE {table}")
        rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - names of our own schema
        await connection.copy_records_to_table(table, records=_clean(rows), columns=columns)


def _clean(rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """PostgreSQL has no place for NUL in text."""
    for row in rows:
        yield tuple(one.replace("\0", "") if isinstance(one, str) else one for one in row)
