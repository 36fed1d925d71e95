"""Expensive reads hold up neither the page nor health checks, nor each other for ever."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from typing import Any

import pytest

from collector.read_queue import ReadQueue
from collector.store import Operation
from tests.collector import large_store
from tests.collector.harness import CollectorHarness, collector, record

READS = (
    "/v1/measurements?outcome=down&limit=999",
    "/v1/measurements?outcome=refused",
    "/v1/measurements?outcome=throttled&order=oldest",
    "/v1/events?limit=1000",
    "/v1/hourly?limit=10000",
    "/v1/hourly?outcome=down",
    "/v1/interceptions",
    "/v1/export/interceptions?by=leaf",
)
LIGHT = ("/healthz", "/")


async def statuses(harness: CollectorHarness, paths: Sequence[str]) -> list[int]:
    found = await asyncio.gather(*(harness.ask("GET", path) for path in paths))
    return [one.status for one in found]


async def until_waiting(queue: ReadQueue, readers: int) -> None:
    """Wait until so many have or await a turn; a queue tells nobody."""
    while queue._networks.total() < readers:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)


async def warmed(harness: CollectorHarness) -> None:
    """Wait for the first page, for which a large store is read; it goes on without its reader."""
    while True:
        try:
            if await statuses(harness, LIGHT) == [200] * len(LIGHT):
                return
        except TimeoutError:
            continue


def test_the_page_and_health_checks_wait_for_no_reader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record())
            queue, limits = harness.service.queues["read"], harness.service.settings.limits
            async with AsyncExitStack() as busy:
                for _ in range(limits.reads):
                    await busy.enter_async_context(queue.turn(None))
                waiting = asyncio.create_task(statuses(harness, READS))
                await until_waiting(queue, limits.reads + len(READS))
                assert (
                    await statuses(harness, ("/", "/healthz", "/readyz", "/metrics")) == [200] * 4
                )
                assert not waiting.done()
            assert await waiting == [200] * len(READS)

    asyncio.run(scenario())


def test_the_same_read_for_many_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is.
    monkeypatch.setattr("collector.result_cache.OLD_SECONDS", inf)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record())
            store, names = harness.service.store, list[str]()
            read = store.read

            def counting(operation: Operation[Any], *, slow: bool = False) -> Awaitable[Any]:
                names.append(getattr(operation, "__qualname__", ""))
                return read(operation, slow=slow)

            monkeypatch.setattr(store, "read", counting)
            for path, made_by in (("/v1/measurements", "_page"), ("/v1/hourly", "page")):
                names.clear()
                for asked in (path, path, f"{path}?format=csv", path):
                    assert (await harness.ask("GET", asked)).status == 200
                assert names.count(made_by) == 1, path

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_page_is_given_many_times_while_a_large_store_is_read(tmp_path: Path) -> None:
    large_store.make(tmp_path / "store.sqlite3")

    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            await warmed(harness)
            began = time.monotonic()
            reading = asyncio.create_task(statuses(harness, READS))
            slowest, rounds = 0.0, 0
            while not reading.done():
                at = time.monotonic()
                assert await statuses(harness, LIGHT) == [200] * len(LIGHT)
                slowest, rounds = max(slowest, time.monotonic() - at), rounds + 1
            took = time.monotonic() - began
            assert await reading == [200] * len(READS)
            assert rounds >= len(READS), rounds
            assert slowest < took / 2, (slowest, took)
            print(f"eight reads {took:.2f} s, {rounds} rounds of the page, slowest {slowest:.3f} s")

    asyncio.run(scenario())
