"""The server's side of ndt7: one download or one upload over a WebSocket.

Standard clients of Measurement Lab's speed test work against it. It keeps nothing that a client
sends, and sends nothing about a client to others. A client that reads slowly, floods, or goes
silent holds its place for thirteen seconds at most, and a few buffers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import msgspec

from collector.throughput.kernel_counters import bbr_counters, tcp_counters
from collector.throughput.websocket import (
    UpgradeRefused,
    WebSocketServer,
    binary_header,
    check_query,
)
from probe.interop.ndt7.protocol import (
    FIRST_MESSAGE,
    LARGEST_MESSAGE,
    LAST_SECONDS,
    LONGEST_QUERY,
    PATHS,
    SECONDS,
    SUBPROTOCOL,
    AppInfo,
    ConnectionInfo,
    Ndt7Measurement,
    Ndt7Test,
    next_size,
)

CHUNK = 64 * 1024
# The largest message that this server sends.
LARGEST_SENT = 1024 * 1024
TELL_SECONDS = 0.25
# Told measurements are left out while so many bytes wait to be sent.
UNSENT = 64 * 1024

Moved = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ndt7Limits:
    """How long and how much one test may be; `last_seconds` is when it is cut, whatever it does."""

    seconds: float = SECONDS
    last_seconds: float = LAST_SECONDS
    test_bytes: int = 256 * 1024 * 1024


def test_of(target: str) -> Ndt7Test | None:
    """Which test a request's target names, if any."""
    path = target.partition("?")[0]
    return next((test for test, known in PATHS.items() if known == path), None)


@dataclass(slots=True)
class Ndt7Server:
    """One test on one connection, whose request head was read.

    Attributes:
        block: Random bytes that messages are made of.
        moved: Called for each piece that was moved; waits while the client is over its rate.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    limits: Ndt7Limits
    block: memoryview
    moved: Moved
    test: Ndt7Test = "download"
    begun: float = field(default_factory=monotonic)
    total: int = 0
    _socket: WebSocketServer = field(init=False)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _told: float = 0.0
    # What is to be sent between two messages: a frame must not fall into the middle of another.
    _replies: bytearray = field(default_factory=bytearray)

    async def serve(self, head: bytes, target: str) -> None:
        """Upgrade the connection and run the test.

        Raises:
            UpgradeRefused: Nothing was sent yet.
            OSError: The connection broke, or the client took longer than it may.
        """
        named = test_of(target)
        if named is None:
            raise UpgradeRefused
        self.test = named
        check_query(target, LONGEST_QUERY)
        self._socket = WebSocketServer(largest=LARGEST_MESSAGE, takes_binary=named == "upload")
        self.writer.write(self._socket.accept(head, SUBPROTOCOL))
        self.begun = monotonic()
        async with asyncio.timeout(self.limits.last_seconds):
            await self._run()
            self.writer.close()
            await self.writer.wait_closed()

    async def _run(self) -> None:
        client, server = self._endpoint("peername"), self._endpoint("sockname")
        self._tell(ConnectionInfo(client=client, server=server))
        reading = asyncio.create_task(self._read())
        try:
            await (self._download() if self.test == "download" else self._upload())
            self._flush()
            self.writer.write(self._socket.close())
            await self.writer.drain()
            await self._over.wait()  # the client closes last, within the time that is left
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await reading

    @property
    def _elapsed(self) -> float:
        return monotonic() - self.begun

    @property
    def _done(self) -> bool:
        spent = self.total >= self.limits.test_bytes
        return spent or self._over.is_set() or self._elapsed >= self.limits.seconds

    # -- both directions -------------------------------------------------------------------

    async def _download(self) -> None:
        size = FIRST_MESSAGE
        while not self._done:
            self.writer.write(binary_header(size))
            for offset in range(0, size, CHUNK):
                piece = self.block[offset : min(offset + CHUNK, size)]
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(0)  # a drain that does not wait never yields to other tasks
                await self.moved(len(piece))
            self.total += size
            size = next_size(size, self.total, LARGEST_SENT)
            self._flush()
            self._tell_at_times()

    async def _upload(self) -> None:
        while not self._done:
            left = min(TELL_SECONDS, self.limits.seconds - self._elapsed)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.0)):
                    await self._over.wait()
            self._flush()
            self._tell_at_times()
        self._tell(None)

    async def _read(self) -> None:
        """Take what the client sends until it closes; of an upload, count it."""
        try:
            while not self._over.is_set():
                data = await self.reader.read(CHUNK)
                found = self._socket.receive(data)
                if not self._done:
                    self.total += found.binary
                self._replies += found.reply
                if found.ended:
                    break
                await self.moved(len(data))
        finally:
            self._over.set()

    # -- telling ---------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._replies:
            self.writer.write(bytes(self._replies))
            self._replies.clear()

    def _tell_at_times(self) -> None:
        if self._elapsed - self._told >= TELL_SECONDS:
            self._told = self._elapsed
            self._tell(None)

    def _tell(self, connection: ConnectionInfo | None) -> None:
        if self._over.is_set() or self.writer.transport.get_write_buffer_size() > UNSENT:
            return
        elapsed = self._elapsed
        socket: Any = self.writer.get_extra_info("socket")
        measurement = Ndt7Measurement(
            app_info=AppInfo(elapsed_time=round(elapsed * 1e6), num_bytes=self.total),
            connection_info=connection,
            tcp_info=tcp_counters(socket, elapsed),
            bbr_info=bbr_counters(socket, elapsed),
            origin="server",
            test=self.test,
        )
        self.writer.write(self._socket.text(msgspec.json.encode(measurement)))

    def _endpoint(self, which: str) -> str:
        address, port, *_ = self.writer.get_extra_info(which)
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
