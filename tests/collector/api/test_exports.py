"""GET /v1/export: a process of its own, whose failures never look like a complete file."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from collector.admin import export_process
from collector.admin.export import Exported
from collector.admin.export_process import ExportJob
from collector.api import exports
from collector.child_process import child
from tests.collector.harness import collector, record


def test_an_export_that_breaks_off_breaks_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> AsyncIterator[bytes]:
        yield b"a line\n"
        raise RuntimeError("out of ideas")

    monkeypatch.setattr(exports, "_pieces", broken)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            with pytest.raises(aiohttp.ClientPayloadError):
                await harness.ask("GET", "/v1/export")
            assert (await harness.ask("GET", "/healthz")).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(("failure", "status"), [("store", 503), ("bug", 500)])
def test_an_export_that_fails_at_once_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str, status: int
) -> None:
    if failure == "bug":
        monkeypatch.setattr(export_process, "__name__", "collector.nosuch")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            if failure == "store":
                (tmp_path / "store.sqlite3").write_text("no database " * 1000)
            reply = await harness.ask("GET", "/v1/export")
            assert reply.status == status, reply.body

    asyncio.run(scenario())


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
def test_the_process_writes_every_record(tmp_path: Path, format_: str) -> None:
    async def scenario() -> bytes:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(*(record() for _ in range(45)))
            reply = await harness.ask("GET", f"/v1/export?format={format_}")
            if format_ == "parquet" and reply.status == 501:
                pytest.skip("DuckDB is not installed")
            assert reply.status == 200
            return reply.body

    body = asyncio.run(scenario())
    if format_ == "parquet":
        assert body[:4] == body[-4:] == b"PAR1"
    else:
        assert len(body.splitlines()) == (45 if format_ == "jsonl" else 46)


def test_the_process_ends_with_the_collector(tmp_path: Path) -> None:
    """When the collector was killed nothing closes the child but the end of its input."""

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            store = harness.service.settings.store
            await (await harness.probe()).send(*(record() for _ in range(450)))
            job = ExportJob(store=store, wanted=Exported(now=time.time()))
            async with child(export_process.__name__, job) as process:
                assert process.stdout is not None
                assert process.stdin is not None
                json.loads(await process.stdout.readline())
                os.kill(process.pid, signal.SIGSTOP)
                process.stdin.close()
                os.kill(process.pid, signal.SIGCONT)
                async with asyncio.timeout(20):
                    await process.stdout.read()
                    assert await process.wait() == 1

    asyncio.run(scenario())
