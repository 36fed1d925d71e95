"""The throughput server: incompressible bytes to download, and a sink for uploads.

It accepts TLS under any name, has one key of its own, and knows three requests: `GET /N` returns N
bytes, `POST` discards a body, and an upgrade to a WebSocket runs a test of ndt7. It fetches,
forwards and stores nothing, and answers only over an established connection, so it is no relay and
no amplifier. Sizes, connections and time are limited, per client and in total, and so are a
client's rate and its bytes a day; its address is held in memory while its connection lasts and
nowhere else. Any number may run in parallel.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any, TypeVar

from collector.throughput.allowance import ClientAllowance
from collector.throughput.identity import BulkIdentity, make_identity
from collector.throughput.ndt7 import Ndt7Limits, Ndt7Server, test_of
from collector.throughput.websocket import UpgradeRefused

T = TypeVar("T")

BLOCK = 1024 * 1024
CHUNK = 64 * 1024
HEADER_LIMIT = 8 * 1024


@dataclass(frozen=True, slots=True)
class BulkLimits:
    """The limits of one throughput server.

    Attributes:
        object_bytes: Largest object, down and up.
        per_client, total: Connections at a time. An IPv6 client is its /64. A client at its limit
            loses the oldest connection on which it has said nothing for `mute_seconds`.
        seconds: Life of a connection. idle_seconds: longest wait for any progress.
        bytes_per_second: Cap on each connection's rate, or None.
        client_bytes_per_second: The same for all connections of one client together.
        client_daily_bytes: What one client may move in a day, or None.
        congestion: TCP congestion control to use (`cubic`, `bbr`), or None for the system's.
        ndt7: Time and bytes of a test of ndt7.
    """

    object_bytes: int = 8 * 1024 * 1024
    per_client: int = 4
    total: int = 64
    seconds: float = 90.0
    idle_seconds: float = 30.0
    handshake_seconds: float = 10.0
    mute_seconds: float = 1.0
    bytes_per_second: float | None = None
    client_bytes_per_second: float | None = None
    client_daily_bytes: int | None = None
    congestion: str | None = None
    ndt7: Ndt7Limits = field(default_factory=Ndt7Limits)


class _BadRequest(Exception):  # noqa: N818 - a response, not an error
    """A request that is answered with a status and no body."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class BulkServer:
    """A running throughput server; stop it with `close`."""

    limits: BulkLimits
    identity: BulkIdentity
    listener: socket.socket
    context: ssl.SSLContext
    block: memoryview = field(default_factory=lambda: memoryview(os.urandom(BLOCK)))
    clients: Counter[str] = field(default_factory=Counter)
    mute: dict[socket.socket, tuple[str, float]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    allowance: ClientAllowance = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = ClientAllowance(
            self.limits.client_bytes_per_second, self.limits.client_daily_bytes, monotonic
        )

    @property
    def address(self) -> str:
        """The address it listens on."""
        return str(self.listener.getsockname()[0])

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.listener.getsockname()[1])

    @property
    def spki_sha256(self) -> str:
        """Hex SHA-256 of its public key."""
        return self.identity.spki_sha256

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.listener.close()

    # -- accepting -------------------------------------------------------------------------

    async def accept(self) -> None:
        """Accept connections for ever; those over a limit are closed before the handshake."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self.listener)
            except OSError:  # out of descriptors, or the peer is gone already
                await asyncio.sleep(0.1)
                continue
            client = _client(str(peer[0]))
            full = self.clients.total() >= self.limits.total
            spent = self.allowance.is_spent(client)
            many = self.clients[client] >= self.limits.per_client and not self._drop_mute(client)
            if full or spent or many:
                connection.close()
                continue
            self.clients[client] += 1
            self.mute[connection] = client, monotonic()
            self.start(self.serve(connection, client))

    def _drop_mute(self, client: str) -> bool:
        """Close the client's oldest mute connection, if there is one, in favour of a new one.

        A device on the way that resets a client by the name in its hello leaves the connection
        open here, and the client knows nothing of it.
        """
        since = monotonic() - self.limits.mute_seconds
        old = [one for one, (owner, at) in self.mute.items() if owner == client and at < since]
        for connection in old[:1]:
            del self.mute[connection]
            connection.shutdown(socket.SHUT_RDWR)
        return bool(old)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until it ends or the server closes."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, connection: socket.socket, client: str) -> None:
        """One connection from its handshake to its end."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self._handle(connection, client)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the connection is over, for any reason; TimeoutError is an OSError
        finally:
            self.mute.pop(connection, None)
            connection.close()
            self.clients[client] -= 1
            self.clients += Counter()  # forget clients without connections
            if client not in self.clients:
                self.allowance.leave(client)

    async def _handle(self, connection: socket.socket, client: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = await self._streams(connection)
        self.mute.pop(connection, None)
        try:
            try:
                await self._answer(reader, writer, client)
            except _BadRequest as bad:
                await self._reply(writer, bad.status, 0)
            writer.close()
            await self._progress(writer.wait_closed())
        finally:
            writer.transport.abort()

    async def _streams(
        self, connection: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEADER_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=self.context,
            ssl_handshake_timeout=self.limits.handshake_seconds,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    # -- answering -------------------------------------------------------------------------

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str
    ) -> None:
        head = await self._progress(reader.readuntil(b"\r\n\r\n"))
        method, path, length = _parse(head)
        if method == "GET" and test_of(path) is not None:
            await self._test(reader, writer, head, client)
        elif method == "GET":
            size = self._size(path.removeprefix("/"))
            await self._reply(writer, "200 OK", size)
            await self._send_block(writer, size, client)
        elif method == "POST":
            await self._discard(reader, self._size(length), client)
            await self._reply(writer, "200 OK", 0)
        else:
            raise _BadRequest("405 Method Not Allowed")

    async def _test(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, client: str
    ) -> None:
        started, total = monotonic(), 0

        async def moved(size: int) -> None:
            nonlocal total
            total += size
            await self._pace(started, total, self.allowance.move(client, size))

        server = Ndt7Server(reader, writer, self.limits.ndt7, self.block, moved)
        try:
            await server.serve(head, _parse(head)[1])
        except UpgradeRefused:
            raise _BadRequest("400 Bad Request") from None

    def _size(self, text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise _BadRequest("404 Not Found")
        if int(text) > self.limits.object_bytes:
            raise _BadRequest("413 Content Too Large")
        return int(text)

    async def _reply(self, writer: asyncio.StreamWriter, status: str, size: int) -> None:
        lines = (
            f"HTTP/1.1 {status}",
            "Content-Type: application/octet-stream",
            f"Content-Length: {size}",
            "Cache-Control: no-store",
            "Connection: close",
        )
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._progress(writer.drain())

    async def _send_block(self, writer: asyncio.StreamWriter, size: int, client: str) -> None:
        started, sent = monotonic(), 0
        while sent < size:
            offset = sent % BLOCK
            count = min(CHUNK, size - sent, BLOCK - offset)
            writer.write(self.block[offset : offset + count])
            await self._progress(writer.drain())
            await asyncio.sleep(0)  # a drain that does not wait never yields to other tasks
            if writer.transport.is_closing():
                raise ConnectionResetError
            sent += count
            await self._pace(started, sent, self.allowance.move(client, count))

    async def _discard(self, reader: asyncio.StreamReader, size: int, client: str) -> None:
        started, taken = monotonic(), 0
        while taken < size:
            data = await self._progress(reader.read(min(CHUNK, size - taken)))
            if not data:
                raise asyncio.IncompleteReadError(b"", size - taken)
            taken += len(data)
            await self._pace(started, taken, self.allowance.move(client, len(data)))

    async def _pace(self, started: float, moved: int, wait: float) -> None:
        if self.limits.bytes_per_second is not None:
            wait = max(wait, started + moved / self.limits.bytes_per_second - monotonic())
        if wait > 0:
            await asyncio.sleep(wait)

    async def _progress(self, work: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(self.limits.idle_seconds):
            return await work


def _parse(head: bytes) -> tuple[str, str, str]:
    """Method, path and declared length of a request head."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest("400 Bad Request")
    length = ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            length = value.strip()
    return parts[0], parts[1], length


def _client(address: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 /64."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]
    return address


async def start_bulk(
    host: str,
    port: int,
    *,
    identity: BulkIdentity | None = None,
    limits: BulkLimits | None = None,
) -> BulkServer:
    """Start a throughput server; without an identity it makes one for its own lifetime."""
    limits = limits or BulkLimits()
    identity = identity or make_identity()
    listener = _listen(host, port, limits)
    server = BulkServer(limits, identity, listener, identity.context())
    server.start(server.accept())
    return server


def _listen(host: str, port: int, limits: BulkLimits) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if limits.congestion is not None:  # inherited by every accepted connection
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_CONGESTION, limits.congestion.encode()
            )
        listener.bind((host, port))
        listener.listen(limits.total)
        listener.settimeout(0)
        undo.pop_all()
    return listener
