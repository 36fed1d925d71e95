"""Handshakes against polite and rude servers: every failure is its own fact."""

import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.experiments.operations import TlsHandshake
from probe.failure import Failure
from probe.model import Tcp, Tls, TrustReason
from probe.net.stream import Stream
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import Authority, Handler, reset, tcp_server, until_closed

NAME = "site.example"


def shake(measure: Measure, port: int, **options: object) -> tuple[Tcp, Tls]:
    async def ask(net: SocketNet) -> tuple[Tcp, Tls]:
        tcp, tls = await net.tls(TlsHandshake("127.0.0.1", port, NAME, **options))  # type: ignore[arg-type]
        assert tls is not None
        return tcp, tls

    return measure(ask)


@pytest.fixture
def show(authority: Authority, tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    def context(*names: str, days: float = 90, own: bool = False) -> ssl.SSLContext:
        return authority.leaf(*names, days=days, self_signed=own).context(tmp_path)

    return context


def speaking_tls(context: ssl.SSLContext) -> Handler:
    def handler(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            until_closed(tls)

    return handler


def test_a_completed_handshake_has_all_fields(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.leaf(NAME)
    with tcp_server(speaking_tls(leaf.context(tmp_path, alpn=("h2",)))) as port:

        async def ask(net: SocketNet) -> tuple[Tcp, Tls, dict[str, bytes]]:
            tcp, tls = await net.tls(TlsHandshake("127.0.0.1", port, NAME))
            assert tls is not None
            return tcp, tls, net.certs

        tcp, tls, certs = measure(ask)
    assert (tcp.failure, tls.failure, tls.version, tls.alpn) == (None, None, "TLSv1.3", "h2")
    assert tls.cipher is not None
    assert tls.server_hello is not None
    assert tls.server_hello.startswith("771,486")  # TLS 1.3 is negotiated in an extension (43)
    assert "43" in tls.server_hello.split(",")[2].split("-")
    assert tls.bytes_out > 517
    assert tls.bytes_in > len(leaf.der)
    assert tls.chain[0] == hashlib.sha256(leaf.der).hexdigest()
    assert len(tls.chain) == 2
    assert certs[tls.chain[0]] == leaf.der
    assert tls.trust is not None
    assert tls.trust.valid
    assert (tls.alert, tls.alert_by) == (None, None)


def after_hello(handler: Handler) -> Handler:
    def then(sock: socket.socket) -> None:
        sock.recv(65536)
        handler(sock)

    return then


def test_a_reset_after_the_hello(measure: Measure) -> None:
    with tcp_server(after_hello(reset)) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.bytes_out, tls.bytes_in) == (Failure.RESET, 517, 0)
    assert not tls.answered


def test_a_fin_after_the_hello_is_no_reset(measure: Measure) -> None:
    with tcp_server(after_hello(socket.socket.close)) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.bytes_out, tls.bytes_in) == (Failure.EOF, 517, 0)


def test_no_answer_to_the_hello_is_a_timeout(measure: Measure) -> None:
    with tcp_server(until_closed) as port:
        _, tls = shake(measure, port, limit=0.3)
    assert (tls.failure, tls.bytes_in, tls.limit) == (Failure.TIMEOUT, 0, 0.3)
    assert tls.acknowledged is not False  # its kernel confirms what the server never answers
    assert 0.29 < tls.elapsed < 0.6


def test_a_fin_before_the_hello_is_eof(measure: Measure) -> None:
    with tcp_server(socket.socket.close) as port:
        _, tls = shake(measure, port)
    assert tls.failure in (Failure.EOF, Failure.RESET)
    assert tls.bytes_in == 0


def test_a_fatal_alert_is_the_peers(measure: Measure) -> None:
    unrecognised_name = bytes.fromhex("15030300020270")
    with tcp_server(after_hello(lambda sock: sock.sendall(unrecognised_name))) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.alert, tls.alert_by) == (Failure.SSL_HANDSHAKE, 112, "peer")
    assert tls.bytes_in == 7


def test_an_alert_without_a_name_is_still_a_number(measure: Measure) -> None:
    with tcp_server(
        after_hello(lambda sock: sock.sendall(bytes.fromhex("150303000202fa")))
    ) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.alert, tls.alert_by) == (Failure.SSL_HANDSHAKE, 0xFA, "peer")


def test_an_endless_handshake_is_stopped(measure: Measure) -> None:
    def babble(sock: socket.socket) -> None:
        sock.sendall(bytes.fromhex("160303004a0200004603036a") + b"x" * 31 + b"\0\xc0\x2f\0")
        while True:
            sock.sendall(bytes.fromhex("160303000400000000") * 4096)  # HelloRequest, ignored

    with tcp_server(after_hello(babble)) as port:
        _, tls = shake(measure, port, limit=5.0)
    assert tls.failure is Failure.SSL_HANDSHAKE
    assert tls.bytes_in < 4 << 20
    assert tls.elapsed < 4


def test_a_close_notify_is_eof(measure: Measure) -> None:
    with tcp_server(
        after_hello(lambda sock: sock.sendall(bytes.fromhex("15030300020100")))
    ) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.alert, tls.alert_by) == (Failure.EOF, 0, "peer")


def test_an_alert_is_read_before_a_following_reset(measure: Measure) -> None:
    def alert_and_reset(sock: socket.socket) -> None:
        sock.sendall(bytes.fromhex("15030300020228"))
        time.sleep(0.05)
        reset(sock)

    with tcp_server(after_hello(alert_and_reset)) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.alert, tls.alert_by) == (Failure.SSL_HANDSHAKE, 40, "peer")


