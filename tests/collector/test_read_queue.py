import asyncio
from pathlib import Path

import pytest

from collector.read_queue import QueueFull, ReadQueue
from collector.settings import LAB_LIMITS
from tests.collector.harness import CollectorHarness, collector


class Reader:
    """One who has or awaits a turn until told to leave."""

    def __init__(self, queue: ReadQueue, network: str | None) -> None:
        self.reading = asyncio.Event()
        self.leaving = asyncio.Event()
        self.task = asyncio.create_task(self._read(queue, network))

    async def _read(self, queue: ReadQueue, network: str | None) -> None:
        async with queue.turn(network):
            self.reading.set()
            await self.leaving.wait()

    async def leave(self) -> None:
        self.leaving.set()
        await self.task


def test_one_reads_one_waits_and_a_third_is_turned_away() -> None:
    async def scenario() -> None:
        queue = ReadQueue(1, 1, 5)
        first, second = Reader(queue, "a"), Reader(queue, "b")
        await first.reading.wait()
        third = Reader(queue, "c")
        with pytest.raises(QueueFull):
            await third.task
        assert not second.reading.is_set()
        await first.leave()
        await second.reading.wait()
        await second.leave()
        async with queue.turn("c"):
            pass

    asyncio.run(scenario())


def test_a_network_has_a_share_only() -> None:
    async def scenario() -> None:
        queue = ReadQueue(3, 3, 1)
        first = Reader(queue, "a")
        await first.reading.wait()
        with pytest.raises(QueueFull):
            await Reader(queue, "a").task
        others = [Reader(queue, None), Reader(queue, None)]
        for one in others:
            await one.reading.wait()
        for one in (first, *others):
            await one.leave()

    asyncio.run(scenario())


def test_nobody_waits_for_ever() -> None:
    async def scenario() -> None:
        queue = ReadQueue(1, 1, 5, wait_seconds=0.05)
        first = Reader(queue, None)
        await first.reading.wait()
        with pytest.raises(QueueFull):
            await Reader(queue, None).task
        await first.leave()
        async with queue.turn(None):
            pass

    asyncio.run(scenario())


def test_readers_beyond_the_queue_get_a_503_with_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def slow(*_: object) -> None:
        await gate.wait()

    async def ask(harness: CollectorHarness) -> tuple[int, str | None]:
        reply = await harness.ask("GET", "/v1/events")
        return reply.status, reply.headers.get("Retry-After")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            monkeypatch.setattr(type(harness.service.results), "get", slow)
            places = LAB_LIMITS.reads * 9
            waiting = [asyncio.ensure_future(ask(harness)) for _ in range(places + 5)]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 5:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert {one.result() for one in done} == {(503, "10")}
            assert (await harness.ask("GET", "/healthz")).status == 200
            assert (await harness.ask("GET", "/v1/service")).status == 200
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            gate.set()

    asyncio.run(scenario())
