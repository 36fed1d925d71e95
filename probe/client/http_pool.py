"""HTTP/1.1 to one collector, over asyncio and h11: connections that are kept, replies in parts.

No proxy, no redirect, nothing from the environment. A heartbeat starts a process every five
minutes, so this imports as little as possible.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import h11

MOST_OPEN, MOST_KEPT = 4, 2
CLOSE_SECONDS = 1.0
_READ = 64 * 1024
_LONGEST_HEAD = 64 * 1024


class ConnectError(OSError):
    """No connection, or no TLS; its cause says why. Nothing was sent."""


class ExchangeError(OSError):
    """The connection failed under a request; its cause says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a response, and its body as it comes.

    Attributes:
        headers: By their names in small letters; those of one name are joined by commas.
        size: Bytes of the headers.
    """

    status: int
    headers: Mapping[str, str]
    size: int
    body: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a connection goes.

    Attributes:
        context: Of TLS; None: in the clear. name: what its certificate must be for.
        seconds: The longest time to connect, and the longest for a handshake.
    """

    address: str
    port: int
    context: ssl.SSLContext | None
    name: str
    seconds: float


class HttpPool:
    """Keeps a few connections to each peer; at most `MOST_OPEN` are used at a time."""

    def __init__(self) -> None:
        self._idle: list[tuple[Peer, _HttpLink]] = []
        self._free = asyncio.Semaphore(MOST_OPEN)

    @asynccontextmanager
    async def send(self, peer: Peer, request: h11.Request, body: bytes) -> AsyncIterator[Reply]:
        """Send one request; within the context, its reply.

        Raises:
            ConnectError: There is no connection.
            ExchangeError: It failed, or the response is not HTTP.
        """
        async with self._free:
            connection = self._kept(peer) or await _connect(peer)
            try:
                yield await connection.exchange(request, body)
            except BaseException:
                connection.abort()
                raise
            if connection.reusable() and len(self._idle) < MOST_KEPT:
                self._idle.append((peer, connection))
            else:
                await connection.close()

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            await self._idle.pop()[1].close()

    def _kept(self, peer: Peer) -> "_HttpLink | None":
        """A connection to this peer that the peer has not closed meanwhile."""
        for one in [each for each in self._idle if each[0] == peer]:
            self._idle.remove(one)
            if one[1].usable():
                return one[1]
            one[1].abort()
        return None


class _HttpLink:
    """One connection: one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    def reusable(self) -> bool:
        """Whether another request may follow; the state of this one ends."""
        if self._h11.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return False
        self._h11.start_next_cycle()
        return self.usable()

    async def exchange(self, request: h11.Request, body: bytes) -> Reply:
        try:
            self._send(request)
            if body:
                self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
            await self._writer.drain()
            head = await self._event()
            while isinstance(head, h11.InformationalResponse):
                head = await self._event()
        except (OSError, h11.ProtocolError) as error:
            raise ExchangeError(str(error)) from error
        if not isinstance(head, h11.Response):
            raise ExchangeError("no response")
        fields = head.headers.raw_items()
        size = sum(len(name) + len(value) + 4 for name, value in fields)
        return Reply(head.status_code, _joined(fields), size, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        try:
            while isinstance(event := await self._event(), h11.Data):
                yield bytes(event.data)
        except (OSError, h11.ProtocolError) as error:
            raise ExchangeError(str(error)) from error

    def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self._writer.write(data)

    async def _event(self) -> h11.Event:
        while True:
            event = self._h11.next_event()
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("data after the response")
            if not isinstance(event, h11.Event):  # more data are needed
                self._h11.receive_data(await self._reader.read(_READ))
                continue
            if isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed without a response")
            return event

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        self._writer.transport.abort()


async def _connect(peer: Peer) -> _HttpLink:
    family = socket.AF_INET6 if ":" in peer.address else socket.AF_INET
    try:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(0.0)  # asyncio waits for it
            async with asyncio.timeout(peer.seconds):
                await asyncio.get_running_loop().sock_connect(plain, (peer.address, peer.port))
            with suppress(OSError):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(peer.seconds):
                name = peer.name if peer.context is not None else None
                streams = await asyncio.open_connection(
                    sock=plain, ssl=peer.context, server_hostname=name
                )
        except BaseException:
            plain.close()
            raise
    except (OSError, TimeoutError) as error:
        raise ConnectError(str(error)) from error
    return _HttpLink(*streams)


def _joined(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in fields:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found
