"""Evidence in PostgreSQL by day: the same SQL, days that go as a whole, and kills in between."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from collector.admin.retention import Retired, retire
from collector.cli import cli
from collector.lake import writing
from collector.store import measurements, open_store, postgres as engine, postgres_days
from collector.store.measurements import MeasurementRow
from tests.collector.admin.stored_rows import fill_store, row
from tests.collector.harness import CollectorHarness, collector, record
from tests.collector.lake.test_lake import lake, manifest, rows_of, with_chain, written

asyncpg = pytest.importorskip("asyncpg")
DAY = 86_400.0
NOW = time.time()
MAIN = "from collector.cli import main; main()"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def asked(url: str, text: str) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        async with connected(url) as connection:
            return [tuple(one) for one in await connection.fetch(text)]

    return asyncio.run(ask())


def counts(url: str) -> tuple[int, ...]:
    """Records, evidence, certificates that were served, observations."""
    tables = ("measurement", "raw", "served", "observation")
    return tuple(asked(url, f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables)


def qazcollector(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def divided(url: str) -> Result:
    done = qazcollector("migrate", "--partition-by-day", "--store", url)
    assert done.exit_code == 0, done.exception
    return done


def arrived(
    url: str, rows: Iterable[MeasurementRow], at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store records as if they arrived at an instant."""
    clock = SimpleNamespace(time_ns=lambda: int(at * 1e9), time=lambda: at)
    with monkeypatch.context() as patched:
        patched.setattr(measurements, "time", clock)
        fill_store(url, rows)


def of_day(days_ago: int, *, records: int = 3) -> list[MeasurementRow]:
    """Records of a day, each with a certificate; one of them of a control."""
    at = NOW - days_ago * DAY
    found = []
    for number in range(records):
        role = "control" if number == 0 else "probe"
        seen = b"seen" if number == 0 else None
        made = row(100 * days_ago + number, "ab"[number % 2], at, role=role, observation=seen)
        sha256 = f"{100 * days_ago + number:064x}"
        made = with_chain(made, sha256)
        found.append(_with_certificate(made, sha256))
    return found


def _with_certificate(made: MeasurementRow, sha256: str) -> MeasurementRow:
    import msgspec

    return msgspec.structs.replace(made, certs=((sha256, sha256.encode()),))


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)


