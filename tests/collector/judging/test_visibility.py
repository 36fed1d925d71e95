"""What was acknowledged is in the metrics at once when it is judged: signals carry it, no timer.

The timers are an hour here, so a test that ends proves that none of them was needed, however slow
the machine is. Only what another collector of a shared store judged is found by looking.
"""

import asyncio
from pathlib import Path

import pytest

from collector.judging import running, workers
from collector.metrics import snapshot
from tests.collector.harness import CollectorHarness, collector, record

# Promised to operators; the second is for judging itself.
VISIBLE_SECONDS = 2.0
LIMIT = 120.0


@pytest.fixture
def _signals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MODULE", "tests.collector.judging.signalled_worker")
    for module, name in (
        (running, "IDLE_SECONDS"),
        (running, "BUSY_SECONDS"),
        (snapshot, "OLD_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 3600.0)


async def until_counted(harness: CollectorHarness, number: int) -> None:
    async with asyncio.timeout(LIMIT):
        while await counted(harness) != number:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0.02)


async def counted(harness: CollectorHarness) -> float:
    shown = await harness.metrics()
    return sum(n for name, n in shown.items() if name.startswith("qazprobe_measurements_total"))


@pytest.mark.usefixtures("_signals_only")
def test_metrics_show_each_acknowledged_batch_without_a_timer(
    tmp_path: Path, any_store: str
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store, workers=1) as harness:
            sender = await harness.probe()
            for batch in range(1, 4):
                assert (await sender.upload(record(), record())).stored == 2
                await until_counted(harness, 2 * batch)

    asyncio.run(scenario())


def test_another_collector_of_the_store_looks_often_enough(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.BUSY_SECONDS <= VISIBLE_SECONDS / 2
    monkeypatch.setattr(snapshot, "OLD_SECONDS", 3600.0)

    async def scenario() -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        async with (
            collector(tmp_path / "one", store=postgres) as first,
            collector(tmp_path / "two", store=postgres) as second,
        ):
            # The one that is asked first exports the families of the store.
            assert await counted(first) == 0
            sender = await second.probe()
            await sender.upload(record())
            await until_counted(first, 1)

    asyncio.run(scenario())
