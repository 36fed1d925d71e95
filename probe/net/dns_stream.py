"""Many DNS questions over one secured connection: RFC 7858 framing, or RFC 8484 over HTTP.

The protocols have no I/O of their own (`Questions`); a `DnsStream` gives them a connection and
hands each answer to whoever asked.
"""

import asyncio
from secrets import randbelow
from time import monotonic
from typing import Protocol

from probe.failure import Failure
from probe.net.attempt import NetworkEvent
from probe.net.dns_message import query
from probe.net.http1 import Http1
from probe.net.http2 import Http2
from probe.net.http_response import Headers, HttpResponse
from probe.net.tls import TlsStream

Result = tuple[int, bytes | NetworkEvent]

_MESSAGE_LIMIT = 65535
_QUESTION = 512  # octets that the longest name's question fits in
_MEDIA_TYPE = b"application/dns-message"


class Questions(Protocol):
    """How questions become bytes, and bytes answers."""

    @property
    def open(self) -> bool:
        """Whether another question may be asked on this connection."""

    def ask(self, name: str, type_: str) -> int:
        """Take a question; gives the key its answer will have."""

    def outgoing(self) -> bytes:
        """Bytes that want to be sent."""

    def feed(self, data: bytes) -> list[Result]:
        """Take bytes; b"" is the peer's goodbye. Gives what was answered, or why it was not."""

    def forget(self, key: int) -> None:
        """Nobody waits for this answer any more."""


class Framed:
    """Two octets of length before each message, answers by their ids."""

    def __init__(self) -> None:
        self.open = True
        self._ids: set[int] = set()
        self._received = bytearray()
        self._out = b""

    def ask(self, name: str, type_: str) -> int:
        id_ = randbelow(0x10000)
        while id_ in self._ids:
            id_ = randbelow(0x10000)
        self._ids.add(id_)
        self._out += framed(query(id_, name, type_))
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


class OverHttp2:
    """One POST a question, all on one connection."""

    def __init__(self, authority: str, path: str) -> None:
        self._authority, self._path = authority, path
        self._http = Http2()
        self._answers: dict[int, HttpResponse] = {}

    @property
    def open(self) -> bool:
        return self._http.takes(_QUESTION)

    def ask(self, name: str, type_: str) -> int:
        body = query(0, name, type_)  # RFC 8484 section 4.1: id 0
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


class OverHttp1:
    """One POST on one connection, for a server that does not speak HTTP/2."""

    def __init__(self, authority: str, path: str) -> None:
        self._authority, self._path = authority, path
        self._answer = HttpResponse(_MESSAGE_LIMIT)
        self._http = Http1(self._answer)
        self._out = b""
        self.open = True

    def ask(self, name: str, type_: str) -> int:
        self.open = False
        body = query(0, name, type_)
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
        """There is only the one."""


class DnsStream:
    """Questions over one connection, answered by a task that reads in the background."""

    def __init__(self, tls: TlsStream, questions: Questions) -> None:
        self._tls = tls
        self._questions = questions
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._writing = asyncio.Lock()
        self._broken = False
        self._retired = False
        self.last_arrival = monotonic()  # or when it was opened
        self._task = asyncio.ensure_future(self._run())

    @property
    def open(self) -> bool:
        """Whether another question may be asked here."""
        return self._questions.open and not self._broken

    async def ask(self, name: str, type_: str) -> bytes:
        """The reply to one question."""
        key = self._questions.ask(name, type_)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        try:
            await self._send()
            return await future
        finally:
            self._waiting.pop(key, None)
            self._questions.forget(key)
            if self._retired and not self._waiting:
                await self.close()

    async def retire(self) -> None:
        """Hang up as soon as nobody waits here any more."""
        self._retired = True
        if not self._waiting:
            await self.close()

    async def close(self) -> None:
        """Hang up; whoever still waits is told."""
        self._task.cancel()
        await asyncio.wait([self._task])
        self._end(NetworkEvent(Failure.INTERRUPTED))

    async def _run(self) -> None:
        try:
            while data := await self._tls.read():
                self.last_arrival = monotonic()
                self._hand_out(self._questions.feed(data))
                await self._send()
            self._hand_out(self._questions.feed(b""))
        except (OSError, NetworkEvent) as error:
            self._end(error)  # handed on as it is: attempt() will say what it means
        else:
            self._end(NetworkEvent(Failure.EOF))

    async def _send(self) -> None:
        async with self._writing:
            if data := self._questions.outgoing():
                await self._tls.write(data)

    def _hand_out(self, results: list[Result]) -> None:
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
    """A DNS message as it goes over a stream (RFC 1035 section 4.2.2)."""
    return len(message).to_bytes(2, "big") + message


def take_framed(received: bytearray) -> bytes | None:
    """Take one whole message off the front of what was received, if there is one."""
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
