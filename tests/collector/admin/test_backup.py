"""Backups of both engines, restored into both, and what is refused."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli, main
from collector.store import open_store, schema, sqlite_path
from tests.collector.admin.test_retention import NOW, fill
from tests.collector.harness import collector, record
from tests.collector.store.test_schema import Table, dump, execute


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def filled(url: str, number: int = 120) -> dict[str, Table]:
    async def scenario() -> None:
        store = await open_store(url)
        await fill(store, number, NOW)
        await store.close()

    asyncio.run(scenario())
    return dump(url)


def same(one: dict[str, Table], other: dict[str, Table]) -> None:
    """Every row of every table, in whatever order; an engine has no tables of its own here."""
    assert set(one) == set(other)
    for table, rows in one.items():
        names = sorted(rows[0]) if rows else []
        assert lines(rows, names) == lines(other[table], names), table


def lines(rows: Table, names: list[str]) -> list[str]:
    return sorted(repr([row[name] for name in names]) for row in rows)


@pytest.fixture(params=["sqlite", "postgres"])
def other_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a second store, in each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/restored/store.sqlite3"
    url: str = request.getfixturevalue("postgres_too")
    return url


def test_a_backup_is_restored_into_either_engine(
    any_store: str, other_store: str, tmp_path: Path
) -> None:
    before = filled(any_store)
    file = tmp_path / "backup.sqlite3"
    done = command("backup", str(file), "--store", any_store)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{file}: 120 records, 0 keys, schema version ")
    assert file.stat().st_mode & 0o777 == 0o600
    same(before, dump(f"sqlite:///{file}"))
    (tmp_path / "restored").mkdir()
    done = command("restore", str(file), "--store", other_store)
    assert done.exit_code == 0, done.output
    same(before, dump(other_store))

    async def serves() -> None:
        async with collector(tmp_path, store=other_store) as harness:
            sender = await harness.probe()
            assert (await sender.send(record())).stored == 1

    asyncio.run(serves())


def test_a_backup_is_consistent_while_records_come(tmp_path: Path, any_store: str) -> None:
    async def scenario() -> list[Path]:
        async with collector(tmp_path, store=any_store) as harness:
            sender = await harness.probe()
            files = [tmp_path / f"backup{number}" for number in range(3)]
            done = asyncio.Event()

            async def back_up() -> None:
                for file in files:
                    result = await asyncio.to_thread(
                        command, "backup", str(file), "--store", any_store
                    )
                    assert result.exit_code == 0, result.output
                done.set()

            task = asyncio.create_task(back_up())
            while not done.is_set() and not task.done():
                await sender.send(record(), record())
            await task
            return files

    for file in asyncio.run(scenario()):
        with closing(sqlite3.connect(file)) as connection:
            (counted,) = connection.execute("SELECT COALESCE(SUM(n), 0) FROM total").fetchone()
            (stored,) = connection.execute("SELECT COUNT(*) FROM measurement").fetchone()
            (raw,) = connection.execute("SELECT COUNT(*) FROM raw").fetchone()
        assert counted == stored == raw


def test_a_backup_of_the_first_version_is_migrated_when_it_is_restored(
    first_version: str, other_store: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup.sqlite3"
    done = command("backup", str(file), "--store", first_version)
    assert done.exit_code == 0, done.output
    assert "19 records, 4 keys, schema version 1" in done.output
    (tmp_path / "restored").mkdir()
    assert command("restore", str(file), "--store", other_store).exit_code == 0
    held = dump(other_store)
    assert len(held["measurement"]) == 19
    version = {row["name"]: row["value"] for row in held["meta"]}[schema.VERSION]
    assert version == str(schema.latest())


def test_what_is_there_is_replaced_only_on_request(
    any_store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = filled(any_store)
    file = tmp_path / "backup.sqlite3"
    assert command("backup", str(file), "--store", any_store).exit_code == 0
    assert "--replace" in refused(capsys, "backup", str(file), "--store", any_store)
    assert command("backup", str(file), "--store", any_store, "--replace").exit_code == 0
    execute(any_store, "DELETE FROM raw")
    assert "--replace" in refused(capsys, "restore", str(file), "--store", any_store)
    assert dump(any_store)["raw"] == []
    done = command("restore", str(file), "--store", any_store, "--replace")
    assert done.exit_code == 0, done.output
    same(before, dump(any_store))


def test_a_store_in_use_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    file = tmp_path / "backup.sqlite3"

    async def scenario() -> str:
        store = await open_store(url)
        try:
            await fill(store, 10, NOW)
            assert (
                await asyncio.to_thread(command, "backup", str(file), "--store", url)
            ).exit_code == 0
            line = await asyncio.to_thread(
                refused, capsys, "restore", str(file), "--store", url, "--replace"
            )
            await fill(store, 10, NOW, first=10)
            return line
        finally:
            await store.close()

    assert "is in use" in asyncio.run(scenario())
    assert len(dump(url)["measurement"]) == 20


@pytest.mark.parametrize("damage", ["none", "text", "cut", "flipped", "newer"])
def test_a_file_that_is_no_whole_backup_is_refused(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, file = f"sqlite:///{tmp_path}/store.sqlite3", tmp_path / "backup.sqlite3"
    before = filled(url)
    assert command("backup", str(file), "--store", url).exit_code == 0
    content = bytearray(file.read_bytes())
    if damage == "none":
        file.unlink()
    elif damage == "text":
        file.write_text("hello " * 5000)
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[8192 * 4 : 8192 * 40] = b"\x7f" * 8192 * 36
        file.write_bytes(content)
    else:
        execute(f"sqlite:///{file}", "UPDATE meta SET value='9999' WHERE name='schema_version'")
    line = refused(capsys, "restore", str(file), "--store", url, "--replace")
    assert str(file) in line
    same(before, dump(url))
    assert not list(tmp_path.glob("*.partial*"))


def test_a_store_that_is_not_there_is_not_backed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/none.sqlite3"
    assert "is not there" in refused(capsys, "backup", str(tmp_path / "x"), "--store", url)
    assert list(tmp_path.iterdir()) == []
    assert sqlite_path(url).name == "none.sqlite3"