def test_garbage_instead_of_tls(measure: Measure) -> None:
    page = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    with tcp_server(after_hello(lambda sock: sock.sendall(page))) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.bytes_in) == (Failure.SSL_HANDSHAKE, len(page))
    assert tls.alert_by != "peer"


def test_our_own_alert_is_attributed_to_us(measure: Measure) -> None:
    nonsense = bytes.fromhex("160303000402000000")  # a ServerHello of no length
    with tcp_server(after_hello(lambda sock: sock.sendall(nonsense))) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.alert_by) == (Failure.SSL_HANDSHAKE, "us")
    assert tls.alert == 50


def test_an_old_server_is_accepted(measure: Measure, authority: Authority, tmp_path: Path) -> None:
    context = authority.leaf(NAME).context(tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tcp_server(speaking_tls(context)) as port:
        _, modern = shake(measure, port)
        _, forced = shake(measure, port, hello="tls12")
        _, newest = shake(measure, port, hello="tls13")
    assert (modern.failure, modern.version) == (None, "TLSv1.2")
    assert (forced.failure, forced.version, forced.hello) == (None, "TLSv1.2", "tls12")
    assert (newest.failure, newest.alert, newest.alert_by) == (Failure.SSL_HANDSHAKE, 70, "peer")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_very_old_server_is_accepted(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    context = authority.leaf(NAME).context(tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    with tcp_server(speaking_tls(context)) as port:
        _, tls = shake(measure, port)
    assert (tls.failure, tls.version) == (None, "TLSv1")


def test_hellos_that_offer_less(measure: Measure, authority: Authority, tmp_path: Path) -> None:
    context = authority.leaf(NAME).context(tmp_path, alpn=("h2", "http/1.1"))
    with tcp_server(speaking_tls(context)) as port:
        assert shake(measure, port)[1].alpn == "h2"
        assert shake(measure, port, hello="http11")[1].alpn == "http/1.1"
        assert shake(measure, port, hello="noalpn")[1].alpn is None


def test_a_split_hello_goes_out_in_two_and_still_works(
    measure: Measure, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.leaf(NAME).context(tmp_path)
    written: list[bytes] = []
    write = Stream.write

    async def noting(self: Stream, data: bytes) -> None:
        written.append(data)
        await write(self, data)

    monkeypatch.setattr(Stream, "write", noting)
    with tcp_server(speaking_tls(context)) as port:
        _, split = shake(measure, port, hello="split")
    assert (split.failure, split.hello) == (None, "split")
    assert written[0].endswith(b"site.e")
    assert written[1].startswith(b"xample")
    assert len(written[0] + written[1]) == 517


@pytest.mark.parametrize(
    ("names", "days", "reason"),
    [
        ((NAME,), -1.0, TrustReason.EXPIRED),
        (("other.example",), 90.0, TrustReason.HOSTNAME),
        ((NAME,), 90.0, TrustReason.SELF_SIGNED),
    ],
)
def test_a_bad_certificate_does_not_stop_the_handshake(
    measure: Measure,
    show: Callable[..., ssl.SSLContext],
    names: tuple[str, ...],
    days: float,
    reason: TrustReason,
) -> None:
    with tcp_server(
        speaking_tls(show(*names, days=days, own=reason is TrustReason.SELF_SIGNED))
    ) as port:
        _, tls = shake(measure, port)
    assert tls.failure is None
    assert tls.trust is not None
    assert (tls.trust.valid, tls.trust.reason) == (False, reason)


def test_a_chain_can_be_verified_for_another_name_than_the_sni(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.leaf("real.example")
    with tcp_server(speaking_tls(leaf.context(tmp_path))) as port:
        _, tls = shake(measure, port, verify="real.example")
    assert tls.sni == NAME
    assert tls.trust is not None
    assert tls.trust.valid


def test_the_chain_is_kept_when_the_handshake_fails_after_it(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.leaf(NAME)
    context = leaf.context(tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def first_flight_then_reset(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(sock.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        sock.sendall(outgoing.read())
        sock.recv(65536)
        reset(sock)

    with tcp_server(first_flight_then_reset) as port:
        _, tls = shake(measure, port)
    assert tls.failure is Failure.RESET
    assert tls.bytes_in > len(leaf.der)
    assert tls.chain[0] == hashlib.sha256(leaf.der).hexdigest()
    assert tls.trust is not None
    assert tls.trust.valid


def test_a_name_that_tls_cannot_carry_is_reported(measure: Measure) -> None:
    async def ask(net: SocketNet) -> Tls | None:
        return (await net.tls(TlsHandshake("127.0.0.1", port, "x" * 64 + ".example")))[1]

    with tcp_server(until_closed) as port:
        tls = measure(ask)
    assert tls is not None
    assert (tls.failure, tls.detail, tls.bytes_out) == (Failure.UNKNOWN, "not_a_host_name", 0)


def test_no_name_can_be_offered_too(measure: Measure, authority: Authority, tmp_path: Path) -> None:
    async def ask(net: SocketNet) -> Tls | None:
        return (await net.tls(TlsHandshake("127.0.0.1", port, None, verify="127.0.0.1")))[1]

    leaf = authority.leaf("127.0.0.1")
    with tcp_server(speaking_tls(leaf.context(tmp_path))) as port:
        tls = measure(ask)
    assert tls is not None
    assert (tls.failure, tls.sni) == (None, None)
    assert tls.trust is not None
    assert tls.trust.valid
