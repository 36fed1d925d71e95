"""GET /v1/export: a process of its own, whose failures never look like a complete file.

What other programs read from it is read by them here: pandas and DuckDB.
"""

import asyncio
import csv
import gzip
import io
import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from collector import operator_token
from collector.admin import export_process
from collector.admin.export import Exported
from collector.admin.export_packing import zstd
from collector.admin.export_process import ExportJob
from collector.api import exports
from collector.child_process import child
from tests.collector.harness import CollectorHarness, collector, record

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "traced"), [(RuntimeError("out of ideas"), True), (TimeoutError(), False)]
)
def test_an_export_that_breaks_off_breaks_the_connection(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    *,
    traced: bool,
) -> None:
    async def broken(*_: object) -> AsyncIterator[bytes]:
        yield b"a line\n"
        raise error

    monkeypatch.setattr(exports, "pieces", broken)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            with pytest.raises(aiohttp.ClientPayloadError):
                await harness.ask("GET", "/v1/export")
            assert (await harness.ask("GET", "/healthz")).status == 200

    asyncio.run(scenario())
    (told,) = [one for one in caplog.records if "broke off" in one.getMessage()]
    assert (told.exc_info is not None) is traced


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


def test_the_header_accept_chooses_the_format(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await filled(harness, 3)
            for accept, lines in (("text/csv", 4), ("application/x-ndjson", 3), ("*/*", 3)):
                reply = await harness.ask("GET", "/v1/export", headers={"Accept": accept})
                assert len(reply.body.splitlines()) == lines
                assert "Accept" in reply.headers["Vary"]

    asyncio.run(scenario())


# --- compression, parts, and other programs ------------------------------------------------------


async def filled(harness: CollectorHarness, number: int = 45) -> None:
    await (await harness.probe()).send(*(record() for _ in range(number)))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_export_is_compressed_as_the_client_wants(tmp_path: Path, coding: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await filled(harness)
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                url = f"{harness.url}/v1/export?format=csv"
                plain = await (
                    await session.get(url, headers={"Accept-Encoding": "identity"})
                ).read()
                reply = await session.get(url, headers={"Accept-Encoding": coding})
                packed = await reply.read()
            assert reply.headers["Content-Encoding"] == coding
            assert "Accept-Encoding" in reply.headers["Vary"]
            unpack = gzip.decompress if coding == "gzip" else zstd().decompress
            assert unpack(packed) == plain
            assert len(plain.splitlines()) == 46

    asyncio.run(scenario())


@pytest.mark.parametrize(("packing", "end"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_an_export_can_be_a_compressed_file(tmp_path: Path, packing: str, end: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await filled(harness)
            reply = await harness.ask("GET", f"/v1/export?format=jsonl&compress={packing}")
            assert "Content-Encoding" not in reply.headers
            assert f"measurements.jsonl{end}" in reply.headers["Content-Disposition"]
            unpack = gzip.decompress if packing == "gzip" else zstd().decompress
            assert len(unpack(reply.body).splitlines()) == 45

    asyncio.run(scenario())


def test_parts_of_parquet_are_of_one_file(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await filled(harness)
            path = "/v1/export?format=parquet"
            head = await harness.ask("HEAD", path)
            size = int(head.headers["Content-Length"])
            assert (head.status, head.body, head.headers["Accept-Ranges"]) == (200, b"", "bytes")
            # What arrives meanwhile must not change what the next parts are of.
            await filled(harness, 200)
            end = await harness.ask("GET", path, headers={"Range": f"bytes={size - 8}-"})
            assert (end.status, end.body[-4:]) == (206, b"PAR1")
            assert end.headers["Content-Range"] == f"bytes {size - 8}-{size - 1}/{size}"
            whole = await harness.ask("GET", path)
            assert len(whole.body) == size
            assert whole.headers["ETag"] == head.headers["ETag"] == end.headers["ETag"]
            known = {"If-None-Match": whole.headers["ETag"]}
            assert (await harness.ask("GET", path, headers=known)).status == 304

    asyncio.run(scenario())


def test_the_head_of_another_export_is_told_without_making_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_process, "__name__", "collector.nosuch")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            head = await harness.ask("HEAD", "/v1/export?format=csv")
            assert (head.status, head.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")

    asyncio.run(scenario())


def test_pandas_and_duckdb_read_the_address(tmp_path: Path) -> None:
    """The lines of docs/researcher.md."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    duckdb = pytest.importorskip("duckdb")
    page = (ROOT / "docs" / "researcher.md").read_text("utf-8")
    example = next(
        one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "pandas" in one
    )
    shown = re.search(r'url = "(.*?)"', example)
    assert shown is not None

    def read(url: str) -> tuple[object, str]:
        rows = pandas.read_parquet(url)
        assert str(rows.measured_at.dtype) == "datetime64[us, UTC]"
        assert rows.voting.dtype == bool
        try:
            duckdb.sql("INSTALL httpfs; LOAD httpfs")
        except duckdb.Error as error:
            return len(rows), str(error)
        names: dict[str, object] = {}
        exec(example.replace(shown[1], url), names)
        return len(rows), ""

    async def scenario() -> tuple[object, str]:
        async with collector(tmp_path) as harness:
            await filled(harness)
            path = (
                shown[1]
                .removeprefix("https://collector.example")
                .replace("2026-11-01", "2020-01-01")
            )
            return await asyncio.to_thread(read, harness.url + path)

    number, failed = asyncio.run(scenario())
    assert number == 45
    if failed:
        pytest.skip(
            f"pandas reads it; DuckDB's extension httpfs cannot be installed here: {failed}"
        )


# --- care ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_everybody_sees_few_probes_to_the_hour_and_the_operator_everything(
    tmp_path: Path, format_: str
) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-thirty-characters-or-so")

    async def scenario() -> tuple[bytes, bytes, str]:
        hashed = operator_token.load(token)
        async with collector(tmp_path, public_min_probes=3) as harness:
            monkey(harness, hashed)
            sent = record()
            await (await harness.probe()).send(sent)
            path = f"/v1/export?format={format_}"
            public = await harness.ask("GET", path)
            bearer = {"Authorization": f"Bearer {token.read_text()}"}
            full = await harness.ask("GET", path, headers=bearer)
            return public.body, full.body, sent.id

    public, full, id_ = asyncio.run(scenario())
    assert id_.encode() in full
    assert id_.encode() not in public
    assert b":00:00.000Z" in public


def monkey(harness: CollectorHarness, hashed: bytes) -> None:
    harness.service.operator_token = hashed


def test_pseudonyms_last_a_month_in_public_and_are_not_those_of_the_operator(
    tmp_path: Path,
) -> None:
    async def keys(harness: CollectorHarness) -> set[str]:
        reply = await harness.ask("GET", "/v1/export?format=csv")
        return {row["key"] for row in csv.DictReader(io.StringIO(reply.body.decode()))}

    async def scenario() -> list[set[str]]:
        async with collector(tmp_path, public_min_probes=2, lab=True) as harness:
            for _ in range(2):
                await (await harness.probe()).send(record())
            found = [await keys(harness), await keys(harness)]
            service = harness.service
            later, service.clock = service.clock() + 40 * 86_400, lambda: later
            return [*found, await keys(harness)]

    first, again, next_month = asyncio.run(scenario())
    assert first == again
    assert len(first) == len(next_month) == 2
    assert not first & next_month
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        names = connection.execute("SELECT name FROM meta WHERE name LIKE 'release%'").fetchall()
    assert len(names) == 1
