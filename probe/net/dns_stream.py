"""Concurrent DNS queries over one TLS connection: DoT framing (RFC 7858) or DoH (RFC 8484).

The protocols do no I/O (`QueryProtocol`); a `DnsStream` connects them to a TLS connection and
resolves the future of each query.
"""

import asyncio
from secrets import randbelow
from time import monotonic
from typing import Protocol

from probe.failure import Failure
from probe.net.attempt import NetworkEvent
from probe.net.dns_usual import query
from probe.net.http_response import Headers, HttpResponse
from probe.net.tls import TlsStream

Result = tuple[int, bytes | NetworkEvent]

_MESSAGE_LIMIT = 65535
_QUERY_BYTES = 512  # more than the longest query
_MEDIA_TYPE = b"application/dns-message"


class QueryProtocol(Protocol):
    """Encodes queries and decodes answers on one connection."""

    @property
    def open(self) -> bool:
        """Whether another query may be sent on this connection."""

    def ask(self, name: str, type_: str, *, edns: bool = True) -> int:
        """Enqueue a query; return the key of its answer."""

    def outgoing(self) -> bytes:
        """Take the bytes to send."""

    def feed(self, data: bytes) -> list[Result]:
        """Process received bytes (b"": the peer closed); return answers and failures by key."""

    def forget(self, key: int) -> None:
        """Drop the state of a query."""


class FramedQueries:
    """DoT: two octets of length before each message, answers matched by id."""

    def __init__(self) -> None:
        self.open = True
        self._ids: set[int] = set()
        self._received = bytearray()
        self._out = b""

    def ask(self, name: str, type_: str, *, edns: bool = True) -> int:
        id_ = randbelow(0x10000)
        while id_ in self._ids:
            id_ = randbelow(0x10000)
        self._ids.add(id_)
        self._out += framed(query(id_, name, type_, edns=edns, nsid=True))
        return id_

    def outgoing(self) -> bytes:
        data, self._out = self._out, b""
        return data

    def feed(self, data: bytes) -> list[Result]:
        if not data:
            self.open = False
        self._received += data
        results: list[Result] = []
        while (message := take_framed(self._received)) is not None:
            results.append((int.from_bytes(message[:2], "big"), message))
        return results

    def forget(self, key: int) -> None:
        self._ids.discard(key)


class Http2Queries:
    """DoH over HTTP/2: one POST per query."""

    def __init__(self, authority: str, path: str) -> None:
        self._authority, self._path = authority, path
        from probe.net.http2 import Http2  # not before the first packet (runner/preparing.py)

        self._http = Http2()
        self._answers: dict[int, HttpResponse] = {}

    @property
    def open(self) -> bool:
        return self._http.can_send(_QUERY_BYTES)

    def ask(self, name: str, type_: str, *, edns: bool = True) -> int:
        body = query(0, name, type_, edns=edns, nsid=True)  # RFC 8484 section 4.1: id 0
        answer = HttpResponse(_MESSAGE_LIMIT)
        head = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", self._authority.encode()),
            (b":path", self._path.encode()),
        ]
        stream = self._http.request(head + _headers(body), body, answer)
        self._answers[stream] = answer
        return stream

    def outgoing(self) -> bytes:
        return self._http.outgoing()

    def feed(self, data: bytes) -> list[Result]:
        ended = self._http.feed(data) if data else self._http.end("eof")
        results = [(key, _result(self._answers[key])) for key in ended]
        for key in ended:
            self.forget(key)
        return results

    def forget(self, key: int) -> None:
        self._http.forget(key)
        self._answers.pop(key, None)


