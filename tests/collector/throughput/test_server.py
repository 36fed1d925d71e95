import asyncio
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from collector.throughput.identity import keep_identity, make_identity
from collector.throughput.server import BulkLimits, BulkServer, start_bulk
from probe.net.transfer import spki_sha256

IDENTITY = make_identity()
T = TypeVar("T")


def with_bulk(work: Callable[[BulkServer], Awaitable[T]], limits: BulkLimits | None = None) -> T:
    async def scenario() -> T:
        bulk = await start_bulk("127.0.0.1", 0, identity=IDENTITY, limits=limits)
        try:
            return await work(bulk)
        finally:
            await bulk.close()

    return asyncio.run(scenario())


async def dial(bulk: BulkServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return await asyncio.open_connection(
        bulk.address, bulk.port, ssl=context, server_hostname="any.name.example"
    )


def ask(request: bytes, limits: BulkLimits | None = None) -> bytes:
    async def work(bulk: BulkServer) -> bytes:
        reader, writer = await dial(bulk)
        writer.write(request)
        answer = await reader.read(-1)
        writer.close()
        return answer

    return with_bulk(work, limits)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /9999999999 HTTP/1.1\r\n\r\n", b"413"),
        (b"GET /-1 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET http://other.example/ HTTP/1.1\r\n\r\n", b"404"),
        (b"CONNECT other.example:443 HTTP/1.1\r\n\r\n", b"405"),
        (b"POST / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"hello\r\n\r\n", b"400"),
    ],
)
def test_it_is_no_relay_and_respects_its_limits(request_: bytes, status: bytes) -> None:
    answer = ask(request_)
    assert answer.split(b" ")[1] == status
    assert len(answer) < 300


def test_it_returns_the_requested_number_of_incompressible_bytes() -> None:
    import zlib

    head, _, body = ask(b"GET /200000 HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert len(body) == 200_000
    assert len(zlib.compress(body)) > 199_000


def test_an_endless_header_closes_the_connection() -> None:
    assert ask(b"GET /1 HTTP/1.1\r\n" + b"x: y\r\n" * 4000) == b""


async def until_free(bulk: BulkServer) -> None:
    """Until the server has noticed that every connection is closed."""
    for _ in range(500):
        if not bulk.clients:
            return
        await asyncio.sleep(0.02)
    pytest.fail("connections are still counted")


def test_the_connections_of_one_client_are_limited() -> None:
    async def work(bulk: BulkServer) -> None:
        first = await dial(bulk)
        with pytest.raises((OSError, ssl.SSLError)):
            await dial(bulk)
        first[1].close()
        await first[1].wait_closed()
        await until_free(bulk)
        (await dial(bulk))[1].close()

    with_bulk(work, BulkLimits(per_client=1))


def test_a_connection_without_a_hello_gives_way_to_a_new_one() -> None:
    """A device on the way reset the client and left the connection open at the server."""

    async def work(bulk: BulkServer) -> None:
        for _ in range(5):
            dead = await asyncio.open_connection(bulk.address, bulk.port)
            await asyncio.sleep(0.5)  # longer than a hello takes
            living = await dial(bulk)
            with pytest.raises((OSError, ssl.SSLError)):
                await dial(bulk)  # one that speaks does not give way
            for _, writer in (dead, living):
                writer.close()
            await until_free(bulk)

    with_bulk(work, BulkLimits(per_client=1, mute_seconds=0.2))


def test_an_idle_connection_is_closed() -> None:
    async def work(bulk: BulkServer) -> bytes:
        reader, writer = await dial(bulk)
        answer = await reader.read(-1)
        writer.close()
        return answer

    assert with_bulk(work, BulkLimits(idle_seconds=0.2)) == b""


def test_an_aborted_download_ends_its_connection_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(bulk: BulkServer) -> None:
        reader, writer = await dial(bulk)
        writer.write(b"GET /8000000 HTTP/1.1\r\n\r\n")
        await reader.read(1000)
        writer.transport.abort()
        for _ in range(100):
            if not bulk.clients:
                break
            await asyncio.sleep(0.02)
        assert not bulk.clients

    with_bulk(work)
    assert caplog.records == []


def test_the_rate_limit() -> None:
    async def work(bulk: BulkServer) -> float:
        reader, writer = await dial(bulk)
        begun = asyncio.get_running_loop().time()
        writer.write(b"GET /300000 HTTP/1.1\r\n\r\n")
        await reader.read(-1)
        writer.close()
        return asyncio.get_running_loop().time() - begun

    assert with_bulk(work, BulkLimits(bytes_per_second=600_000)) >= 0.45


def test_the_key_file_is_reused_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bulk.pem"
    first = keep_identity(path)
    assert keep_identity(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_pin_is_the_hash_of_the_served_key() -> None:
    async def work(bulk: BulkServer) -> bytes:
        _, writer = await dial(bulk)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True)
        writer.close()
        assert certificate is not None
        return certificate

    assert spki_sha256(with_bulk(work)) == IDENTITY.spki_sha256
