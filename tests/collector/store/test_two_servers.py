"""Old evidence on a second server, by the very SQL that the operator's page has."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import temporary_postgres
from collector.lake import writing
from tests.collector.harness import collector, record
from tests.collector.lake.test_lake import lake, rows_of, written
from tests.collector.store.test_postgres_days import (
    DAY,
    NOW,
    arrived,
    asked,
    counts,
    day,
    divided,
    drop,
    every_statement_is_planned,
    of_day,
    partitions,
    qazcollector,
    without_evidence,
)

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="no psql here")
PAGE = Path(__file__).parents[3] / "docs" / "operator.md"


@pytest.fixture(scope="module")
def second_server(postgres_server: str) -> Iterator[str]:
    """The URL of the database that belongs to the role, on another server."""
    del postgres_server  # it skips where PostgreSQL is not installed
    with temporary_postgres.running() as url:
        psql(url, "CREATE ROLE qazprobe LOGIN; CREATE DATABASE evidence OWNER qazprobe;")
        yield url.replace("postgres@/postgres?", "qazprobe@/evidence?")


def psql(url: str, text: str) -> None:
    done = subprocess.run(
        ["psql", url, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def recipe() -> list[str]:
    """What the page says in SQL: once, for a day on the second server, for it on the first."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("### Old evidence on a second server\n")[2].partition("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", section, re.DOTALL)


def connect(first: str, second: str) -> None:
    folder = second.partition("host=")[2]
    psql(first, recipe()[0].replace("second.example", folder))


def move(first: str, second: str, ended: str) -> None:
    """Move a partition by the name of its end."""
    _, there, here = (text.replace("20261101", ended) for text in recipe())
    psql(second, there)
    psql(first, here)


def test_the_store_is_the_same_with_a_day_on_a_second_server(
    tmp_path: Path, postgres: str, second_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived(postgres, of_day(3), NOW - 3 * DAY, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: NOW - 3 * DAY)
        divided(postgres)
    for days_ago in (2, 0):
        arrived(postgres, of_day(days_ago), NOW - days_ago * DAY, monkeypatch)
    connect(postgres, second_server)
    for days_ago in (3, 2):
        move(postgres, second_server, day(days_ago))
    there = [f"SELECT COUNT(*) FROM raw_before_{day(days_ago)}" for days_ago in (3, 2)]
    assert [asked(second_server, text) for text in there] == [[(3,)], [(3,)]]
    assert counts(postgres) == (9, 9, 9, 3)
    every_statement_is_planned(postgres)
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)
    # The evidence comes from there: for the lake, and until its day goes.
    written(tmp_path, url=postgres)
    assert len({one["id"] for one in rows_of(tmp_path, "steps")}) == 9
    assert lake(tmp_path, "check").stdout == ""
    assert drop(postgres, evidence=2, records=30).evidence == 3
    assert partitions(postgres)[:2] == [(f"raw_before_{day(3)}", 0), (f"raw_before_{day(2)}", 3)]
    assert [asked(second_server, text) for text in there] == [[(0,)], [(3,)]]
    assert len(without_evidence(postgres)) == 3


def test_a_collector_reads_stores_and_erases_what_lies_there(
    tmp_path: Path, postgres: str, second_server: str
) -> None:
    divided(postgres)
    ended = partitions(postgres)[0][0].removeprefix("raw_before_")
    count = f"SELECT COUNT(*) FROM raw_before_{ended}"

    async def scenario() -> None:
        async with collector(tmp_path, store=postgres) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            before, during = record(), record()
            assert (await stays.send(before)).stored == 1
            assert (await leaves.send(record(), record())).stored == 2
            await asyncio.to_thread(connect, postgres, second_server)
            await asyncio.to_thread(move, postgres, second_server, ended)
            assert (await stays.send(during)).stored == 1
            assert (await stays.send(before)).duplicates == 1
            for one in (before, during):
                found = await harness.ask("GET", f"/v1/measurements/{one.id}")
                assert len(found.data["record"]["steps"]) == len(one.steps)
            assert len((await harness.ask("GET", "/v1/export")).body.splitlines()) == 4
            assert await asyncio.to_thread(asked, second_server, count) == [(4,)]
            assert (await leaves.ask("DELETE", "/v1/probes/me")).data == {"erased": 2}

    asyncio.run(scenario())
    assert asked(second_server, count) == [(2,)]
    assert counts(postgres)[:2] == (2, 2)
    assert rejudged(postgres) == "2 judged again, 0 changed\n"
    psql(second_server, f"DROP TABLE raw_before_{ended}")


def rejudged(url: str) -> str:
    return qazcollector("rejudge", "--store", url).stdout
