"""The shared store: PostgreSQL, for several collectors at once, over the same operations and SQL.

Rule: a write is one transaction on one connection, committed (`synchronous_commit = on`) before it
returns. Rows that several collectors update are always locked in the same order.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import asyncpg

from collector.store import keys, postgres_days, postgres_many, schema
from collector.store.interface import (
    DayLimits,
    Define,
    Operation,
    Params,
    Query,
    QueryEach,
    Rows,
    Statement,
    StoreError,
    StoreUnavailable,
    statements,
)
from collector.store.postgres_many import ManyForm

T = TypeVar("T")

CONNECTIONS = 8
SECONDS = 30
# Between attempts to be alone with a table.
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# An arbitrary 64-bit number: who migrates holds this lock alone, all who write share it.
_SCHEMA_LOCK = 7_123_905_611
NAME = "store postgresql://…"
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema()
"""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Statements for many sets of parameters, by name; they need the types that the server knows.
_ASKING: dict[str, str] = {}
_CHANGING: dict[str, ManyForm | None] = {}
# An update that only locks rows writes them anew; SQLite has no other way.
_HELD = re.compile(r"UPDATE (\w+) SET (\w+) = \2 WHERE (.+) RETURNING (\w+)")
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
        async with self._transaction(_SNAPSHOT) as connection:
            return await run(connection, operation)

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Run an operation as one transaction."""
        async with self._transaction(_unchanged(alone=alone), "SELECT 1") as connection:
            return await run(connection, operation)

    async def scrub(self) -> bool:
        """Nothing: PostgreSQL reuses and overwrites freed space by itself, when it is needed."""
        return True

    async def shrink(self) -> bool:
        """Nothing, for the same reason."""
        return False

    async def drop_days(self, limits: DayLimits) -> int:
        """Drop the days that are due, where the tables are divided.

        It tries for some seconds to be alone with a table. Readers go on, and writers wait for half
        a second at most.
        """
        async with self._transaction(_SNAPSHOT) as connection:
            if not await postgres_days.is_divided(connection):
                return 0
            days = await postgres_days.due(connection, limits)
        for pause in PAUSES:
            try:
                async with self._transaction(_unchanged(alone=True), "SELECT 1") as connection:
                    await postgres_days.drop(connection, days, limits.now)
            except StoreUnavailable as error:
                if not isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                    raise
            else:
                return days.others
            await asyncio.sleep(pause)
        return 0

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
    async def _transaction(self, begin: str, expected: str = "BEGIN") -> AsyncIterator[Any]:
        """A transaction: committed at the end, rolled back by an exception.

        One round trip begins it, however many statements that takes.
        """
        try:
            async with self._pool.acquire(timeout=SECONDS) as connection:
                try:
                    _check_begun(await connection.execute(begin), expected)
                    yield connection
                    await connection.execute("COMMIT")
                except BaseException:
                    with suppress(*_FAILURES):
                        await connection.execute("ROLLBACK")
                    raise
        except _FAILURES as error:
            raise StoreUnavailable(f"store: {type(error).__name__}: {error}") from error


def _check_begun(status: str, expected: str) -> None:
    if status != expected:
        raise StoreUnavailable(f"store: its schema version is no longer {schema.latest()}")


async def _reset(connection: Any) -> None:
    """End what was left open; nothing else here changes the state of a session."""
    if connection.is_in_transaction():
        await connection.reset()


async def open_postgres(url: str) -> PostgresStore:
    """Connect, and create the tables of an empty database."""
    await prepare(url, upgrade=False)
    settings = {"synchronous_commit": "on", "statement_timeout": str(SECONDS * 1000)}
    with connecting():
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=SECONDS,
            server_settings=settings,
            reset=_reset,
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


async def divide(url: str, now: float) -> list[str]:
    """Divide the tables of evidence into days; return which were not divided yet."""
    await prepare(url, upgrade=True)
    with connecting():
        connection = await asyncpg.connect(url, timeout=SECONDS)
        try:
            async with connection.transaction():
                await lock_alone(connection)
                return await postgres_days.divide(connection, now)
        finally:
            await connection.close(timeout=5)


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
    """Begin a write; the last statement has no row when the store was migrated since it was opened.

    The lock against migrations is held until the transaction ends, and the version is read after
    it was taken: each statement sees what was committed before it.
    """
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    known = f"name = '{schema.VERSION}' AND value = '{schema.latest()}'"
    return (
        f"BEGIN; SELECT {lock}({_SCHEMA_LOCK});"  # noqa: S608 - constants
        f" SELECT 1 FROM meta WHERE {known}"
    )


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
    sets = [_values(names, one) for one in statement.many]
    if isinstance(statement, QueryEach):
        return await _ask_each(connection, statement.name, sets)
    if len(sets) == 1:
        await connection.execute(text, *sets[0])
    elif sets:
        await _change_each(connection, statement.name, sets)
    return ()


async def _ask_each(connection: Any, name: str, sets: Sequence[Sequence[object]]) -> Rows:
    if not sets:
        return ()
    text, _ = translated()[name]
    form = _ASKING.get(name)
    if form is None:
        form = _ASKING[name] = postgres_many.asking(text, await _types(connection, text))
    rows = await connection.fetch(form, *postgres_many.arrays(sets))
    return postgres_many.by_set(rows, len(sets))


async def _change_each(connection: Any, name: str, sets: Sequence[Sequence[object]]) -> None:
    text, _ = translated()[name]
    if name not in _CHANGING:
        _CHANGING[name] = postgres_many.changing(text, await _types(connection, text))
    form = _CHANGING[name]
    if form is None:
        await connection.executemany(text, sets)
        return
    for group in form.groups(sets):
        await connection.execute(form.text, *postgres_many.arrays(group))


async def _types(connection: Any, text: str) -> list[str]:
    """The types of a statement's parameters."""
    prepared = await connection.prepare(text)
    return [one.name for one in prepared.get_parameters()]


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

    text = _HELD.sub(r"SELECT \4 FROM \1 WHERE \3 FOR NO KEY UPDATE", re.sub(r"--.*", "", text))
    return _wide(_PARAMETER.sub(number, text)), tuple(names)


def _wide(text: str) -> str:
    """SQLite's INTEGER has 64 bits; PostgreSQL's has 32."""
    return re.sub(r"\bINTEGER\b", "BIGINT", text)