@pytest.fixture
def begun(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store that was divided three days ago, with records of before and of the day after."""
    arrived(postgres, of_day(3), NOW - 3 * DAY, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: NOW - 3 * DAY)
        divided(postgres)
    arrived(postgres, of_day(2), NOW - 2 * DAY, monkeypatch)
    return postgres


@pytest.fixture
def filled(begun: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, and of two days more."""
    for days_ago in (1, 0):
        arrived(begun, of_day(days_ago), NOW - days_ago * DAY, monkeypatch)
    return begun


def drop(url: str, *, evidence: float, records: float) -> Retired:
    """What retention drops on the evening of today, before midnights of some days ago."""
    midnight = NOW // DAY * DAY

    async def work() -> Retired:
        store = await open_store(url)
        try:
            return await retire(
                store,
                now=NOW + 60,
                raw_before=midnight - evidence * DAY,
                before=midnight - records * DAY,
            )
        finally:
            await store.close()

    return asyncio.run(work())


def retire_by_lake(folder: Path, url: str, *, days: int = 30) -> Result:
    limits = ("--days", str(days), "--raw-days", "1", "--trust-clock")
    return lake(folder, "retire", "--store", url, *limits)


def partitions(url: str, table: str = "raw") -> list[tuple[str, int]]:
    """The partitions of a table, and how many rows they have."""

    async def ask() -> list[tuple[str, int]]:
        async with connected(url) as connection:
            found = await postgres_days.partitions(connection, table)
            many = [await connection.fetchval(f"SELECT COUNT(*) FROM {one.name}") for one in found]
            return [(one.name, count) for one, count in zip(found, many, strict=True)]

    return asyncio.run(ask())


def day(days_ago: float) -> str:
    """The end of a partition's name: the day after."""
    return time.strftime("%Y%m%d", time.gmtime(NOW - (days_ago - 1) * DAY))


def test_every_statement_means_the_same_to_divided_tables(postgres: str) -> None:
    """The server plans each; what needs a key finds it."""
    assert divided(postgres).stdout.startswith("divided by day: raw, served, observation\n")
    assert divided(postgres).stdout.startswith("divided by day: all tables were before\n")

    every_statement_is_planned(postgres)


def every_statement_is_planned(url: str) -> None:
    async def plan_all() -> None:
        async with connected(url) as connection:
            for name, (text, names) in engine.translated().items():
                await connection.execute(f"PREPARE {name} AS {text}")
                nulls = f"({', '.join(['NULL'] * len(names))})" if names else ""
                await connection.execute(f"EXPLAIN EXECUTE {name}{nulls}")

    asyncio.run(plan_all())


def test_a_collector_serves_on_while_its_store_is_divided(tmp_path: Path, postgres: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=postgres) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            sent = record()
            assert (await stays.send(sent)).stored == 1
            assert (await leaves.send(record())).stored == 1
            await asyncio.to_thread(divided, postgres)
            assert (await stays.send(sent)).duplicates == 1
            again = await stays.send(record(), record())
            assert (await leaves.send(record()), again)[1].stored == 2
            await everything_is_read(harness, sent.id)
            assert (await leaves.ask("DELETE", "/v1/probes/me")).data == {"erased": 2}

    asyncio.run(scenario())
    assert counts(postgres)[:2] == (3, 3)


async def everything_is_read(harness: CollectorHarness, id_: str) -> None:
    assert (await harness.ask("GET", f"/v1/measurements/{id_}")).status == 200
    assert len((await harness.ask("GET", "/v1/export")).body.splitlines()) == 5


def test_days_go_as_a_whole_once_the_lake_has_them(
    tmp_path: Path, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, url=begun)
    for days_ago in (1, 0):
        arrived(begun, of_day(days_ago), NOW - days_ago * DAY, monkeypatch)
    assert counts(begun) == (12, 12, 12, 4)
    assert [rows for _, rows in partitions(begun)[:4]] == [3, 3, 3, 3]
    monkeypatch.setattr(time, "time", lambda: NOW + 5 * DAY)
    # All four days are old by now, and the lake has two of them.
    assert retire_by_lake(tmp_path, begun).stdout == (
        "0 records dropped, the evidence of 6 others\n"
    )
    assert counts(begun) == (12, 6, 6, 4)
    assert without_evidence(begun) == {one["id"] for one in rows_of(tmp_path, "steps")}
    written(tmp_path, url=begun)
    assert "the evidence of 6 others" in retire_by_lake(tmp_path, begun).stdout
    assert counts(begun) == (12, 0, 0, 4)
    assert without_evidence(begun) == {one["id"] for one in rows_of(tmp_path, "steps")}
    assert lake(tmp_path, "check").stdout == ""
    assert partitions(begun)[0] == (f"raw_before_{day(-3)}", 0)
    assert partitions(begun)[-1] == ("raw_later", 0)
    assert len(partitions(begun)) == postgres_days.AHEAD + 3
    # In the end records go too, and what controls saw.
    assert retire_by_lake(tmp_path, begun, days=1).stdout.startswith("12 records dropped")
    assert counts(begun) == (0, 0, 0, 0)


def without_evidence(url: str) -> set[str]:
    text = "SELECT id FROM measurement m WHERE seq NOT IN (SELECT seq FROM raw)"
    return {one for (one,) in asked(url, text)}


def test_retention_counts_what_it_drops_as_in_a_store_that_is_not_divided(filled: str) -> None:
    done = drop(filled, evidence=1, records=2)
    assert done == Retired(evidence=3, records=3)
    assert counts(filled) == (9, 6, 6, 3)
    assert partitions(filled)[:2] == [(f"raw_before_{day(2)}", 0), (f"raw_before_{day(1)}", 3)]
    assert drop(filled, evidence=1, records=2) == Retired(evidence=0, records=0)


def test_every_record_has_a_place_whatever_the_clock_says(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(filled, evidence=1, records=30)
    arrived(filled, [row(900)], 0.0, monkeypatch)
    arrived(filled, [row(901)], NOW + 40 * DAY, monkeypatch)
    assert partitions(filled)[0][1] == 1
    assert partitions(filled)[-1] == ("raw_later", 1)
    # What came while nobody made days stays together, and days follow.
    monkeypatch.setattr(time, "time", lambda: NOW + 41 * DAY)
    divided(filled)
    found = partitions(filled)
    assert (f"raw_before_{day(-41)}", 1) in found
    assert found[-1] == ("raw_later", 0)
    assert found[-2] == (f"raw_before_{day(-41 - postgres_days.AHEAD + 1)}", 0)


def test_a_backup_is_restored_into_a_divided_store(tmp_path: Path, filled: str) -> None:
    file = str(tmp_path / "backup.sqlite3")
    assert qazcollector("backup", "--store", filled, file).exit_code == 0
    drop(filled, evidence=0, records=30)
    assert counts(filled)[1] == 3
    assert qazcollector("restore", "--store", filled, "--replace", file).exit_code == 0
    assert counts(filled) == (12, 12, 12, 4)
    assert partitions(filled)[0] == (f"raw_before_{day(1)}", 9)


def test_who_reads_is_not_disturbed_and_keeps_a_day_from_going(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deleted row by row then."""
    monkeypatch.setattr(engine, "PAUSES", (0.1,))

    async def scenario() -> None:
        async with connected(filled) as reader, reader.transaction():
            before = await reader.fetchval("SELECT COUNT(*) FROM raw")
            done = await asyncio.to_thread(drop, filled, evidence=1, records=30)
            assert done == Retired(evidence=6, records=0)
            assert await reader.fetchval("SELECT COUNT(*) FROM raw") == before - 6

    asyncio.run(scenario())
    assert (f"raw_before_{day(2)}", 0) in partitions(filled)


def killed_while(url: str, held: str, *words: str) -> None:
    """Start a command, and kill it when it waits for a table that somebody reads."""
    waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"

    async def scenario() -> None:
        async with connected(url) as reader, connected(url) as looker, reader.transaction():
            await reader.execute(f"SELECT 1 FROM {held} LIMIT 1")
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", MAIN, *words, stderr=asyncio.subprocess.DEVNULL
            )
            while not await looker.fetchval(waits):
                assert process.returncode is None
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            await process.wait()

    asyncio.run(scenario())
    # The server ends the transaction as soon as it has the lock, and sees that nobody is there.
    busy = "SELECT 1 FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()"
    while asked(url, f"{busy} AND datname = current_database()"):
        time.sleep(0.05)


@pytest.mark.parametrize("held", ["raw", "served", "observation"])
def test_a_kill_while_tables_are_divided_changes_nothing(
    postgres: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived(postgres, of_day(1), NOW - DAY, monkeypatch)
    killed_while(postgres, held, "migrate", "--partition-by-day", "--store", postgres)
    assert counts(postgres) == (3, 3, 3, 1)
    assert asked(
        postgres, "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'raw'::regclass"
    ) == [(0,)]
    divided(postgres)
    assert counts(postgres) == (3, 3, 3, 1)


@pytest.mark.parametrize("held", ["raw", "served"])
def test_a_kill_while_days_go_loses_none_that_the_lake_lacks(
    tmp_path: Path, filled: str, held: str
) -> None:
    written(tmp_path, url=filled)
    words = ("--days", "30", "--raw-days", "1", "--trust-clock", "--to", str(tmp_path / "lake"))
    killed_while(filled, held, "lake", "retire", "--store", filled, *words)
    assert counts(filled) == (12, 12, 12, 4)
    assert "the evidence of 9 others" in retire_by_lake(tmp_path, filled).stdout
    assert without_evidence(filled) <= {one["id"] for one in rows_of(tmp_path, "steps")}


def test_nothing_goes_by_a_lake_that_lacks_a_file_or_knows_another_store(
    tmp_path: Path, filled: str
) -> None:
    fill_store(f"sqlite:///{tmp_path}/other.sqlite3", [row(1)])
    written(tmp_path, url=f"sqlite:///{tmp_path}/other.sqlite3")
    words = ("retire", "--store", filled, "--days", "1", "--trust-clock")
    assert "has nothing of this store" in str(lake(tmp_path, *words, fails=True).exception)
    written(tmp_path, url=filled)
    part = manifest(tmp_path).of("steps")[0]
    (tmp_path / "lake" / part.path).unlink()
    assert f"{part.path}: missing" in str(lake(tmp_path, *words, fails=True).exception)
    assert counts(filled) == (12, 12, 12, 4)


def test_a_file_has_no_partitions_and_is_retired_as_far_as_the_lake_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    arrived(url, of_day(3), NOW - 3 * DAY, monkeypatch)
    done = qazcollector("migrate", "--partition-by-day", "--store", url)
    assert "only a store in PostgreSQL" in str(done.exception)
    written(tmp_path, url=url)
    arrived(url, of_day(2), NOW - 2 * DAY, monkeypatch)
    told = retire_by_lake(tmp_path, url, days=1).stdout
    assert told == "3 records dropped, the evidence of 0 others\n"
