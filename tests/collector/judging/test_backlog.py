"""What waits to be judged: readiness, the limit, metrics, and observations that do not wait."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from collector.judging.work import QUOTA, QUOTA_SECONDS, Offenders
from collector.settings import LAB_LIMITS
from collector.store import backlog
from collector.store.backlog import NewBatch
from probe import codec
from probe.api_types import ControlReply
from probe.model import Vantage
from tests.collector.harness import LISTED, CollectorHarness, collector, record
from tests.collector.judging.test_workers import until

ABROAD = Vantage(role="control", country="NL", asn=1103)


@asynccontextmanager
async def stopped(harness: CollectorHarness) -> AsyncIterator[None]:
    """A collector whose only worker does nothing meanwhile."""
    await until(lambda: harness.service.judging.pids)
    (pid,) = harness.service.judging.pids
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def status(harness: CollectorHarness, wanted: int) -> str:
    """Wait for this answer of `/readyz`."""
    async with asyncio.timeout(60):
        while True:
            reply = await harness.ask("GET", "/readyz")
            if reply.status == wanted:
                return reply.body.decode()
            await asyncio.sleep(0.05)


def test_a_collector_that_does_not_judge_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.judging.watch.STALL_SECONDS", 0.3)

    async def scenario() -> str:
        async with collector(tmp_path, workers=1) as harness:
            sender = await harness.probe()
            await status(harness, 200)
            async with stopped(harness):
                await sender.upload(record())
                said = await status(harness, 503)
                series = await harness.metrics()
                assert series["qazcollector_backlog_records"] == 1
                await harness.service.backlog.look()
                series = await harness.metrics()
                assert series["qazcollector_backlog_seconds"] > 0
            await harness.judged()
            await status(harness, 200)
            assert (await harness.metrics())["qazcollector_backlog_records"] == 0
            return said

    assert "no waiting record was judged" in asyncio.run(scenario())


def test_a_collector_that_stores_nothing_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.judging.watch.STALL_SECONDS", 0.1)

    async def scenario() -> str:
        async with collector(tmp_path) as harness:
            with harness.service.ingesting:
                said = await status(harness, 503)
            await status(harness, 200)
            return said

    assert "no batch was stored" in asyncio.run(scenario())


def test_no_more_is_taken_than_may_wait(tmp_path: Path) -> None:
    limits = replace(LAB_LIMITS, backlog_records=3)

    async def scenario() -> None:
        async with collector(tmp_path, workers=1, limits=limits) as harness:
            sender = await harness.probe()
            async with stopped(harness):
                await sender.upload(*(record() for _ in range(3)))
                refused = await sender.post(codec.pack([codec.encode(record())]))
                assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
            await harness.judged()
            assert (await sender.send(record())).stored == 1

    asyncio.run(scenario())


def test_observations_of_controls_do_not_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, workers=1) as harness:
            control = await harness.probe("control")
            async with stopped(harness):
                await control.upload(record(vantage=ABROAD))
                reply = await harness.ask("GET", f"/v1/control?input={LISTED}")
                (found,) = reply.read(ControlReply).controls
                assert len(found.observations) == 1
                shown = (await harness.ask("GET", "/v1/measurements")).data
                assert shown["measurements"] == []
            await harness.judged()
            shown = (await harness.ask("GET", "/v1/measurements")).data
            assert len(shown["measurements"]) == 1

    asyncio.run(scenario())


def test_workers_take_what_nobody_holds_and_each_key_in_order(
    tmp_path: Path, any_store: str
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store) as harness:
            store = harness.service.store
            await harness.service.judging.close()
            for key_id, ids in (("a", "12"), ("b", "3"), ("a", "4"), ("b", "5")):
                records = list(enumerate(ids))
                batch = NewBatch(key_id, "probe", 1000.0, "{}", b"", records)
                assert len(await store.write(backlog.add(batch))) == len(ids)

            async def claim(holder: str, now: float = 1000.0, records: int = 3) -> list[str]:
                taken = backlog.claim(holder, now=now, records=records, batches=10)
                return ["".join(one.ids.values()) for one in await store.write(taken)]

            assert await claim("one", records=2) == ["12"]
            # The other batch of that key waits for it.
            assert await claim("two", records=1) == ["3"]
            assert await claim("three") == []
            # A worker that is started again has what it had, and its leases end some time.
            assert await claim("one", records=2) == ["12"]
            await store.write(backlog.release("one"))
            assert await claim("three", records=3) == ["12", "4"]
            assert await claim("four", 1000.0 + 31.0, 9) == ["12", "3", "4", "5"]

    asyncio.run(scenario())


def test_a_key_whose_records_cannot_be_judged_is_an_offender_for_an_hour() -> None:
    at = 0.0
    found = Offenders(lambda: at)
    for _ in range(QUOTA):
        assert "key" not in found
        found.add("key")
    assert "key" in found
    assert "other" not in found
    at = QUOTA_SECONDS
    assert "key" not in found