class Http1Queries:
    """DoH over HTTP/1.1: one POST per connection."""

    def __init__(self, authority: str, path: str) -> None:
        self._authority, self._path = authority, path
        self._answer = HttpResponse(_MESSAGE_LIMIT)
        from probe.net.http1 import Http1

        self._http = Http1(self._answer)
        self._out = b""
        self.open = True

    def ask(self, name: str, type_: str, *, edns: bool = True) -> int:
        self.open = False
        body = query(0, name, type_, edns=edns, nsid=True)
        head: Headers = [(b"host", self._authority.encode()), (b"connection", b"close")]
        self._out = self._http.request(b"POST", self._path, head + _headers(body), body)
        return 0

    def outgoing(self) -> bytes:
        data, self._out = self._out, b""
        return data

    def feed(self, data: bytes) -> list[Result]:
        if data:
            self._http.feed(data)
        else:
            self._http.end()
        return [(0, _result(self._answer))] if self._answer.ended else []

    def forget(self, key: int) -> None:
        """Nothing to drop: there is one query per connection."""


class DnsStream:
    """Queries over one connection; a background task reads the answers."""

    def __init__(self, tls: TlsStream, protocol: QueryProtocol) -> None:
        self._tls = tls
        self._protocol = protocol
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._writing = asyncio.Lock()
        self._broken = False
        self._closing = False
        self.last_arrival = monotonic()  # at first: when it was opened
        self._task = asyncio.ensure_future(self._run())

    @property
    def open(self) -> bool:
        """Whether another query may be sent."""
        return self._protocol.open and not self._broken

    @property
    def single_use(self) -> bool:
        """Whether it is for one query only."""
        return isinstance(self._protocol, Http1Queries)

    async def ask(self, name: str, type_: str, *, edns: bool = True) -> bytes:
        """Send a query and return the reply."""
        key = self._protocol.ask(name, type_, edns=edns)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        try:
            await self._send()
            return await future
        finally:
            self._waiting.pop(key, None)
            self._protocol.forget(key)
            if self._closing and not self._waiting:
                await self.close()

    async def retire(self) -> None:
        """Close when no query is pending any more."""
        self._closing = True
        if not self._waiting:
            await self.close()

    async def close(self) -> None:
        """Close; pending queries fail with `interrupted`."""
        self._task.cancel()
        await asyncio.wait([self._task])
        self._end(NetworkEvent(Failure.INTERRUPTED))

    async def _run(self) -> None:
        try:
            while data := await self._tls.read():
                self.last_arrival = monotonic()
                self._resolve(self._protocol.feed(data))
                await self._send()
            self._resolve(self._protocol.feed(b""))
        except (OSError, NetworkEvent) as error:
            self._end(error)  # classified by attempt()
        else:
            self._end(NetworkEvent(Failure.EOF))

    async def _send(self) -> None:
        async with self._writing:
            if data := self._protocol.outgoing():
                await self._tls.write(data)

    def _resolve(self, results: list[Result]) -> None:
        for key, result in results:
            future = self._waiting.get(key)
            if future is None or future.done():
                continue
            if isinstance(result, bytes):
                future.set_result(result)
            else:
                future.set_exception(result)

    def _end(self, error: Exception) -> None:
        self._broken = True
        self._tls.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def framed(message: bytes) -> bytes:
    """A DNS message with its length prefix (RFC 1035 section 4.2.2)."""
    return len(message).to_bytes(2, "big") + message


def take_framed(received: bytearray) -> bytes | None:
    """Remove one whole message from the front of `received`; None if there is none."""
    if len(received) < 2:
        return None
    end = 2 + int.from_bytes(received[:2], "big")
    if len(received) < end:
        return None
    message = bytes(received[2:end])
    del received[:end]
    return message


def _headers(body: bytes) -> Headers:
    return [
        (b"accept", _MEDIA_TYPE),
        (b"content-type", _MEDIA_TYPE),
        (b"content-length", str(len(body)).encode()),
    ]


def _result(answer: HttpResponse) -> bytes | NetworkEvent:
    if answer.status is not None and answer.status != 200:
        return NetworkEvent(Failure.DNS_MISBEHAVING, f"http {answer.status}")
    if answer.complete and answer.status == 200:
        return bytes(answer.body)
    return NetworkEvent(Failure.DNS_MISBEHAVING if answer.malformed else Failure.EOF, answer.broken)
