"""A portion of what waits is stored in one transaction, except a key's second batch."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from collector import target_labels
from collector.judging.work import Judging
from collector.record_row import BatchContext
from collector.store import Operation, Store, backlog, keys, open_store, queries
from collector.store.backlog import NewBatch
from collector.store.keys import Key
from collector.store.queries import Selection
from probe import codec
from probe.model import Mechanism, Outcome, Record, Verdict
from tests.collector.harness import record

if TYPE_CHECKING:
    from collector.judging.reports import Report

T = TypeVar("T")
KEYS = ("1" * 32, "2" * 32, "3" * 32)
BLOCKED = Verdict(outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,))


async def _at_once(work: Callable[[], T]) -> T:
    return work()


class _Judged:
    """A store with batches, what judges it, and the number of transactions of each step."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reports: list[Report] = []
        self.judging = Judging(
            store,
            "holder",
            labels=target_labels.load([])[0],
            judge=lambda _: BLOCKED,
            runner=_at_once,
            report=self.reports.append,
            roots=None,
        )

    async def add(self, key_id: str, *records: Record) -> None:
        """Add a batch of a key, which is enrolled for it."""
        now = time.time()
        key = Key(key_id, key_id.encode(), "probe")
        await self.store.write(keys.enrol(key, None, needs_invite=False, at=now))
        context = BatchContext(key_id, "probe", lab=True, now=now)
        batch = NewBatch(
            key_id=key_id,
            role="probe",
            received_at=now,
            context=msgspec.json.encode(context).decode(),
            body=codec.pack([codec.encode(one) for one in records]),
            records=[(line, one.id) for line, one in enumerate(records)],
        )
        await self.store.write(backlog.add(batch))

    async def stages(self) -> list[str]:
        """The stages of the stored verdicts, the oldest first."""
        page = await self.store.read(
            queries.page(Selection(), cursor=None, limit=100, oldest_first=True)
        )
        return [one.stage for one in page]


async def _opened(folder: Path) -> _Judged:
    return _Judged(await open_store(f"sqlite:///{folder}/store.sqlite3"))


def test_batches_of_several_keys_are_stored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        one = await _opened(tmp_path)
        for key_id in KEYS:
            await one.add(key_id, record(), record())
        stored = 0
        write = one.store.write

        async def counted(operation: Operation[T], *, alone: bool = False) -> T:
            nonlocal stored
            stored += getattr(operation, "__name__", "") == "finish"
            return await write(operation, alone=alone)

        monkeypatch.setattr(one.store, "write", counted)
        assert await one.judging.step()
        assert (stored, [report.judged for report in one.reports]) == (1, [6])
        assert not await one.judging.step()
        assert len(await one.stages()) == 6
        await one.store.close()

    asyncio.run(scenario())


def test_a_batch_confirms_the_one_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = await _opened(tmp_path)
        await one.add(KEYS[0], record())
        await one.add(KEYS[1], record())
        await one.add(KEYS[0], record())
        assert await one.judging.step()
        assert sorted(await one.stages()) == ["confirmed", "suspected", "suspected"]
        assert sum(report.judged for report in one.reports) == 3
        await one.store.close()

    asyncio.run(scenario())


def test_what_was_made_is_stored_when_judging_is_to_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = await _opened(tmp_path)
        judged = 0

        def judge(_: Record) -> Verdict:
            nonlocal judged
            judged += 1
            one.judging.stopping = True
            return BLOCKED

        one.judging._judge = judge
        for key_id in KEYS:
            await one.add(key_id, record())
        await one.judging.step()
        assert judged == len(await one.stages()) == 1
        await one.judging.stop()
        assert (await one.store.read(backlog.state())).records == 2
        await one.store.close()

    asyncio.run(scenario())
