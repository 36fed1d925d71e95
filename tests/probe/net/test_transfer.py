"""Time transfers against polite, rude and freezing servers on loopback."""

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import AbstractContextManager
from time import monotonic

import pytest

from collector.throughput.identity import make_identity
from collector.throughput.server import start_bulk
from probe.experiments.operations import TransferRequest
from probe.failure import Failure
from probe.model import Transfer
from probe.net import sampling, tcp_info, transfer as module
from probe.net.hold import HELD_BYTES
from probe.net.tcp_info import TcpInfo
from probe.net.transfer import transfer
from tests.probe.tls_server import TlsHandler, tls_server

IDENTITY = make_identity()
HERE = "127.0.0.1"


def fetch(port: int, size: int = 65536, *, cap: float = 2.0, pin: str | None = None) -> Transfer:
    path, host = f"/{size}", "site.example"
    request = TransferRequest(HERE, port, host, size, path=path, host=host, pin=pin, cap=cap)
    return asyncio.run(transfer(request))


def server(handler: TlsHandler) -> AbstractContextManager[int]:
    """Serve one TLS connection with the given handler, after its request."""

    def answer(tls: ssl.SSLSocket) -> None:
        tls.recv(65536)
        handler(tls)

    return tls_server(IDENTITY, answer)


async def from_bulk(size: int, direction: str = "down", sni: str | None = "x.example") -> Transfer:
    bulk = await start_bulk("127.0.0.1", 0, identity=IDENTITY)
    try:
        request = TransferRequest(
            bulk.address,
            bulk.port,
            sni,
            size,
            path=f"/{size}",
            host="x.example",
            pin=bulk.spki_sha256,
            cap=5.0,
            direction="up" if direction == "up" else "down",
        )
        return await transfer(request)
    finally:
        await bulk.close()


@pytest.mark.parametrize("sni", ["x.example", None])
def test_a_whole_object_is_counted_to_the_byte(sni: str | None) -> None:
    step = asyncio.run(from_bulk(300_000, sni=sni))
    assert (step.ended, step.failure, step.status) == ("full", None, 200)
    assert step.received_bytes == step.asked_bytes == 300_000
    assert 300_000 < step.wire_bytes < 312_000
    assert step.samples[0].at == 0.0
    assert step.samples[-1].wire > step.samples[0].wire
    assert step.cpu_seconds is not None


def test_an_upload_is_complete_when_the_server_answers() -> None:
    step = asyncio.run(from_bulk(300_000, "up"))
    assert (step.ended, step.received_bytes, step.status) == ("full", 300_000, 200)


def test_after_a_wrong_key_no_request_is_sent() -> None:
    asked: list[bytes] = []
    with tls_server(IDENTITY, lambda tls: asked.append(tls.recv(65536))) as port:
        step = fetch(port, pin="00" * 32)
    assert not any(asked)
    assert (step.ended, step.failure) == ("error", Failure.SSL_CERTIFICATE)
    assert step.samples == ()


def _some(tls: ssl.SSLSocket, count: int = 20_000) -> None:
    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + bytes(count))


def _reset(tls: ssl.SSLSocket) -> None:
    _some(tls)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=tls.detach()).close()


def _close(tls: ssl.SSLSocket) -> None:
    _some(tls)
    tls.shutdown(socket.SHUT_RDWR)


def _freeze(tls: ssl.SSLSocket, quiet: float = 3.0) -> None:
    _some(tls, 13_000)
    tls.settimeout(quiet)
    tls.recv(1)


@pytest.mark.parametrize(
    ("handler", "ended", "failure"),
    [(_reset, "reset", Failure.RESET), (_close, "eof", Failure.EOF)],
)
def test_a_reset_and_a_fin_in_the_body_are_distinguished(
    handler: TlsHandler, ended: str, failure: Failure
) -> None:
    with server(handler) as port:
        step = fetch(port)
    assert (step.ended, step.failure) == (ended, failure)


