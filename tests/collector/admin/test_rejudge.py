"""`rejudge`: counts stay whole beside an erasure; what cannot be judged keeps its verdict."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from collector.admin.rejudge import rejudge
from collector.judging.limits import OutOfTime
from collector.store import Operation, Store, keys, queries
from collector.store.queries import Selection
from probe.model import Outcome, Record, Verdict
from tests.collector.harness import LISTED, OTHER, collector, record, select

T = TypeVar("T")


def harsh(_record: Record) -> Verdict:
    return Verdict(outcome=Outcome.DOWN)


class Interrupted:
    """A store in which something else is written before the first write."""

    shared = False

    def __init__(self, store: Store, before: Callable[[], Operation[object]]) -> None:
        self.collector_id = store.collector_id
        self._store = store
        self._before: Callable[[], Operation[object]] | None = before

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        return await self._store.read(operation, slow=slow)

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        if self._before is not None:
            before, self._before = self._before, None
            await self._store.write(before())
        return await self._store.write(operation, alone=alone)


def test_an_erasure_beside_it_leaves_the_counts_whole(tmp_path: Path, any_store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            await stays.send(record(), record(OTHER))
            await leaves.send(record(), record(OTHER))
            store = harness.service.store
            beside = cast("Store", Interrupted(store, lambda: keys.erase(leaves.key_id, 0.0)))
            done = await rejudge(beside, harsh, since=0.0, now=2e9)
            assert (done.judged, done.changed) == (4, 2)
            total, hourly, records = (await store.read(select("uncounted")))[0]
            assert total == hourly == records == 2
            counted = await store.read(select("totals"))
            assert [(row[1], row[4]) for row in counted] == [("down", 2)]

    asyncio.run(scenario())


def test_records_that_cannot_be_judged_again_keep_their_verdict(tmp_path: Path) -> None:
    def judge(record: Record) -> Verdict:
        if record.input == LISTED:
            raise OutOfTime
        return harsh(record)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record(LISTED), record(OTHER))
            store = harness.service.store
            assert (await rejudge(store, judge, since=0.0, now=2e9)).changed == 1
            every = await store.read(queries.page(Selection(), cursor=None, limit=10))
            assert {row.input: row.outcome for row in every} == {LISTED: "ok", OTHER: "down"}

    asyncio.run(scenario())
