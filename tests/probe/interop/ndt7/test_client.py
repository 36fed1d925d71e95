"""The probe's ndt7 client, over real sockets: our own server, and servers that misbehave."""

import asyncio
import ssl
from base64 import b64encode
from hashlib import sha1

import pytest

from collector.throughput.identity import make_identity
from collector.throughput.ndt7 import Ndt7Limits
from collector.throughput.server import BulkLimits, start_bulk
from probe.analysis.line_speed import speed
from probe.experiments.operations import TransferDirection, TransferRequest
from probe.failure import Failure
from probe.interop.ndt7.client import Ndt7Client
from probe.interop.ndt7.server_url import Ndt7Url
from probe.model import Transfer
from probe.net import transfer as module
from probe.net.transfer import transfer
from tests.probe.tls_server import TlsHandler, tls_server

IDENTITY = make_identity()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def measured(
    port: int, direction: TransferDirection, size: int, cap: float = 5.0
) -> Transfer:
    url = Ndt7Url("127.0.0.1", port)
    request = TransferRequest(
        "127.0.0.1",
        port,
        None,
        size,
        path="",
        host=url.authority,
        pin=IDENTITY.spki_sha256,
        cap=cap,
        direction=direction,
        dialogue=Ndt7Client(url, direction, size),
    )
    return await transfer(request)


def against_ours(
    direction: TransferDirection, size: int, limits: Ndt7Limits | None = None, cap: float = 5.0
) -> Transfer:
    async def scenario() -> Transfer:
        bulk = await start_bulk(
            "127.0.0.1", 0, identity=IDENTITY, limits=BulkLimits(ndt7=limits or Ndt7Limits())
        )
        try:
            return await measured(bulk.port, direction, size, cap)
        finally:
            await bulk.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("direction", ["down", "up"])
def test_the_bytes_that_were_wanted_are_moved_and_counted(direction: TransferDirection) -> None:
    step = against_ours(direction, 3_000_000)
    assert (step.ended, step.failure, step.status, step.protocol) == ("full", None, 101, "ndt7")
    assert 3_000_000 <= step.received_bytes < 4_100_000
    assert step.wire_bytes > 3_000_000
    assert (speed(step) or 0) > 1e5


@pytest.mark.parametrize("direction", ["down", "up"])
def test_the_time_limit_ends_a_test_with_a_number(direction: TransferDirection) -> None:
    step = against_ours(direction, 2**33, Ndt7Limits(test_bytes=2**33), cap=1.5)
    assert (step.ended, step.failure) == ("cap", None)
    assert (speed(step) or 0) > 1e5


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_server_that_ends_the_test_at_its_own_time_is_no_failure(
    direction: TransferDirection,
) -> None:
    limits = Ndt7Limits(seconds=1.6, last_seconds=4.0, test_bytes=2**33)
    step = against_ours(direction, 2**33, limits, cap=20.0)
    assert (step.ended, step.failure) == ("cap", None)
    assert (speed(step) or 0) > 1e5


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_server_that_ends_the_test_at_once_gives_no_number(direction: TransferDirection) -> None:
    step = against_ours(direction, 2**31, Ndt7Limits(test_bytes=1), cap=20.0)
    assert (step.ended, step.failure, step.detail) == ("eof", Failure.EOF, "CLOSED_EARLY")
    assert speed(step) is None


def upgraded(after: bytes, *, extra: str = "", name: str | None = None) -> TlsHandler:
    """A server that upgrades, says something, and waits for the client to go."""

    def handle(tls: ssl.SSLSocket) -> None:
        asked = tls.recv(65536)
        key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = b64encode(sha1(key + GUID).digest()).decode()
        protocol = name or "net.measurementlab.ndt.v7"
        head = (
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n{extra}\r\n"
        )
        tls.sendall(head.encode() + after)
        while tls.recv(65536):
            pass

    return handle


def _refuses(tls: ssl.SSLSocket) -> None:
    tls.recv(65536)
    tls.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    tls.recv(65536)


def _accepts_another_key(tls: ssl.SSLSocket) -> None:
    tls.recv(65536)
    tls.sendall(
        b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: AAAA\r\n"
        b"Sec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\n\r\n"
    )
    tls.recv(65536)


def _speaks_ssh(tls: ssl.SSLSocket) -> None:
    tls.sendall(b"SSH-2.0-x\r\n\r\n")
    tls.recv(65536)


def _never_ends_its_head(tls: ssl.SSLSocket) -> None:
    tls.sendall(b"HTTP/1.1 101 x\r\n" + b"x: y\r\n" * 10_000)
    tls.recv(65536)


@pytest.mark.parametrize(
    ("handler", "detail"),
    [
        (_refuses, "NO_NDT7"),
        (_accepts_another_key, "NO_NDT7"),
        (upgraded(b"", name="chat"), "NO_NDT7"),
        (upgraded(b"", extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"), "NO_NDT7"),
        (_speaks_ssh, "NOT_HTTP"),
        (_never_ends_its_head, "HEADER_TOO_LONG"),
        (upgraded(b"\x82\x85\0\0\0\0hello"), "WEBSOCKET_FRAME"),  # masked
        (upgraded(b"\xc2\x05hello"), "WEBSOCKET_FRAME"),  # compressed
        (upgraded(b"\x82\x7f" + (2**62).to_bytes(8)), "WEBSOCKET_TOO_LONG"),
        (upgraded(b"\x89\x00" * 5000), "WEBSOCKET_FLOOD"),
        (upgraded(b"\x80\x00"), "WEBSOCKET_FRAGMENT"),
    ],
)
def test_a_server_that_is_none_is_a_failure_with_its_reason(
    handler: TlsHandler, detail: str
) -> None:
    with tls_server(IDENTITY, handler) as port:
        step = asyncio.run(measured(port, "down", 10_000))
    assert (step.ended, step.failure, step.detail) == ("error", Failure.UNKNOWN, detail)


def test_a_server_that_sends_load_during_an_upload_is_a_failure() -> None:
    with tls_server(IDENTITY, upgraded(b"\x82\x05hello")) as port:
        step = asyncio.run(measured(port, "up", 2**31))
    assert step.detail == "WEBSOCKET_BINARY"


def test_pings_during_a_download_are_answered() -> None:
    heard = bytearray()

    def handle(tls: ssl.SSLSocket) -> None:
        upgraded_head(tls)
        tls.sendall(b"\x89\x04ping")
        while len(heard) < 10:
            heard.extend(tls.recv(100))
        tls.sendall(b"\x82\x7e" + (20_000).to_bytes(2) + bytes(20_000))
        tls.recv(100)

    with tls_server(IDENTITY, handle) as port:
        step = asyncio.run(measured(port, "down", 20_000))
    assert step.ended == "full"
    key = heard[2:6]
    assert heard[:2] == b"\x8a\x84"
    assert bytes(byte ^ key[at % 4] for at, byte in enumerate(heard[6:10])) == b"ping"


def upgraded_head(tls: ssl.SSLSocket) -> None:
    asked = tls.recv(65536)
    key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = b64encode(sha1(key + GUID).digest())
    tls.sendall(
        b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: " + accept + b"\r\n"
        b"Sec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\n\r\n"
    )


def test_a_server_that_falls_silent_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.6)
    with tls_server(IDENTITY, upgraded(b"\x82\x7e" + (20_000).to_bytes(2) + bytes(5000))) as port:
        step = asyncio.run(measured(port, "down", 20_000, cap=0.8))
    assert step.ended == "stall"
    assert speed(step) is None
