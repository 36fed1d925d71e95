"""Accept connections within limits that apply before TLS and before HTTP.

Rule: a connection costs a socket until its client has sent something, TLS state only among a
limited number of handshakes, and HTTP state after that. One that has not sent a whole request head
in time is closed, because aiohttp closes idle connections only after their first request.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from collector.connections import Connection, ConnectionPool, Use
from collector.rate_limit import TokenBuckets
from collector.settings import Address, SettingsError

HEAD_SECONDS = 15.0
HANDSHAKE_SECONDS = 10.0
# A closed TLS connection waits no longer than that for the client's goodbye.
GOODBYE_SECONDS = 2.0
BACKLOG = 512
_HEAD_END = b"\r\n\r\n"
# asyncio gives each TLS connection a read buffer of 256 KB.
_TLS_BUFFER = 32 * 1024

log = logging.getLogger("qazcollector")


@dataclass(frozen=True, slots=True)
class Door:
    """The limits on who comes in by one listener.

    Attributes:
        connections, handshakes: Of the first all, of the second those whose TLS is not there yet.
        rate: New connections of each network.
        network: The pseudonym of an address' network; None when it is not limited.
        served: The connection that each HTTP protocol serves.
    """

    connections: ConnectionPool
    handshakes: ConnectionPool
    rate: TokenBuckets
    network: Callable[[str], str | None]
    served: dict[object, Connection] = field(default_factory=dict)

    @contextlib.contextmanager
    def using(self, protocol: object, use: Use) -> Iterator[None]:
        """Note what a connection is used for, which decides whether it may be closed for others."""
        connection = self.served.get(protocol)
        if connection is None:
            yield
            return
        before, connection.use = connection.use, use
        try:
            yield
        finally:
            connection.use = before


@asynccontextmanager
async def listening(
    protocols: Callable[[], asyncio.Protocol],
    address: Address,
    door: Door,
    *,
    context: ssl.SSLContext | None = None,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[Address]:
    """Accept connections until the context ends; gives the address with the port in use.

    With `sockets` it listens on these and not on the address.

    Raises:
        SettingsError: It cannot listen there.
    """
    if context is not None:
        sslproto.SSLProtocol.max_size = _TLS_BUFFER
    with contextlib.ExitStack() as stack:
        bound = [stack.enter_context(one) for one in sockets or await _bound(address)]
        listener = _Listener(protocols, door, context)
        for one in bound:
            listener.start(listener.accept(one))
        try:
            host, port = bound[0].getsockname()[:2]
            yield Address(host, port)
        finally:
            await listener.close()


async def _bound(address: Address) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    found: list[socket.socket] = []
    try:
        infos = await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, type_, protocol, _, where in dict.fromkeys(infos):
            found.append(one := socket.socket(family, type_, protocol))
            one.settimeout(0)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(where)
            one.listen(BACKLOG)
    except OSError as error:
        for one in found:
            one.close()
        why = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {address}: {why}") from error
    return found


class _Listener:
    """One address: its accepting, and the connections that are not HTTP yet."""

    def __init__(
        self,
        protocols: Callable[[], asyncio.Protocol],
        door: Door,
        context: ssl.SSLContext | None,
    ) -> None:
        self._protocols = protocols
        self._door = door
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a coroutine until it ends or the listener closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Accept no more, and drop what is no HTTP yet."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def accept(self, listener: socket.socket) -> None:
        """Accept connections for ever; those without room are closed at once."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, or the peer is gone already
                await asyncio.sleep(0.05)
                continue
            self._admit(accepted, str(peer[0]) if peer else "")
            await asyncio.sleep(0)  # one that waits already is accepted without yielding to others

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        network = self._door.network(peer)
        if network is not None and self._door.rate.take(network):
            self._door.connections.refuse()
            accepted.close()
            return
        connection = Connection(network, accepted.close)
        if not self._door.connections.add(connection):
            accepted.close()
            return
        task = self.start(self._open(accepted, connection))
        connection.close = partial(_cancel, task)

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        """Bring an accepted connection to HTTP."""
        loop, pool = asyncio.get_running_loop(), self._door.connections
        deadline = loop.time() + HEAD_SECONDS
        protocol = _HttpConnection(self._protocols, self._door, connection, deadline)
        try:
            async with asyncio.timeout_at(deadline):
                await self._said_something(accepted)
                if self._context is None:
                    await loop.connect_accepted_socket(lambda: protocol, accepted)
                else:
                    await self._shake(accepted, protocol, connection)
        except (OSError, asyncio.CancelledError):
            pool.drop(connection)  # it is gone, was silent, speaks no TLS, or made room for another

    async def _said_something(self, accepted: socket.socket) -> None:
        """Wait until there is something to read; close the socket when nothing comes."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(accepted, _resolve, ready)
        try:
            await ready
        except BaseException:
            loop.remove_reader(accepted)
            accepted.close()
            raise
        loop.remove_reader(accepted)

    async def _shake(
        self, accepted: socket.socket, protocol: asyncio.Protocol, connection: Connection
    ) -> None:
        """The TLS handshake, one of a limited number."""
        shaking = Connection(connection.network, connection.close)
        if not self._door.handshakes.add(shaking):
            raise ConnectionAbortedError
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=GOODBYE_SECONDS,
            )
        finally:
            self._door.handshakes.drop(shaking)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class _HttpConnection(asyncio.Protocol):
    """One connection: forwards everything, and closes if the first head takes too long."""

    def __init__(
        self,
        protocols: Callable[[], asyncio.Protocol],
        door: Door,
        connection: Connection,
        deadline: float,
    ) -> None:
        self._protocols = protocols
        self._door = door
        self._connection = connection
        self._deadline = deadline
        self._tail: bytes | None = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.WriteTransport):
            raise TypeError("no transport to write to")
        self._connection.close = transport.abort
        self._timer = asyncio.get_running_loop().call_at(self._deadline, transport.abort)
        self._inner = self._protocols()
        self._door.served[self._inner] = self._connection
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._tail is not None:
            self._scan_head(data)
        self._inner.data_received(data)

    def _scan_head(self, data: bytes) -> None:
        seen = (self._tail or b"") + data
        if _HEAD_END in seen:
            self._tail = None
            self._stop()
        else:
            self._tail = seen[-len(_HEAD_END) :]

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._door.connections.drop(self._connection)
        self._door.served.pop(self._inner, None)
        self._inner.connection_lost(exc)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
