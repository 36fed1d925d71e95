"""The throughput server as a process: it starts, starts again, and ends with the collector."""

import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path

import pytest

from collector.settings import Address, SettingsError
from collector.throughput import bulk_process as running
from collector.throughput.bulk_process import BulkJob, bulk_process
from collector.throughput.identity import make_identity
from tests.collector.harness import collector

PEM = make_identity().pem


async def fetch(port: int, size: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="any.example"
    )
    writer.write(b"GET /%d HTTP/1.1\r\n\r\n" % size)
    body = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
    writer.close()
    return body


def children() -> list[int]:
    """The processes that this one started."""
    task = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not task.exists():
        pytest.skip("this system does not list child processes")
    return [int(pid) for pid in task.read_text().split()]


def test_a_collector_announces_and_runs_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, bulk=Address("127.0.0.1", 0)) as harness:
            (bulk,) = (await harness.ask("GET", "/v1/service")).data["bulk"]
            assert len(await fetch(bulk["port"], 100_000)) == 100_000

    asyncio.run(scenario())


def test_it_is_started_again_on_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AGAIN_SECONDS", 0.05)

    async def scenario() -> None:
        before = set(children())
        job = BulkJob(host="127.0.0.1", port=0, pem=PEM)
        async with bulk_process(job) as started:
            assert len(await fetch(started.port, 10)) == 10
            (pid,) = set(children()) - before
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(60):
                while True:
                    try:
                        assert len(await fetch(started.port, 10)) == 10
                        break
                    except OSError:
                        await asyncio.sleep(0.05)
        assert set(children()) <= before

    asyncio.run(scenario())


def test_a_taken_port_is_an_error_of_the_operator(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            bulk = Address("127.0.0.1", taken.getsockname()[1])
            async with collector(tmp_path, bulk=bulk):
                pass

    with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1:"):
        asyncio.run(scenario())


def test_a_client_that_had_its_day_is_turned_away_before_tls() -> None:
    async def scenario() -> None:
        job = BulkJob(host="127.0.0.1", port=0, pem=PEM, daily_bytes=50_000)
        async with bulk_process(job) as started:
            assert len(await fetch(started.port, 60_000)) == 60_000
            with pytest.raises((OSError, ssl.SSLError)):
                await fetch(started.port, 10)

    asyncio.run(scenario())


def test_a_client_has_one_rate_for_all_its_connections() -> None:
    async def scenario() -> float:
        job = BulkJob(host="127.0.0.1", port=0, pem=PEM, bytes_per_second=400_000)
        async with bulk_process(job) as started:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.gather(*(fetch(started.port, 150_000) for _ in range(2)))
            return loop.time() - began

    assert asyncio.run(scenario()) >= 0.7