def test_a_freeze_is_a_stall_with_the_bytes_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.6)
    with server(_freeze) as port:
        step = fetch(port, cap=0.8)
    assert (step.ended, step.failure) == ("stall", None)
    assert step.stalled_at is not None
    assert 13_000 < step.stalled_at < 16_000  # with the handshake, its tickets and the header
    assert step.longest_gap is not None
    assert step.longest_gap >= 0.6


def test_a_slow_transfer_ends_at_the_cap_and_is_no_stall() -> None:
    def drip(tls: ssl.SSLSocket) -> None:
        _some(tls, 1000)
        while True:
            tls.sendall(bytes(500))
            threading.Event().wait(0.1)

    with server(drip) as port:
        step = fetch(port, cap=1.0)
    assert step.ended == "cap"
    assert step.samples[-1].at == pytest.approx(1.0, abs=0.3)
    assert step.stalled_at is None


def test_a_refusal_and_a_timeout_before_tls_are_errors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    step = fetch(port)
    assert (step.ended, step.failure) == ("error", Failure.REFUSED)
    assert step.connect_seconds is None


def test_a_silent_handshake_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_LIMIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        step = fetch(listener.getsockname()[1])
    assert (step.ended, step.failure, step.handshake_seconds) == ("error", Failure.TIMEOUT, None)


def test_long_transfers_keep_a_bounded_number_of_even_samples() -> None:
    samples = sampling.Samples()
    with socket.socket() as connection:
        for tick in range(5000):
            at = tick * 0.05
            samples.progress(at, tick)
            if samples.due(at):
                samples.take(at, connection)
    assert 20 < len(samples.kept) <= sampling.SAMPLES
    assert samples.kept[0].at == 0.0
    assert samples.kept[-1].at > 240
    gaps = [b.at - a.at for a, b in zip(samples.kept[2:], samples.kept[3:], strict=False)]
    assert max(gaps) <= 2.1 * min(gaps)


def test_bytes_behind_a_lost_segment_count_as_received(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = TcpInfo(segments=5, out_of_order=0, segment_bytes=1000)
    monkeypatch.setattr(tcp_info, "read", lambda _: info)
    samples = sampling.Samples()
    with socket.socket() as connection:
        samples.progress(0.1, 4500, connection)
        info = TcpInfo(segments=9, out_of_order=4, segment_bytes=1000)
        samples.take(0.2, connection)
        assert samples.received_bytes() == 8500
        info = TcpInfo(segments=9, out_of_order=0, segment_bytes=1000)  # retransmitted, not lost
        samples.take(0.3, connection)
        assert samples.received_bytes() == 4500


def test_cancelling_ends_the_thread_within_a_tick() -> None:
    async def scenario() -> float:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            request = TransferRequest(HERE, port, "x", 10, path="/", host="x", cap=30.0)
            task = asyncio.create_task(transfer(request))
            connection, _ = await asyncio.to_thread(listener.accept)
            begun = monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            connection.close()
        return begun

    begun = asyncio.run(scenario())  # joins the executor's threads
    assert monotonic() - begun < 2.0


def test_a_held_transfer_reads_little_until_then_and_everything_after() -> None:
    async def scenario() -> Transfer:
        bulk = await start_bulk("127.0.0.1", 0, identity=IDENTITY)
        size = 2_000_000
        try:
            request = TransferRequest(
                *(bulk.address, bulk.port, "x.example", size),
                path=f"/{size}",
                host="x.example",
                cap=30.0,
                hold=1.5,
            )
            return await transfer(request)
        finally:
            await bulk.close()

    step = asyncio.run(scenario())
    assert (step.ended, step.held, step.received_bytes) == ("full", 1.5, 2_000_000)
    early = [s for s in step.samples if s.at < 1.5]
    assert 0 < early[-1].wire - early[0].wire <= HELD_BYTES
    after = next(s for s in step.samples if s.at >= 1.5)
    assert after.wire - early[0].wire <= HELD_BYTES
    assert step.samples[-1].wire > 2_000_000
    assert step.rate is None or step.rate > 2_000_000 / step.elapsed
