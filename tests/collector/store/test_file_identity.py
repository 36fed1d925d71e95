"""A store whose file vanished or was replaced acknowledges nothing."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collector.harness import CollectorHarness, collector, record, select


async def sent(harness: CollectorHarness) -> int:
    sender = await harness.probe()
    return (await sender.send(record())).stored


def delete(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    beside = file.with_name("copy")
    shutil.copy(file, beside)
    beside.replace(file)


def delete_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [(delete, "is gone"), (replace, "another one"), (delete_log, "-wal file is gone")],
)
def test_nothing_is_acknowledged_into_a_file_that_is_not_there(
    tmp_path: Path,
    damage: Callable[[Path], None],
    expected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "store.sqlite3"

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            assert (await sender.send(record())).stored == 1
            damage(file)
            beat = await sender.ask("POST", "/v1/heartbeat", b"{}")
            assert beat.status == 503
            assert (await harness.ask("GET", "/readyz")).status == 503
            assert (await harness.ask("GET", "/healthz")).status == 200

    asyncio.run(scenario())
    assert expected in caplog.text


def test_a_file_that_was_put_back_is_used_again(tmp_path: Path) -> None:
    file, away = tmp_path / "store.sqlite3", tmp_path / "away"

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            file.rename(away)
            assert (await sender.ask("POST", "/v1/heartbeat", b"{}")).status == 503
            away.rename(file)
            assert (await sender.ask("POST", "/v1/heartbeat", b"{}")).status == 200
            assert (await harness.ask("GET", "/readyz")).status == 200
            (row,) = await harness.service.store.read(select("count_all"))
            assert row[2] == 1

    asyncio.run(scenario())
