"""Who waits for a snapshot of the store or for detections, and for how long."""

import asyncio
from pathlib import Path

import pytest

from tests.collector.harness import collector


def test_a_page_is_given_the_last_snapshot_while_the_next_one_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.metrics.snapshot.READER_SECONDS", 0.01)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            snapshots, goes_on = harness.service.snapshots, asyncio.Event()
            first = await snapshots.snapshot()
            make = snapshots._make

            async def make_later() -> None:
                await goes_on.wait()
                await make()

            monkeypatch.setattr(snapshots, "_make", make_later)
            snapshots.touch()
            assert await snapshots.snapshot() is first
            assert await snapshots.snapshot() is first
            goes_on.set()
            async with asyncio.timeout(60):
                while await snapshots.snapshot() is first:  # noqa: ASYNC110 - what a reader does
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_scrape_waits_for_a_snapshot_that_is_cheap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.metrics.snapshot.READER_SECONDS", 0.0)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            snapshots = harness.service.snapshots
            first = await snapshots.snapshot()
            snapshots.touch()
            await snapshots.exposition()
            assert await snapshots.snapshot() is not first

    asyncio.run(scenario())


def test_upkeep_makes_the_next_snapshot_where_somebody_asked_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            snapshots = harness.service.snapshots
            await snapshots.keep()
            assert snapshots._snapshot is None
            first = await snapshots.snapshot()
            snapshots.touch()
            await snapshots.keep()
            assert snapshots._snapshot is not first

    asyncio.run(scenario())


def test_a_reader_is_told_the_last_detections_while_the_next_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.detection.monitor.READER_SECONDS", 0.01)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            monitor, goes_on = harness.service.monitor, asyncio.Event()
            first = await monitor.detections()
            refresh = monitor._refresh

            async def refresh_later() -> None:
                await goes_on.wait()
                await refresh()

            monkeypatch.setattr(monitor, "_refresh", refresh_later)
            monitor.touch()
            assert await monitor.told() is first
            goes_on.set()
            assert await monitor.detections() is not first

    asyncio.run(scenario())
