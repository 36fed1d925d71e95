"""ndt7 at the bulk port, over real sockets: honest, hostile, and a client that is not ours."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType, web

from collector.throughput.identity import make_identity
from collector.throughput.ndt7 import Ndt7Limits
from collector.throughput.server import BulkLimits, BulkServer, start_bulk
from tests.collector.throughput.ndt7_clients import command_line_client, javascript_client
from tests.collector.throughput.test_websocket import BINARY, CLOSE, HEAD, OFFER, PING, frame
from tests.collector.web.browser import BROWSER, browser

T = TypeVar("T")
IDENTITY = make_identity()
NAME = "net.measurementlab.ndt.v7"
BRIEF = BulkLimits(ndt7=Ndt7Limits(seconds=1.0, last_seconds=2.5))
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def with_bulk(work: Callable[[BulkServer], Awaitable[T]], limits: BulkLimits = BRIEF) -> T:
    async def scenario() -> T:
        bulk = await start_bulk("127.0.0.1", 0, identity=IDENTITY, limits=limits)
        try:
            async with asyncio.timeout(60):
                return await work(bulk)
        finally:
            await bulk.close()

    return asyncio.run(scenario())


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect(session: ClientSession, bulk: BulkServer, test: str) -> ClientWebSocketResponse:
    url = f"https://127.0.0.1:{bulk.port}/ndt/v7/{test}?client_name=a&client_version=1"
    return await session.ws_connect(url, protocols=(NAME,), max_msg_size=0, autoclose=False)


@asynccontextmanager
async def dialled(bulk: BulkServer, limit: int = 2**16) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(
        bulk.address, bulk.port, ssl=unverified(), limit=limit
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def raw(bulk: BulkServer, test: str, limit: int = 2**16) -> AsyncIterator[Streams]:
    """A connection that is a WebSocket by now, spoken to in bytes."""
    async with dialled(bulk, limit) as (reader, writer):
        writer.write(HEAD.replace(b"upload", test.encode()) + OFFER)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        yield reader, writer


async def until_free(bulk: BulkServer) -> None:
    async with asyncio.timeout(30):
        while bulk.clients:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


def test_a_download_grows_its_messages_tells_what_it_counts_and_closes() -> None:
    async def work(bulk: BulkServer) -> tuple[list[int], list[dict[str, Any]], int | None]:
        sizes, told = [], []
        async with ClientSession(connector=TCPConnector(ssl=unverified())) as session:
            socket = await connect(session, bulk, "download")
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    sizes.append(len(message.data))
                elif message.type is WSMsgType.TEXT:
                    told.append(json.loads(message.data))
            code = socket.close_code
            await socket.close()
        await until_free(bulk)
        return sizes, told, code

    sizes, told, code = with_bulk(work)
    assert sizes[0] == 1 << 13
    assert sizes == sorted(sizes)
    assert all(size & (size - 1) == 0 and size <= 1 << 20 for size in sizes)
    assert all(
        now <= max(before, sum(sizes[: at + 1]) // 16 * 2)
        for at, (before, now) in enumerate(pairwise(sizes))
    )
    assert set(told[0]["ConnectionInfo"]) == {"Client", "Server"}
    assert not any("ConnectionInfo" in one for one in told[1:])
    assert 2 <= len(told) <= 15
    counts = [one["AppInfo"]["NumBytes"] for one in told]
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= sum(sizes)
    assert {(one["Origin"], one["Test"]) for one in told} == {("server", "download")}
    assert told[-1]["TCPInfo"]["BytesSent"] > counts[-1] // 2
    assert code == 1000


def test_an_upload_is_counted_told_and_closed_by_the_server() -> None:
    async def work(bulk: BulkServer) -> tuple[int, list[dict[str, Any]]]:
        sent, told = 0, []
        async with ClientSession(connector=TCPConnector(ssl=unverified())) as session:
            socket = await connect(session, bulk, "upload")

            async def listen() -> None:
                async for message in socket:
                    assert message.type is WSMsgType.TEXT
                    told.append(json.loads(message.data))

            listening = asyncio.create_task(listen())
            for _ in range(40):
                await socket.send_bytes(bytes(8192))
                sent += 8192
                await asyncio.sleep(0.005)
            await listening
            assert socket.close_code == 1000
            await socket.close()
        await until_free(bulk)
        return sent, told

    sent, told = with_bulk(work)
    assert told[-1]["AppInfo"]["NumBytes"] == sent
    assert told[-1]["TCPInfo"]["BytesReceived"] > sent


def test_a_test_ends_at_its_bytes() -> None:
    limits = BulkLimits(ndt7=Ndt7Limits(test_bytes=100_000))

    async def work(bulk: BulkServer) -> int:
        async with raw(bulk, "download") as (reader, writer):
            data = await reader.read(1)
            while not data.endswith(bytes([CLOSE, 2]) + (1000).to_bytes(2)):
                data += await reader.read(65536)
            writer.write(frame(CLOSE, (1000).to_bytes(2)))
            await until_free(bulk)
            return len(data)

    assert 100_000 <= with_bulk(work, limits) < 150_000


def test_the_rate_and_the_day_of_a_client_count_here_too() -> None:
    brief = Ndt7Limits(seconds=1.0, last_seconds=2.5)
    limits = BulkLimits(client_bytes_per_second=100_000, client_daily_bytes=50_000, ndt7=brief)

    async def work(bulk: BulkServer) -> int:
        async with raw(bulk, "download") as (reader, _):
            taken = len(await reader.read(-1))
        await until_free(bulk)
        with pytest.raises((OSError, ssl.SSLError)):
            async with raw(bulk, "download"):
                pass
        return taken

    assert 50_000 < with_bulk(work, limits) < 300_000


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /ndt/v7/download HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (HEAD + b"\r\n", b"400"),
        (HEAD.replace(b"/upload", b"/upload?" + b"a" * 5000) + OFFER, b"400"),
        (HEAD.replace(b"/upload", b"/ping") + OFFER, b"404"),
    ],
)
def test_what_is_no_test_is_refused(head: bytes, status: bytes) -> None:
    async def work(bulk: BulkServer) -> bytes:
        async with dialled(bulk) as (reader, writer):
            writer.write(head)
            return await reader.read(-1)

    assert with_bulk(work).split(b" ")[1] == status


async def _reads_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Until the server has had enough."""


