"""Judging processes: what they cannot judge is stored as such, and killing them loses nothing."""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from collector.judging import workers
from collector.store import backlog, queries
from collector.store.queries import Selection
from tests.collector.harness import LISTED, CollectorHarness, collector, record, select
from tests.collector.judging.poisoned_worker import BUGGY, DEADLY, ENDLESS, FINE, GREEDY, STUCK

POISONED = "tests.collector.judging.poisoned_worker"
LIMIT = 120.0


@pytest.fixture
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MODULE", POISONED)
    monkeypatch.setattr(workers, "PAUSE_SECONDS", (0.01, 0.1))


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not holds():  # noqa: ASYNC110 - a process tells nothing
            await asyncio.sleep(0.01)


async def reasons(harness: CollectorHarness) -> dict[str, tuple[str, str]]:
    """Outcome, and the reason for no verdict, by input."""
    every = queries.page(Selection(), cursor=None, limit=1000)
    rows = await harness.service.store.read(every)
    return {row.input: (row.outcome, row.unjudged) for row in rows}


@pytest.mark.usefixtures("_poisoned")
def test_what_cannot_be_judged_is_kept_as_inconclusive(tmp_path: Path, any_store: str) -> None:
    inputs = [FINE, ENDLESS, BUGGY, STUCK, GREEDY, LISTED]

    async def scenario() -> tuple[dict[str, tuple[str, str]], dict[str, float], list[int]]:
        async with collector(tmp_path, store=any_store, workers=1) as harness:
            sender = await harness.probe()
            sent = [record(one) for one in inputs]
            assert (await sender.send(*sent)).stored == len(sent)
            path = [f"/v1/measurements/{one.id}" for one in sent]
            replies = [await harness.ask("GET", one) for one in path]
            assert all(reply.data["record"]["id"] for reply in replies)
            shown = [reply.data["judged"]["unjudged"] for reply in replies]
            assert shown == [None, "time", "bug", "crash", "memory", None]
            found = await reasons(harness)
            return found, await harness.metrics(), [reply.status for reply in replies]

    found, series, statuses = asyncio.run(scenario())
    assert found == {
        FINE: ("ok", ""),
        LISTED: ("ok", ""),
        ENDLESS: ("inconclusive", "time"),
        BUGGY: ("inconclusive", "bug"),
        STUCK: ("inconclusive", "crash"),
        GREEDY: ("inconclusive", "memory"),
    }
    assert set(statuses) == {200}
    assert series['qazcollector_unjudged_total{reason="time"}'] >= 1
    assert series["qazcollector_judge_errors_total"] >= 1
    assert series["qazcollector_judging_restarts_total"] >= 1
    totals = [value for name, value in series.items() if "qazprobe_measurements_total" in name]
    assert sum(totals) == len(inputs)


@pytest.mark.usefixtures("_poisoned")
def test_a_record_that_ends_its_worker_does_not_stop_the_others(tmp_path: Path) -> None:
    async def scenario() -> dict[str, tuple[str, str]]:
        async with collector(tmp_path, workers=2) as harness:
            bad, good = await harness.probe(), await harness.probe()
            await bad.upload(record(FINE), record(DEADLY), record(LISTED))
            await good.send(*(record() for _ in range(50)))
            return await reasons(harness)

    found = asyncio.run(scenario())
    assert found == {
        FINE: ("ok", ""), LISTED: ("ok", ""), DEADLY: ("inconclusive", "crash")
    }  # fmt: skip


def test_a_silent_worker_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SILENT_SECONDS", 0.5)

    async def scenario() -> dict[str, tuple[str, str]]:
        async with collector(tmp_path, workers=1) as harness:
            sender, judging = await harness.probe(), harness.service.judging
            await until(lambda: judging.pids)
            (pid,) = judging.pids
            os.kill(pid, signal.SIGSTOP)
            await sender.upload(record(FINE))
            await until(lambda: judging.pids and judging.pids != (pid,))
            monkeypatch.setattr(workers, "SILENT_SECONDS", 60.0)
            await harness.judged()
            return await reasons(harness)

    assert asyncio.run(scenario()) == {FINE: ("ok", "")}


def test_killing_workers_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, any_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PAUSE_SECONDS", (0.01, 0.1))
    dice = random.Random(7)

    async def kill(harness: CollectorHarness, rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(dice.uniform(0.0, 0.6))
            for pid in harness.service.judging.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def scenario() -> None:
        async with collector(tmp_path, store=any_store, workers=2) as harness:
            senders = [await harness.probe() for _ in range(4)]
            killing = asyncio.create_task(kill(harness, 12))
            sent: list[str] = []
            while not killing.done():
                for sender in senders:
                    records = [record() for _ in range(20)]
                    reply = await sender.upload(*records)
                    assert reply.stored == 20
                    sent += [one.id for one in records]
            await killing
            await harness.judged()
            await check(harness, sent)

    asyncio.run(scenario())


async def check(harness: CollectorHarness, sent: Iterable[str]) -> None:
    """Every acknowledged record is there once, and the counts are the sums over the records."""
    store = harness.service.store
    every = await store.read(queries.page(Selection(), cursor=None, limit=10**6), slow=True)
    assert Counter(row.id for row in every) == Counter(sent)
    total, hourly, records = (await store.read(select("uncounted")))[0]
    assert total == hourly == records == len(every)
    assert not await store.read(select("waiting_between", first=0, last=2**62))
    assert (await store.read(backlog.state())) == (0, None, None)


def test_a_batch_that_waits_is_no_new_one_and_can_be_erased(tmp_path: Path, any_store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store, workers=1) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            judging = harness.service.judging
            await until(lambda: judging.pids)
            await stays.send(record())
            (pid,) = judging.pids
            os.kill(pid, signal.SIGSTOP)
            try:
                kept, gone = record(), record()
                assert (await stays.upload(kept)).stored == 1
                assert (await stays.upload(kept, record())).duplicates == 1
                assert (await leaves.upload(gone)).stored == 1
                assert (await harness.ask("GET", f"/v1/measurements/{kept.id}")).status == 404
                reply = await leaves.ask("DELETE", "/v1/probes/me")
                assert reply.data == {"erased": 1}
            finally:
                os.kill(pid, signal.SIGCONT)
            await harness.judged()
            assert (await stays.upload(kept)).duplicates == 1
            assert (await harness.ask("GET", f"/v1/measurements/{kept.id}")).status == 200
            assert (await harness.ask("GET", f"/v1/measurements/{gone.id}")).status == 404
            total, hourly, records = (await harness.service.store.read(select("uncounted")))[0]
            assert total == hourly == records == 3

    asyncio.run(scenario())


def test_two_collectors_share_what_waits(tmp_path: Path, postgres: str) -> None:
    async def scenario() -> None:
        async with (
            collector(tmp_path, store=postgres, workers=1) as one,
            collector(tmp_path, store=postgres, workers=1) as two,
        ):
            senders = [await one.probe() for _ in range(6)]
            sent: list[str] = []
            for _ in range(6):
                for number, sender in enumerate(senders):
                    sender.harness = (one, two)[number % 2]
                    records = [record() for _ in range(10)]
                    sent += [made.id for made in records]
                    await sender.upload(*records)
            await one.judged()
            await two.judged()
            await check(one, sent)
            judged = [(await each.metrics())["qazcollector_judged_total"] for each in (one, two)]
            assert sum(judged) == len(sent)

    asyncio.run(scenario())
