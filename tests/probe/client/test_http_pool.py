"""Connections to a collector: kept, given up when closed, and never held by a failure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import h11
import pytest

from probe.client.http_pool import MOST_OPEN, ConnectError, ExchangeError, HttpPool, Peer

OK = b"HTTP/1.1 200 OK\r\nX-Twice: a\r\nx-twice: b\r\nContent-Length: 2\r\n\r\nhi"
LAST = OK.replace(b"200 OK", b"200 OK\r\nConnection: close")
REQUEST = h11.Request(method="GET", target="/", headers=[("Host", "a.test")])


class Server:
    """Answers each request with the same bytes, and counts connections."""

    def __init__(self, answer: bytes, *, close: bool = False) -> None:
        self.answer, self.close = answer, close
        self.connections = self.open = self.most = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.writers.append(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0)
                writer.write(self.answer)
                await writer.drain()
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def served(server: Server) -> AsyncIterator[tuple[HttpPool, Peer]]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    pool = HttpPool()
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield pool, Peer("127.0.0.1", port, None, "127.0.0.1", 20.0)
        await pool.close()


async def body(pool: HttpPool, peer: Peer) -> bytes:
    async with pool.send(peer, REQUEST, b"") as reply:
        assert reply.status == 200
        return b"".join([part async for part in reply.body])


def run(server: Server, scenario: Callable[[HttpPool, Peer], object]) -> None:
    async def go() -> None:
        async with served(server) as (pool, peer):
            await scenario(pool, peer)  # type: ignore[misc]

    asyncio.run(go())


def test_headers_have_small_letters_and_those_of_one_name_are_joined() -> None:
    async def scenario(pool: HttpPool, peer: Peer) -> None:
        async with pool.send(peer, REQUEST, b"") as reply:
            assert reply.headers == {"x-twice": "a, b", "content-length": "2"}
            assert b"".join([part async for part in reply.body]) == b"hi"

    run(Server(OK), scenario)


def test_requests_in_turn_use_one_connection() -> None:
    async def scenario(pool: HttpPool, peer: Peer) -> None:
        assert [await body(pool, peer) for _ in range(3)] == [b"hi"] * 3

    server = Server(OK)
    run(server, scenario)
    assert server.connections == 1


def test_requests_at_once_use_a_few_connections() -> None:
    async def scenario(pool: HttpPool, peer: Peer) -> None:
        assert set(await asyncio.gather(*(body(pool, peer) for _ in range(12)))) == {b"hi"}

    server = Server(OK)
    run(server, scenario)
    assert server.most <= MOST_OPEN


def test_a_connection_that_the_server_ended_is_not_used_again() -> None:
    async def scenario(pool: HttpPool, peer: Peer) -> None:
        for _ in range(2):
            assert await body(pool, peer) == b"hi"

    for server in (Server(LAST), Server(LAST, close=True)):
        run(server, scenario)
        assert server.connections == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    server = Server(OK)

    async def scenario(pool: HttpPool, peer: Peer) -> None:
        assert await body(pool, peer) == b"hi"
        for writer in server.writers:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        assert await body(pool, peer) == b"hi"

    run(server, scenario)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_response_is_an_error_and_frees_the_connection(answer: bytes) -> None:
    server = Server(answer, close=True)

    async def scenario(pool: HttpPool, peer: Peer) -> None:
        for _ in range(MOST_OPEN + 2):
            with pytest.raises(ExchangeError):
                await body(pool, peer)

    run(server, scenario)
    assert server.connections == MOST_OPEN + 2


def test_no_connection_is_told_apart_from_a_failed_one() -> None:
    async def scenario(pool: HttpPool, peer: Peer) -> None:
        nobody = Peer("127.0.0.1", 1, None, "127.0.0.1", 5.0)
        with pytest.raises(ConnectError) as error:
            await body(pool, nobody)
        assert isinstance(error.value.__cause__, ConnectionRefusedError)

    run(Server(OK), scenario)