async def _floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(PING, b"x" * 125) * 50_000)


async def _sends_a_giant(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(BINARY, bytes(70_000), size=2**40))


async def _sends_a_fragment(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(0x02, bytes(70_000)))


async def _goes_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _ends_its_side(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("test", ["download", "upload"])
@pytest.mark.parametrize(
    "rudeness",
    [_reads_nothing, _floods, _sends_a_giant, _sends_a_fragment, _goes_away, _ends_its_side],
    ids=lambda one: one.__name__,
)
def test_a_rude_client_gives_its_place_back_in_time(
    test: str,
    rudeness: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(bulk: BulkServer) -> None:
        async with raw(bulk, test, limit=1024) as (reader, writer):
            await rudeness(reader, writer)
            await until_free(bulk)
        async with raw(bulk, test):  # and the server is as well as before
            pass

    with_bulk(work)
    assert caplog.records == []


def test_a_slow_reader_makes_the_server_hold_little(monkeypatch: pytest.MonkeyPatch) -> None:
    from collector.throughput import ndt7

    held: list[int] = []
    real = ndt7.Ndt7Server._tell_at_times

    def noting(self: ndt7.Ndt7Server) -> None:
        held.append(self.writer.transport.get_write_buffer_size())
        real(self)

    monkeypatch.setattr(ndt7.Ndt7Server, "_tell_at_times", noting)

    async def work(bulk: BulkServer) -> None:
        async with raw(bulk, "download", limit=1024) as (reader, _):
            for _ in range(50):
                await reader.read(4096)
                await asyncio.sleep(0.01)
        await until_free(bulk)

    with_bulk(work)
    assert max(held) < 1 << 20


@pytest.mark.skipif(BROWSER is None, reason="no chromium to run a browser's client in")
@pytest.mark.slow
def test_measurement_labs_own_client_in_a_browser_is_content() -> None:
    client = javascript_client()
    if isinstance(client, str):
        pytest.skip(client)
    told = with_bulk(
        lambda bulk: _in_browser(bulk, client),
        BulkLimits(ndt7=Ndt7Limits(seconds=3.0, last_seconds=6.0)),
    )
    assert (told["code"], told["errors"]) == (0, [])
    for way in ("down", "up"):
        assert told[way]["LastClientMeasurement"]["MeanClientMbps"] > 0
        assert told[way]["LastServerMeasurement"]["AppInfo"]["NumBytes"] > 0


@pytest.mark.slow
def test_a_client_on_the_command_line_is_content() -> None:
    words = command_line_client()
    if isinstance(words, str):
        pytest.skip(words)

    async def work(bulk: BulkServer) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *words, f"127.0.0.1:{bulk.port}", stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    code, said = with_bulk(work, BulkLimits(ndt7=Ndt7Limits(seconds=3.0, last_seconds=6.0)))
    assert code == 0
    rates = [float(one) for one in re.findall(r"Throughput: +([0-9.]+) Mbit/s", said)]
    assert len(rates) == 2
    assert min(rates) > 0


SCRIPT = """(async () => {
  const told = {errors: []};
  told.code = await ndt7.test({
    server: "127.0.0.1:PORT", mlabDataPolicyInapplicable: true,
    downloadworkerfile: "/ndt7-download-worker.js", uploadworkerfile: "/ndt7-upload-worker.js",
  }, {
    error: one => told.errors.push(String(one)),
    downloadComplete: one => told.down = one, uploadComplete: one => told.up = one,
  });
  return told;
})()"""


async def _in_browser(bulk: BulkServer, client: Path) -> Any:
    pages = web.Application()
    pages.router.add_static("/", client)
    runner = web.AppRunner(pages)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with browser() as tab:
            await tab.show(800, "light")
            await tab.ask("Security.setIgnoreCertificateErrors", ignore=True)
            await tab.go(f"http://127.0.0.1:{runner.addresses[0][1]}/ndt7.js")
            await tab.run((client / "ndt7.js").read_text() + ";0")
            return await tab.run(SCRIPT.replace("PORT", str(bulk.port)))
    finally:
        await runner.cleanup()
