"""`kill -9` of a collector and its workers at random moments, again and again, on both engines."""

import asyncio
import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import aiohttp
import pytest

from collector.store import queries
from collector.store.queries import Selection
from tests.collector.harness import CollectorHarness, SigningClient, collector, record, settings
from tests.collector.judging.test_workers import check
from tests.collector.test_serve import started

ROUNDS = 4
SENDERS = 3
ENOUGH = 5


class Sending(threading.Thread):
    """A probe that sends without pause until its collector is gone."""

    def __init__(self, harness: CollectorHarness, sender: SigningClient) -> None:
        super().__init__()
        self.harness, self.sender = harness, sender
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()

    def run(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError, AssertionError):
            asyncio.run(self._send())

    async def _send(self) -> None:
        async with aiohttp.ClientSession() as session:
            self.sender.harness = CollectorHarness(self.harness.running, session)
            while True:
                records = [record() for _ in range(7)]
                self.sent |= {one.id for one in records}
                reply = await self.sender.upload(*records)
                assert reply.stored == len(records)
                self.acknowledged |= {one.id or "" for one in reply.records}


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_nothing_acknowledged_is_lost_or_counted_twice(tmp_path: Path, any_store: str) -> None:
    options = settings(tmp_path)
    serve = ("--store", any_store, "--enrolment", "open", "--targets", options.targets[0])
    dice = random.Random(11)
    sent: set[str] = set()
    acknowledged: set[str] = set()

    async def enrol() -> tuple[CollectorHarness, list[SigningClient]]:
        async with collector(tmp_path, store=any_store) as harness:
            return harness, [await harness.probe() for _ in range(SENDERS)]

    harness, senders = asyncio.run(enrol())
    for number in range(ROUNDS):
        with started(*serve, "--workers", "2") as (process, url):
            harness.url = url
            harness.running = type(harness.running)(url, f"{url}/metrics", harness.service)
            sending = [Sending(harness, sender) for sender in senders]
            for one in sending:
                one.start()
            stop = threading.Event()
            while sum(len(one.acknowledged) for one in sending) < ENOUGH * SENDERS:
                stop.wait(0.05)
            stop.wait(dice.uniform(0.0, 2.0))
            # Every other time the workers go first, while the collector still takes batches.
            doomed = [*(_children(process.pid) if number % 2 else ()), process.pid]
            for pid in doomed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for one in sending:
                one.join(60)
                sent |= one.sent
                acknowledged |= one.acknowledged

    async def scenario() -> None:
        async with collector(tmp_path, store=any_store) as again:
            await again.judged()
            every = {
                row.id
                for row in await again.service.store.read(
                    queries.page(Selection(), cursor=None, limit=10**6), slow=True
                )
            }
            assert acknowledged <= every <= sent
            await check(again, every)

    asyncio.run(scenario())
