"""The shared store: PostgreSQL, for several collectors at once, over the same operations and SQL.

Rule: a write is one transaction on one connection, committed (`synchronous_commit = on`) before it
returns. Rows that several collectors update are always locked in the same order.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

import asyncpg

from collector.store import keys
from collector.store.interface import (
    Operation,
    Params,
    Query,
    Rows,
    Statement,
    StoreError,
    StoreUnavailable,
    schema,
    statements,
)

T = TypeVar("T")

CONNECTIONS = 8
SECONDS = 30.0
# An arbitrary 64-bit number: the holder of this lock creates the tables, others wait.
_SCHEMA_LOCK = 7_123_905_611
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresStore:
    """A store in a PostgreSQL database."""

    shared = True

    def __init__(self, pool: Any, collector_id: str) -> None:
        self.collector_id = collector_id
        self._pool = pool

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation on one snapshot of the database."""
        del slow  # each connection has its own server process
        async with self._transaction(readonly=True, isolation="repeatable_read") as connection:
            return await run(connection, operation)

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation as one transaction."""
        async with self._transaction() as connection:
            return await run(connection, operation)

    async def close(self) -> None:
        """Close all connections."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def _transaction(self, **options: Any) -> AsyncIterator[Any]:
        try:
            async with (
                self._pool.acquire(timeout=SECONDS) as connection,
                connection.transaction(**options),
            ):
                yield connection
        except _FAILURES as error:
            raise StoreUnavailable(f"store: {type(error).__name__}: {error}") from error


async def open_postgres(url: str) -> PostgresStore:
    """Connect, and create missing tables."""
    settings = {"synchronous_commit": "on", "statement_timeout": str(int(SECONDS * 1000))}
    try:
        pool = await asyncpg.create_pool(
            url, min_size=1, max_size=CONNECTIONS, timeout=SECONDS, server_settings=settings
        )
    except (*_FAILURES, ValueError) as error:
        # The URL may contain a password, so only the message is shown.
        why = str(error) or type(error).__name__
        raise StoreError(f"store postgresql://…: cannot be opened ({why})") from error
    store = PostgresStore(pool, "")
    try:
        async with store._transaction() as connection:  # noqa: SLF001 - this is its constructor
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            for statement in schema():
                await connection.execute(_wide(statement))
        store.collector_id = await store.write(keys.collector_id())
    except BaseException:
        await store.close()
        raise
    return store


async def run(connection: Any, operation: Operation[T]) -> T:
    """Drive one operation to its end on one connection."""
    try:
        statement = next(operation)
        while True:
            rows = await _execute(connection, statement)
            statement = operation.send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        operation.close()


async def _execute(connection: Any, statement: Statement) -> Rows:
    text, names = translated()[statement.name]
    if isinstance(statement, Query):
        rows: Rows = await connection.fetch(text, *_values(names, statement.params))
        return rows
    if statement.many:
        await connection.executemany(text, [_values(names, one) for one in statement.many])
    return ()


def _values(names: tuple[str, ...], params: Params) -> list[object]:
    return [params[name] for name in names]


@cache
def translated() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Every statement with numbered parameters, and their names in that order."""
    return {name: _translate(text) for name, text in statements().items()}


def _translate(text: str) -> tuple[str, tuple[str, ...]]:
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    text = re.sub(r"--.*", "", text)
    return _wide(_PARAMETER.sub(number, text)), tuple(names)


def _wide(text: str) -> str:
    """SQLite's INTEGER has 64 bits; PostgreSQL's has 32."""
    return re.sub(r"\bINTEGER\b", "BIGINT", text)
