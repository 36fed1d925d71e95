"""Versions of the schema: stores are migrated whole or not at all; the unknown is refused."""

import asyncio
import gzip
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli import cli
from collector.store import (
    StoreError,
    StoreUnavailable,
    keys,
    migrate_store,
    open_store,
    schema,
    sqlite_path,
)
from collector.store.schema import Migration, Step
from tests.collector.harness import collector, record

FIRST = Path(__file__).parent / "first_version"
ALL = schema.migrations()
NEXT = Migration(
    schema.latest() + 1,
    (
        "CREATE TABLE added (name TEXT PRIMARY KEY)",
        "INSERT INTO added (name) SELECT key_id FROM probe",
    ),
)
BROKEN = NEXT._replace(statements=(*NEXT.statements, "INSERT INTO no_such_table VALUES (1)"))

Table = list[dict[str, object]]


def dump(url: str) -> dict[str, Table]:
    """Every row of every table, by column."""
    if not url.startswith("sqlite"):
        return asyncio.run(_dump_postgres(url))
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        connection.row_factory = sqlite3.Row
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
            for table in tables
        }


async def _dump_postgres(url: str) -> dict[str, Table]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname='public'")
        return {
            table: [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")]
            for (table,) in tables
        }
    finally:
        await connection.close()


def execute(url: str, *statements: str) -> None:
    """Run SQL behind the collector's back."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
        return

    async def work() -> None:
        import asyncpg

        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


def assert_kept(before: Mapping[str, Table], after: Mapping[str, Table]) -> None:
    """Every value that was there is still there."""
    for table, rows in before.items():
        names = list(rows[0]) if rows else []
        assert lines(after[table], names) == lines(rows, names), table


def lines(rows: Table, names: list[str]) -> list[str]:
    """Rows as text in a fixed order, without the version."""
    kept = (row for row in rows if row.get("name") != schema.VERSION)
    return sorted(repr({name: row[name] for name in names}) for row in kept)


def use(monkeypatch: pytest.MonkeyPatch, *added: Migration) -> None:
    monkeypatch.setattr(schema, "migrations", lambda: (*ALL, *added))


def test_the_migrations_are_numbered_from_one() -> None:
    assert [one.version for one in ALL] == list(range(1, len(ALL) + 1))


def test_a_new_store_gets_every_migration(any_store: str) -> None:
    assert asyncio.run(migrate_store(any_store)) == Step(0, schema.latest())
    assert asyncio.run(migrate_store(any_store)) == Step(schema.latest(), schema.latest())


def test_the_store_of_the_first_version_loses_nothing(first_version: str, tmp_path: Path) -> None:
    before = dump(first_version)
    assert len(before["measurement"]) == 19
    assert asyncio.run(migrate_store(first_version)) == Step(1, schema.latest())
    assert_kept(before, dump(first_version))

    async def scenario() -> None:
        async with collector(tmp_path, store=first_version) as harness:
            exported = await harness.ask("GET", "/v1/export")
            assert len(exported.body.splitlines()) == 19
            totals = sum(v for n, v in (await harness.metrics()).items() if "ments_total" in n)
            assert totals == 18
            sender = await harness.probe()
            assert (await sender.send(record())).stored == 1

    asyncio.run(scenario())


def test_a_store_of_the_first_version_is_migrated_by_serve_only(
    first_version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, NEXT)
    before = dump(first_version)
    with pytest.raises(StoreError, match=r"has schema version 1, and .* qazcollector migrate"):
        asyncio.run(open_store(first_version))
    assert dump(first_version) == before

    async def scenario() -> None:
        async with collector(tmp_path, store=first_version):
            pass

    asyncio.run(scenario())
    assert len(dump(first_version)["added"]) == 4


def test_an_interrupted_migration_is_taken_up_again(
    first_version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(migrate_store(first_version))
    before = dump(first_version)
    use(monkeypatch, BROKEN)
    with pytest.raises(StoreError):
        asyncio.run(migrate_store(first_version))
    assert dump(first_version) == before
    use(monkeypatch, NEXT)
    assert asyncio.run(migrate_store(first_version)) == Step(NEXT.version - 1, NEXT.version)
    assert_kept(before, dump(first_version))


def test_collectors_that_start_at_once_migrate_once(
    first_version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, NEXT)

    async def scenario() -> list[Step]:
        return await asyncio.gather(*(migrate_store(first_version) for _ in range(4)))

    steps = asyncio.run(scenario())
    assert {step.after for step in steps} == {NEXT.version}
    assert len(dump(first_version)["added"]) == 4


def test_a_newer_store_is_refused_in_one_line(
    any_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        use(patch, NEXT)
        asyncio.run(migrate_store(any_store))
    for attempt in (open_store, migrate_store):
        with pytest.raises(StoreError, match=f"schema version {NEXT.version} of a newer") as caught:
            asyncio.run(attempt(any_store))
        assert "\n" not in str(caught.value)


def test_a_collector_takes_nothing_into_a_store_that_a_newer_one_migrated(
    any_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        store = await open_store(any_store)
        with monkeypatch.context() as patch:
            use(patch, NEXT)
            await migrate_store(any_store)
        invite = keys.add_invite("x", "probe", uses=1, at=0.0, expires_at=1.0)
        with pytest.raises(StoreUnavailable, match="schema version is no longer"):
            await store.write(invite)
        await store.close()

    asyncio.run(scenario())
    assert dump(any_store)["invite"] == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("ALTER TABLE measurement DROP COLUMN stage", "table measurement lacks the column stage"),
        ("DROP TABLE beat", "lacks the table beat"),
        ("UPDATE meta SET value = 'x' WHERE name = 'schema_version'", "version is no number"),
    ],
)
def test_a_damaged_schema_is_refused_in_one_line(
    any_store: str, damage: str, expected: str
) -> None:
    asyncio.run(migrate_store(any_store))
    execute(any_store, damage)
    for attempt in (open_store, migrate_store):
        with pytest.raises(StoreError, match=expected) as caught:
            asyncio.run(attempt(any_store))
        assert "\n" not in str(caught.value)


def test_the_command_says_which_version_a_store_has_and_had(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"

    def migrate() -> str:
        return CliRunner().invoke(cli, ["migrate", "--store", f"sqlite:///{file}"]).output

    newest = schema.latest()
    assert migrate() == f"schema version {newest}, new\n"
    assert migrate() == f"schema version {newest}\n"
    file.unlink()
    file.write_bytes(gzip.decompress((FIRST / "sqlite.gz").read_bytes()))
    assert migrate() == (f"schema version 1 → {newest}\n" if newest > 1 else "schema version 1\n")
