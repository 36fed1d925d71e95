"""The shared store: PostgreSQL, for several collectors at once, over the same operations and SQL.

Rule: a write is one transaction on one connection, committed (`synchronous_commit = on`) before it
returns. Rows that several collectors update are always locked in the same order.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, TypeVar

import asyncpg

from collector.store import keys, schema
from collector.store.interface import (
    Define,
    Operation,
    Params,
    Query,
    Rows,
    Statement,
    StoreError,
    StoreUnavailable,
    statements,
)

T = TypeVar("T")

CONNECTIONS = 8
SECONDS = 30
# An arbitrary 64-bit number: who migrates holds this lock alone, all who write share it.
_SCHEMA_LOCK = 7_123_905_611
NAME = "store postgresql://…"
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema()
"""
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

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Run an operation as one transaction."""
        async with self._transaction() as connection:
            await connection.execute(_unchanged(alone=alone))
            return await run(connection, operation)

    async def scrub(self) -> bool:
        """Nothing: PostgreSQL reuses and overwrites freed space by itself, when it is needed."""
        return True

    async def shrink(self) -> bool:
        """Nothing, for the same reason."""
        return False

    async def compact(self) -> None:
        """Nothing: VACUUM FULL would lock every table, and is the administrator's decision."""

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
    """Connect, and create the tables of an empty database."""
    await prepare(url, upgrade=False)
    settings = {"synchronous_commit": "on", "statement_timeout": str(SECONDS * 1000)}
    with connecting():
        pool = await asyncpg.create_pool(
            url, min_size=1, max_size=CONNECTIONS, timeout=SECONDS, server_settings=settings
        )
    store = PostgresStore(pool, "")
    try:
        store.collector_id = await store.write(keys.collector_id())
    except BaseException:
        await store.close()
        raise
    return store


async def prepare(url: str, *, upgrade: bool) -> schema.Step:
    """Create the tables of an empty database; with `upgrade`, migrate those of an older one."""
    with connecting():
        connection = await asyncpg.connect(url, timeout=SECONDS)
        try:
            done = await _migrate(connection, upgrade=upgrade)
            found = schema.columns(await connection.fetch(COLUMNS))
        finally:
            await connection.close(timeout=5)
    schema.check(NAME, found)
    return done


@contextmanager
def connecting() -> Iterator[None]:
    try:
        yield
    except (*_FAILURES, ValueError) as error:
        # The URL may contain a password, so only the message is shown.
        why = str(error) or type(error).__name__
        raise StoreError(f"{NAME}: cannot be opened ({why})") from error


async def _migrate(connection: Any, *, upgrade: bool) -> schema.Step:
    """Run the migrations that are due, each in a transaction that holds the lock."""
    first: int | None = None
    while True:
        async with connection.transaction():
            await lock_alone(connection)
            step = await run(connection, schema.advance(NAME, upgrade=upgrade))
        first = step.before if first is None else first
        if step.after == schema.latest():
            return schema.Step(first, step.after)


async def lock_alone(connection: Any) -> None:
    """Keep all others from writing or migrating until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)


def _unchanged(*, alone: bool) -> str:
    """A statement that fails when the store was migrated since this collector opened it.

    It holds the lock against migrations until the transaction ends, and reads the version after it
    has the lock: each statement of such a block sees what was committed before it.
    """
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    return f"""
    DO $$ BEGIN
      PERFORM {lock}({_SCHEMA_LOCK});
      IF NOT EXISTS (
        SELECT 1 FROM meta WHERE name = '{schema.VERSION}' AND value = '{schema.latest()}'
      ) THEN
        RAISE EXCEPTION 'its schema version is no longer {schema.latest()}, as needed here';
      END IF;
    END $$
    """  # noqa: S608 - constants


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
    if isinstance(statement, Define):
        await connection.execute(_wide(statement.text))
        return ()
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
