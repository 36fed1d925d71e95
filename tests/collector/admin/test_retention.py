"""Retention: in small steps beside a serving collector; the file of an embedded store shrinks."""

import asyncio
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.admin import retention
from collector.admin.retention import Retired, retire
from collector.store import Store, measurements, migrate_store, open_store, sqlite_path
from tests.collector.harness import collector, record, select
from tests.collector.store.test_schema import FIRST, dump, execute

DAY = 86_400.0
NOW = 1_795_600_000.0


def row(number: int, at: float) -> measurements.MeasurementRow:
    """A record with five kilobytes of evidence and a certificate of its own."""
    raw = number.to_bytes(4, "big") * 1280
    return measurements.MeasurementRow(
        id=f"id-{number}",
        key_id="k",
        run="r",
        role="probe",
        lab=0,
        experiment="web",
        input=f"https://site{number}.example/",
        target="unlisted",
        category="",
        at=at,
        started_at="",
        received_at=int(at),
        country="KZ",
        asn=9198,
        region="",
        network="",
        version="",
        peer_agrees=None,
        claim="ok",
        claim_mechanisms="",
        timings="",
        outcome="ok",
        raw=raw,
        certs=((f"{number:064}", b"x" * 500),),
    )


async def fill(store: Store, number: int, at: float, *, first: int = 0) -> None:
    """Records measured at a time, in small batches."""
    for start in range(first, first + number, 50):
        end = min(start + 50, first + number)
        await store.write(measurements.ingest([row(n, at) for n in range(start, end)]))


async def counts(store: Store) -> tuple[int, int, int]:
    """Records, those with evidence, and certificates."""
    (found,) = await store.read(select("count_all"))
    return found[0], found[1], found[4]


def test_many_old_records_go_in_small_steps(
    any_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_MOST", 40)

    async def scenario() -> None:
        store = await open_store(any_store)
        try:
            await fill(store, 300, NOW - 100 * DAY)
            await fill(store, 100, NOW - 40 * DAY, first=300)
            await fill(store, 50, NOW, first=400)
            before = await store.read(select("totals"))
            done = await retire(store, now=2e9, raw_before=NOW - 30 * DAY, before=NOW - 90 * DAY)
            assert done == Retired(evidence=100, records=300)
            assert await counts(store) == (150, 50, 50)
            assert list(await store.read(select("totals"))) == list(before)
            again = await retire(store, now=2e9, raw_before=NOW - 30 * DAY, before=NOW - 90 * DAY)
            assert again == Retired(evidence=0, records=0)
        finally:
            await store.close()

    asyncio.run(scenario())
    left = dump(any_store)
    assert len(left["newest"]) == 150
    assert len(left["served"]) == 50


def test_the_file_shrinks_while_the_collector_serves(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"

    async def scenario() -> tuple[int, int]:
        async with collector(tmp_path) as harness:
            await fill(harness.service.store, 1000, NOW - 100 * DAY)
            await harness.service.store.scrub()
            before = file.stat().st_size
            sender = await harness.probe()
            other = await open_store(f"sqlite:///{file}")
            clock = harness.service.clock()
            work = asyncio.create_task(
                retire(other, now=clock + 9, raw_before=clock - DAY, before=clock - DAY)
            )
            sent = 0
            while not work.done() or not sent:
                sent += (await sender.send(record())).stored
            assert (await work).records == 1000
            await other.close()
            assert (await counts(harness.service.store))[0] == sent
            return before, file.stat().st_size

    before, after = asyncio.run(scenario())
    assert before > 5_000_000
    assert after < before / 4


def old_store(url: str) -> None:
    """A store of the first version: its file is not made to shrink."""
    packed = (FIRST / "sqlite.gz").read_bytes()
    sqlite_path(url).write_bytes(gzip.decompress(packed))
    asyncio.run(migrate_store(url))


def test_an_older_file_shrinks_when_it_is_compacted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    old_store(url)

    async def scenario(*, compact: bool) -> int:
        store = await open_store(url)
        try:
            await retire(store, now=2e9, raw_before=NOW, before=NOW, compact=compact)
        finally:
            await store.close()
        return sqlite_path(url).stat().st_size

    async def grow() -> None:
        store = await open_store(url)
        await fill(store, 500, NOW - DAY)
        await store.close()

    asyncio.run(grow())
    kept = asyncio.run(scenario(compact=False))
    assert kept > 3_000_000
    assert asyncio.run(scenario(compact=True)) < kept / 4
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    # From then on by itself.
    asyncio.run(grow())
    assert asyncio.run(scenario(compact=False)) < kept / 4


def test_space_is_given_back_many_pages_at_a_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"

    async def scenario() -> int:
        store = await open_store(url)
        try:
            await fill(store, 500, NOW - DAY)
            execute(url, "DELETE FROM raw")
            steps = 1
            while await store.shrink():
                steps += 1
            return steps
        finally:
            await store.close()

    assert 1 < asyncio.run(scenario()) < 10
