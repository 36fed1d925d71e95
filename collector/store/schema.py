"""The schema of a store: numbered migrations, and the version that a store has.

Rule: a migration and the number that it gives the store are one transaction, so an interrupted
migration has changed nothing and is taken up again. A migration that was released is never edited;
the next change is a file with the next number.
"""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import cache
from importlib import resources
from typing import NamedTuple

from collector.store.interface import (
    Define,
    Execute,
    Operation,
    Query,
    StoreError,
    StoreUnavailable,
)

VERSION = "schema_version"
_FILE = re.compile(r"(\d{4})_\w+\.sql")

Columns = Mapping[str, frozenset[str]]


class Migration(NamedTuple):
    """The statements that lead to a version from the one before."""

    version: int
    statements: tuple[str, ...]


class Step(NamedTuple):
    """What one transaction did: the version before and after it, the same when none was due."""

    before: int
    after: int


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration, in order."""
    folder = resources.files("collector.store") / "migrations"
    found = ((_FILE.fullmatch(file.name), file) for file in folder.iterdir())
    return tuple(
        sorted(
            Migration(int(name[1]), _split(file.read_text("utf-8"))) for name, file in found if name
        )
    )


def _split(text: str) -> tuple[str, ...]:
    parts = re.sub(r"--.*", "", text).split(";")
    return tuple(part.strip() for part in parts if part.strip())


def latest() -> int:
    """The version that this collector works with."""
    return migrations()[-1].version


def advance(store: str, *, upgrade: bool) -> Operation[Step]:
    """Run the next migration, if one is due; an empty store gets its tables in any case.

    Raises:
        StoreError: The store is newer than this collector, or older and `upgrade` is not set.
    """
    yield Define("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    stamped = yield Query("meta_get", {"name": VERSION})
    named = yield Query("meta_get", {"name": "collector_id"})
    before = parse(store, stamped[0][0]) if stamped else 0
    if before > latest():
        raise StoreError(
            f"{store}: has schema version {before} of a newer qazcollector, and this one knows"
            f" {latest()}: install the newer one"
        )
    due = [one for one in migrations() if one.version > before]
    if not due:
        return Step(before, before)
    # A store with an id but without a version is from before versions: it has that of the first.
    if named and not upgrade:
        raise StoreError(
            f"{store}: has schema version {max(1, before)}, and {latest()} is needed: run"
            " qazcollector migrate, or start qazcollector serve"
        )
    for text in due[0].statements:
        yield Define(text)
    yield Execute("meta_put", [{"name": VERSION, "value": str(due[0].version)}])
    return Step(max(1, before) if named else 0, due[0].version)


def unchanged() -> Operation[None]:
    """Raise `StoreUnavailable` when a newer collector has migrated the store meanwhile."""
    stamped = yield Query("meta_get", {"name": VERSION})
    found = stamped[0][0] if stamped else "0"
    if found != str(latest()):
        raise StoreUnavailable(
            f"its schema version is no longer {latest()}, as this collector needs, but {found}"
        )


def parse(store: str, text: str) -> int:
    """A stored version; `StoreError` when it is none."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise StoreError(f"{store}: its schema version is no number; restore it from a backup")
    return int(text)


def statements_to(version: int) -> tuple[str, ...]:
    """The statements that make an empty store of a version."""
    due = (one for one in migrations() if one.version <= version)
    return tuple(statement for one in due for statement in one.statements)


@cache
def _expected(statements: tuple[str, ...]) -> Columns:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements:
            connection.execute(statement)
        return columns(connection.execute(SQLITE_COLUMNS))


SQLITE_COLUMNS = """
SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'
"""


def columns(rows: Iterable[tuple[str, str]]) -> Columns:
    """The columns of each table, from rows of table and column."""
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return {table: frozenset(names) for table, names in found.items()}


def check(store: str, found: Columns, expected: Columns | None = None) -> None:
    """Raise `StoreError` unless the store has every table and column, by default the newest."""
    expected = _expected(statements_to(latest())) if expected is None else expected
    for table, names in sorted(expected.items()):
        if table not in found:
            raise StoreError(f"{store}: lacks the table {table}; restore it from a backup")
        missing = sorted(names - found[table])
        if missing:
            raise StoreError(
                f"{store}: table {table} lacks the column {missing[0]}; restore it from a backup"
            )
