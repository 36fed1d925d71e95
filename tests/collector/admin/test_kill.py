"""kill -9 in the middle of a migration, a retention, a backup, a restoration: nothing is lost."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from collector.store import migrate_store, open_store
from tests.collector.admin.test_backup import filled, same
from tests.collector.admin.test_retention import DAY, fill
from tests.collector.store.test_schema import Table, assert_kept, dump
from tests.collector.test_serve import ROOT

pytestmark = pytest.mark.slow

KILL = "import os, signal\ndef kill():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
# Ends the process instead of the n-th statement of an operation.
AT_STATEMENT = """
from collector.store import postgres, sqlite
left = {number}
def counted(original):
    def execute(*arguments):
        global left
        left -= 1
        if not left:
            kill()
        return original(*arguments)
    return execute
sqlite._execute = counted(sqlite._execute)
postgres._execute = counted(postgres._execute)
"""
# Ends it after so many thousand instructions of SQLite's machine in a copy.
IN_COPY = """
from collector.admin import backup
original = backup._open
def opened(file):
    connection = original(file)
    connection.set_progress_handler(kill, {number})
    return connection
backup._open = opened
"""
# Ends it instead of the n-th time that a file or folder is brought to the disk.
AT_SYNC = """
from collector.admin import backup
left = {number}
original = backup._sync
def sync(path):
    global left
    left -= 1
    if not left:
        kill()
    original(path)
backup._sync = sync
"""
# Ends it after so many rows of a restoration.
AT_ROW = """
from collector.admin import postgres_copy
left = {number}
original = postgres_copy._clean
def clean(rows):
    global left
    for row in original(rows):
        left -= 1
        if not left:
            kill()
        yield row
postgres_copy._clean = clean
"""


def run(*arguments: str, patch: str = "") -> int:
    code = f"{KILL}{patch}\nfrom collector.cli import main\nmain({list(arguments)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


@pytest.mark.parametrize("number", [3, 9, 30, 45])
def test_a_migration(first_version: str, number: int) -> None:
    before = dump(first_version)
    patch = AT_STATEMENT.format(number=number)
    assert run("migrate", "--store", first_version, patch=patch) == -signal.SIGKILL
    assert_kept(before, dump(first_version))
    assert run("migrate", "--store", first_version) == 0
    assert_kept(before, dump(first_version))
    asyncio.run(migrate_store(first_version))


@pytest.mark.parametrize("number", [9, 14, 19])
def test_a_retention(any_store: str, number: int) -> None:
    filled(any_store, 0)
    asyncio.run(_fill_old(any_store))
    totals = dump(any_store)["total"]
    arguments = ("retention", "--store", any_store, "--days", "30")
    patch = AT_STATEMENT.format(number=number)
    assert run(*arguments, patch=patch) == -signal.SIGKILL
    check(dump(any_store), totals)
    assert run(*arguments) == 0
    after = dump(any_store)
    check(after, totals)
    assert len(after["measurement"]) == 0
    assert len(after["certificate"]) == 0


async def _fill_old(url: str) -> None:
    store = await open_store(url)
    await fill(store, 300, 1_600_000_000.0 - DAY)
    await store.close()


def check(held: dict[str, Table], totals: Table) -> None:
    """A record has its evidence and its certificate, or is gone with both; counts stay."""
    for table in ("raw", "served"):
        assert {row["seq"] for row in held[table]} == {row["seq"] for row in held["measurement"]}
    known = {row["sha256"] for row in held["certificate"]}
    assert {row["sha256"] for row in held["served"]} <= known
    assert held["total"] == totals


@pytest.mark.parametrize("copied", [False, True], ids=["while copying", "when copied"])
def test_a_backup(any_store: str, tmp_path: Path, *, copied: bool) -> None:
    at_sync = copied or any_store.startswith("postgres")
    patch = AT_SYNC.format(number=1) if at_sync else IN_COPY.format(number=200)
    before = filled(any_store, 300)
    file = tmp_path / "backup.sqlite3"
    assert run("backup", "--store", any_store, str(file), patch=patch) == -signal.SIGKILL
    assert not file.exists()
    assert dump(any_store) == before
    assert run("backup", "--store", any_store, str(file)) == 0
    same(before, dump(f"sqlite:///{file}"))
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_restoration(any_store: str, tmp_path: Path, number: int) -> None:
    backed_up = filled(any_store, 200)
    file = tmp_path / "backup.sqlite3"
    assert run("backup", "--store", any_store, str(file)) == 0
    before = filled(any_store, 250)
    sqlite = any_store.startswith("sqlite")
    patches = (IN_COPY.format(number=5000), AT_SYNC.format(number=1), AT_SYNC.format(number=2))
    patch = patches[number - 1] if sqlite else AT_ROW.format(number=number * 150)
    arguments = ("restore", "--store", any_store, str(file), "--replace")
    assert run(*arguments, patch=patch) == -signal.SIGKILL
    held = dump(any_store)
    expected = backed_up if sqlite and number == 3 else before
    same(expected, held)
    assert run(*arguments) == 0
    same(backed_up, dump(any_store))
