"""QUIC handshakes with a real server, a misbehaving one, and a closed port."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("aioquic", reason="the extra [quic] is not installed")

from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from hypothesis import given, strategies as st

from probe.experiments.operations import QuicHandshake
from probe.failure import Failure
from probe.model import Quic
from probe.net.quic import offered_versions
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import Authority, udp_server

HOST = "site.example"


@asynccontextmanager
async def server(
    folder: Path, authority: Authority, *names: str, alpn: str = "h3"
) -> AsyncIterator[int]:
    leaf = authority.leaf(*names)
    key, _, certificates = leaf.pem.partition(b"-----BEGIN CERTIFICATE-----")
    (folder / "key.pem").write_bytes(key)
    (folder / "chain.pem").write_bytes(b"-----BEGIN CERTIFICATE-----" + certificates)
    settings = QuicConfiguration(is_client=False, alpn_protocols=[alpn])
    settings.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    running = await serve("127.0.0.1", 0, configuration=settings)
    try:
        transport = running._transport
        assert transport is not None
        yield transport.get_extra_info("sockname")[1]
    finally:
        running.close()
        await asyncio.sleep(0)


def asked(
    port: int, sni: str | None = HOST, limit: float = 3.0
) -> Callable[[SocketNet], Awaitable[Quic]]:
    return lambda net: net.quic(QuicHandshake("127.0.0.1", port, sni, limit=limit))


def test_a_handshake_proves_the_name(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    async def run(net: SocketNet) -> tuple[Quic, Quic, dict[str, bytes]]:
        async with server(tmp_path, authority, HOST) as port:
            own = await net.quic(QuicHandshake("127.0.0.1", port, HOST))
            return (
                own,
                await net.quic(QuicHandshake("127.0.0.1", port, "other.example")),
                net.certs,
            )

    own, other, certs = measure(run)
    assert (own.failure, own.alpn, own.sni) == (None, "h3", HOST)
    assert own.trust is not None
    assert own.trust.valid
    assert set(own.chain) <= set(certs)
    assert own.bytes_in > 1000
    assert own.datagrams_in > 0
    assert own.elapsed < 2
    assert other.failure is None, "what a chain proves is judged afterwards"
    assert other.trust is not None
    assert not other.trust.named


def test_the_servers_rejection_is_an_alert(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    async def run(net: SocketNet) -> Quic:
        async with server(tmp_path, authority, HOST, alpn="other") as port:
            return await net.quic(QuicHandshake("127.0.0.1", port, HOST))

    step = measure(run)
    assert step.failure is Failure.SSL_HANDSHAKE
    assert step.alert == 120  # no_application_protocol
    assert step.error == 0x178
    assert step.bytes_in > 0
    assert step.elapsed < 1, "the draining period is not waited for"


def test_a_closed_port_is_an_icmp_error(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = measure(asked(port))
    assert step.failure is Failure.REFUSED
    assert step.icmp == 111
    assert step.bytes_in == 0
    assert 0.9 < step.elapsed < 2.5, "an answer within a second would have counted"


def test_no_answer_is_a_timeout_and_the_initial_was_sent_again(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        step = measure(asked(mute.getsockname()[1], limit=1.5))
    assert step.failure is Failure.TIMEOUT
    assert step.icmp is None
    assert (step.bytes_in, step.datagrams_in) == (0, 0)
    assert step.datagrams_out > 1
    assert step.bytes_out >= 2400


def test_version_negotiation_is_recorded(measure: Measure) -> None:
    def negotiate(data: bytes, send: Callable[[bytes], None]) -> None:
        theirs, ours = data[6 : 6 + data[5]], data[7 + data[5] :][: data[6 + data[5]]]
        head = bytes([0xC0, 0, 0, 0, 0, len(ours)]) + ours + bytes([len(theirs)]) + theirs
        send(head + bytes.fromhex("faceb002fafafafa"))

    with udp_server(negotiate) as port:
        step = measure(asked(port))
    assert step.failure is Failure.QUIC_VERSION
    assert step.versions == (0xFACEB002, 0xFAFAFAFA)
    assert step.elapsed < 1


def test_invalid_datagrams_are_ignored_until_the_timeout(measure: Measure) -> None:
    with udp_server(lambda data, send: send(b"\xc0\x00\x00\x00\x01garbage")) as port:
        step = measure(asked(port, limit=1.0))
    assert step.failure is Failure.TIMEOUT
    assert step.datagrams_in > 0


def test_an_invalid_name_is_not_offered(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    async def run(net: SocketNet) -> Quic:
        async with server(tmp_path, authority, HOST) as port:
            return await net.quic(QuicHandshake("127.0.0.1", port, None))

    assert measure(run).failure is None


@given(st.binary(max_size=80))
def test_versions_are_read_from_anything(data: bytes) -> None:
    assert len(offered_versions(data)) <= 16
    assert len(offered_versions(b"\xc0\0\0\0\0" + data)) <= 16
