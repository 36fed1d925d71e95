"""The operator's listener: what the public does, or a stuck loop, does not silence it."""

import asyncio
import contextlib
import socket
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from collector import operator_thread
from collector.api import operator
from collector.settings import (
    LAB_LIMITS,
    Address,
    CollectorLimits,
    SettingsError,
    SocketFile,
    parse_admin,
)
from tests.collector.harness import LISTED, collector, record
from tests.collector.test_serve import run

T = TypeVar("T")
FREE = Address("127.0.0.1", 0)


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def while_stuck(work: Callable[[], T], done: threading.Event) -> T:
    """Run in a thread, and let the event loop go on afterwards."""
    try:
        return work()
    finally:
        done.set()


def test_it_serves_metrics_and_health(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, admin=FREE) as harness:
            admin = harness.running.admin
            await (await harness.probe()).send(record(LISTED))
            status, text = await asyncio.to_thread(ask, f"{admin}/metrics")
            assert status == 200
            assert 'qazprobe_target_outcome{target="listed.example"' in text
            assert "qazcollector_records_total" in text
            assert await asyncio.to_thread(ask, f"{admin}/healthz") == (200, "ok\n")
            assert await asyncio.to_thread(ask, f"{admin}/readyz") == (200, "ready\n")
            for path, expected in (("/v1/service", 404), ("/healthz?x=1", 400)):
                status, text = await asyncio.to_thread(ask, f"{admin}{path}")
                assert (status, text[:9]) == (expected, '{"error":')

    asyncio.run(scenario())


def test_a_loop_that_is_stuck_does_not_silence_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(operator, "DEAD_SECONDS", 0.1)

    def look(admin: str) -> list[tuple[int, str]]:
        return [ask(f"{admin}{path}") for path in ("/metrics", "/readyz", "/healthz")]

    async def scenario() -> None:
        async with collector(tmp_path, admin=FREE) as harness:
            admin = harness.running.admin
            assert admin is not None
            await (await harness.probe()).send(record(LISTED))
            before = (await asyncio.to_thread(ask, f"{admin}/metrics"))[1]
            assert "listed.example" in before
            done = threading.Event()
            looking = asyncio.get_running_loop().run_in_executor(
                None, while_stuck, lambda: look(admin), done
            )
            done.wait(60)  # the event loop is stuck here
            metrics, ready, alive = await looking
            assert metrics[0] == 200
            assert "listed.example" in metrics[1]
            assert (ready[0], alive[0]) == (503, 503)
            assert await asyncio.to_thread(ask, f"{admin}/readyz") == (200, "ready\n")

    asyncio.run(scenario())


def test_a_store_that_cannot_be_read_leaves_the_collectors_own_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, admin=FREE) as harness:
            with monkeypatch.context() as patch:
                patch.setattr("collector.store.sqlite.READ_SECONDS", -1.0)
                patch.setattr("collector.store.sqlite._STEPS", 1)
                status, text = await asyncio.to_thread(ask, f"{harness.running.admin}/metrics")
            assert status == 200
            assert "qazcollector_build_info" in text

    asyncio.run(scenario())


def test_a_bug_that_ends_it_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serves = threading.Event()

    def broken(_: Path) -> None:
        if serves.is_set():
            raise ZeroDivisionError

    monkeypatch.setattr(operator_thread, "_remove_socket", broken)

    async def scenario() -> None:
        async with collector(tmp_path, admin=SocketFile(str(tmp_path / "admin.sock"))):
            serves.set()

    asyncio.run(scenario())
    (told,) = [one for one in caplog.records if "listener ended" in one.getMessage()]
    assert told.exc_info is not None


def test_a_full_public_listener_does_not_shut_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        limits = CollectorLimits(connections=3, network_burst=LAB_LIMITS.network_burst)
        async with collector(tmp_path, limits=limits, admin=FREE) as harness:
            host, port = harness.url.removeprefix("http://").split(":")
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    one = stack.enter_context(socket.create_connection((host, int(port))))
                    one.send(b"GET")
                status, _ = await asyncio.to_thread(ask, f"{harness.running.admin}/readyz")
                assert status == 200

    asyncio.run(scenario())


def test_it_can_be_a_socket_file_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def scenario() -> None:
        async with collector(tmp_path, admin=SocketFile(str(path))) as harness:
            assert harness.running.admin == f"unix:{path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            connector = aiohttp.UnixConnector(str(path))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get("http://x/readyz") as reply,
            ):
                assert reply.status == 200
        assert not path.exists()

    asyncio.run(scenario())


def test_a_file_that_is_no_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")

    async def scenario() -> None:
        async with collector(tmp_path, admin=SocketFile(str(path))):
            pass

    with pytest.raises(SettingsError, match="cannot listen on unix:"):
        asyncio.run(scenario())
    assert path.read_text() == "data"


def test_a_second_collector_takes_any_free_port_unless_told_which(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        store = f"sqlite:///{tmp_path}/store.sqlite3"
        done = run("serve", "--listen", "127.0.0.1:0", "--store", store, "--admin-listen", address)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(f"qazcollector: cannot listen on {address}")

        async def scenario() -> str | None:
            admin = Address("127.0.0.1", taken.getsockname()[1])
            async with collector(tmp_path, admin=admin, admin_free=True) as harness:
                return harness.running.admin

        assert asyncio.run(scenario()) not in {None, f"http://{address}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("127.0.0.1:1", Address("127.0.0.1", 1)),
        ("unix:/run/x.sock", SocketFile("/run/x.sock")),
    ],
)
def test_where_it_listens_is_parsed(text: str, expected: object) -> None:
    assert parse_admin(text) == expected


@pytest.mark.parametrize("text", ["unix:", "here", "127.0.0.1"])
def test_a_malformed_place_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        parse_admin(text)
