"""Days of a PostgreSQL store as partitions, which go as a whole instead of row by row.

Tables whose rows are known by the number of their record can be divided, because the number begins
with the time of arrival. `measurement` cannot: no record may be in it twice, and PostgreSQL keeps
that promise only within one partition. `forged` stays as long as the rows of its records.

Rule: a partition is named by the day that it ends before, and begins where the one before it ends.
The first begins at the least number, and `…_later` has no end, so every record has a place whatever
the clock says and however long `retention` made no days ahead.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from collector.settings import SettingsError
from collector.store.interface import DayLimits
from collector.store.queries import first_seq, instant_of

# What is asked with ON CONFLICT needs its key on the divided table too. The others have it on each
# partition: PostgreSQL takes a table of another server only where no key spans the partitions.
_SPANNING = {"raw": False, "served": True, "observation": False}
EVIDENCE, OBSERVATIONS = ("raw", "served"), ("observation",)
TABLES = (*EVIDENCE, *OBSERVATIONS)
AHEAD = 14
_DAY = 86400
# Less than the server takes to look for a deadlock: it never ends a reader for us.
_PATIENCE = "SET LOCAL lock_timeout = '500ms'"
_FOREIGN = "f"

_PARTITIONS = """
SELECT c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)
"""
_DIVIDED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass($1)"
_INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass($1) AND NOT i.indisprimary
"""
_KEY = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = to_regclass($1) AND contype = 'p'
"""
_END = re.compile(r"TO \('?(\d+|MAXVALUE)'?\)")


class DayPartition(NamedTuple):
    """A partition; `end` is the first number after it, and None for the last one."""

    name: str
    kind: str
    end: int | None


class DueDays(NamedTuple):
    """Partitions that may go, by table.

    Attributes:
        others: How many records that are not due themselves have their evidence in them.
    """

    tables: dict[str, list[DayPartition]]
    others: int


async def is_divided(connection: Any, table: str = TABLES[0]) -> bool:
    """Whether a table has partitions."""
    return bool(await connection.fetchval(_DIVIDED, table))


async def divide(connection: Any, now: float) -> list[str]:
    """Divide the tables that are not yet, within a transaction; return which were.

    What is stored becomes the first partition as it is: no row is copied.
    """
    whole = [name for name in TABLES if not await is_divided(connection, name)]
    for table in whole:
        await _divide(connection, table, now)
    await make_ahead(connection, now)
    return whole


async def _divide(connection: Any, table: str, now: float) -> None:
    key = await connection.fetchval(_KEY, table)
    indexes = await connection.fetch(_INDEXES, table)
    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    end = await _end_after(connection, table, now)
    first = _named(table, end)
    await connection.execute(f"ALTER TABLE {table} RENAME TO {first}")
    for name, _ in indexes:
        await connection.execute(f"ALTER INDEX {name} RENAME TO {name}_{_date(end)}")
    like = f"LIKE {first} INCLUDING DEFAULTS"
    await connection.execute(f"CREATE TABLE {table} ({like}) PARTITION BY RANGE (seq)")
    if _SPANNING[table]:
        await connection.execute(f"ALTER TABLE {table} ADD {key}")
    for _, definition in indexes:
        await connection.execute(definition)
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ({end})"
    )
    await _create_later(connection, table, end)


async def _create_later(connection: Any, table: str, begin: int) -> None:
    await _create(connection, table, f"{table}_later", str(begin), "MAXVALUE")


async def _create(connection: Any, table: str, name: str, begin: str, end: str) -> None:
    key = "" if _SPANNING[table] else "(PRIMARY KEY (seq))"
    await connection.execute(
        f"CREATE TABLE {name} PARTITION OF {table} {key} FOR VALUES FROM ({begin}) TO ({end})"
    )


async def make_ahead(connection: Any, now: float) -> None:
    """Give the coming days partitions, within a transaction."""
    for table in TABLES:
        found = await partitions(connection, table)
        last = max(one.end for one in found if one.end is not None)
        if last < _bound(now, AHEAD):
            await _make_ahead(connection, table, last, now)


async def _make_ahead(connection: Any, table: str, last: int, now: float) -> None:
    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    later = f"{table}_later"
    if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {later})"):  # noqa: S608 - a constant
        # They came while `retention` made no days, and stay where they are.
        end = await _end_after(connection, later, now)
        name = _named(table, end)
        await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {later}")
        await connection.execute(f"ALTER TABLE {later} RENAME TO {name}")
        await connection.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({last}) TO ({end})"
        )
        last = end
    else:
        await connection.execute(f"DROP TABLE {later}")
    while last < _bound(now, AHEAD):
        end = _bound(instant_of(last), 1)
        await _create(connection, table, _named(table, end), str(last), str(end))
        last = end
    await _create_later(connection, table, last)


async def partitions(connection: Any, table: str) -> list[DayPartition]:
    """The partitions of a table, in order."""
    found = []
    for name, kind, bound in await connection.fetch(_PARTITIONS, table):
        end = _END.search(bound)
        if end is None:
            raise SettingsError(f"store postgresql://…: partition {name} is not one of days")
        found.append(DayPartition(name, kind, None if end[1] == "MAXVALUE" else int(end[1])))
    return sorted(found, key=lambda one: (one.end is None, one.end))


async def due(connection: Any, limits: DayLimits) -> DueDays:
    """What may go as a whole; it may take long to count, and no statement waits for it."""
    await connection.execute("SET LOCAL statement_timeout = 0")
    evidence = await _due(connection, EVIDENCE, limits.evidence, limits.upto)
    observations = await _due(connection, OBSERVATIONS, limits.records, limits.upto)
    others = 0
    for one in evidence["raw"]:
        count = f"SELECT COUNT(*) FROM {one.name} WHERE seq >= $1"  # noqa: S608 - a partition's name
        others += await connection.fetchval(count, limits.records)
    return DueDays({**evidence, **observations}, others)


async def drop(connection: Any, days: DueDays, now: float) -> None:
    """Drop partitions and make those of the coming days, within a transaction."""
    await connection.execute(_PATIENCE)
    for table, parts in days.tables.items():
        await _drop(connection, table, parts)
    await make_ahead(connection, now)


async def _due(
    connection: Any, tables: Sequence[str], limit: int, upto: int | None
) -> dict[str, list[DayPartition]]:
    """The first partitions of some tables that may go together."""
    found: dict[str, list[DayPartition]] = {}
    for table in tables:
        parts: list[DayPartition] = []
        for one in await partitions(connection, table):
            if one.end is None or one.end > limit:
                break
            if upto is not None and (await _newest(connection, one.name) or 0) > upto:
                break
            parts.append(one)
        found[table] = parts
    return found


async def _drop(connection: Any, table: str, parts: Sequence[DayPartition]) -> None:
    """Put one empty partition in the place of some: an old number has a place too."""
    if not parts or (len(parts) == 1 and await _newest(connection, parts[0].name) is None):
        return
    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    for one in parts:
        if one.kind == _FOREIGN:
            await connection.execute(f"TRUNCATE {one.name}")  # there; only its name is here
            await connection.execute(f"DROP FOREIGN TABLE {one.name}")
        else:
            await connection.execute(f"DROP TABLE {one.name}")
    end = parts[-1].end or 0
    await _create(connection, table, _named(table, end), "MINVALUE", str(end))


async def _newest(connection: Any, name: str) -> int | None:
    found: int | None = await connection.fetchval(f"SELECT MAX(seq) FROM {name}")  # noqa: S608 - a partition's name
    return found


async def _end_after(connection: Any, name: str, now: float) -> int:
    """The first number of the day after every row's, and after today."""
    newest = await _newest(connection, name)
    return max(_bound(now, 1), _bound(0 if newest is None else instant_of(newest), 1))


def _bound(instant: float, days: int) -> int:
    """The first number of the day that is some days after that of an instant."""
    return first_seq((int(instant // _DAY) + days) * _DAY)


def _named(table: str, end: int) -> str:
    return f"{table}_before_{_date(end)}"


def _date(end: int) -> str:
    return f"{datetime.fromtimestamp(instant_of(end), UTC):%Y%m%d}"
