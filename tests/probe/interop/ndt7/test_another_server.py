"""The probe's client against a WebSocket server of another make (aiohttp's), over TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from aiohttp import WSMsgType, web

from probe.experiments.operations import TransferDirection
from probe.model import Transfer
from tests.probe.interop.ndt7.test_client import IDENTITY, measured

NAME = "net.measurementlab.ndt.v7"


class OtherServer:
    """A plain implementation: a measurement, pings, messages of one size; what came is kept."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.came = 0
        self.pongs = 0
        self.code: int | None = None

    async def download(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(NAME,), autoping=False, compress=True)
        await socket.prepare(request)
        reading = asyncio.create_task(self._read(socket))
        began = monotonic()
        for _ in range(5):
            await socket.send_str('{"Origin": "server"}')
            await socket.ping(b"are you there")
        while monotonic() - began < self.seconds and not socket.closed:
            await socket.send_bytes(bytes(100_000))
        await socket.close()
        await reading
        return socket

    async def upload(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(NAME,), max_msg_size=0)
        await socket.prepare(request)
        await self._read(socket)
        self.code = socket.close_code
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.came += len(message.data)
            elif message.type is WSMsgType.PONG:
                self.pongs += message.data == b"are you there"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        app = web.Application()
        app.router.add_get("/ndt/v7/download", self.download)
        app.router.add_get("/ndt/v7/upload", self.upload)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=IDENTITY.context()).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


def against(other: OtherServer, direction: TransferDirection, size: int) -> Transfer:
    async def scenario() -> Transfer:
        async with other.running() as port:
            return await measured(port, direction, size, 20.0)

    return asyncio.run(scenario())


def test_a_download_counts_its_bytes_and_answers_its_pings() -> None:
    other = OtherServer(2.0)
    step = against(other, "down", 2**31)
    assert (step.ended, step.failure) == ("cap", None)
    assert step.received_bytes % 100_000 == 0
    assert step.received_bytes > 0
    assert other.pongs == 5


def test_an_upload_comes_whole_and_is_closed_properly() -> None:
    other = OtherServer(2.0)
    step = against(other, "up", 1_234_567)
    assert (step.ended, step.failure) == ("full", None)
    assert (other.came, other.code) == (1_234_567, 1000)
