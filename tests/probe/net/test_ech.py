"""The hello with an ECH-shaped extension: its bytes, and who answers it."""

import socket
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from probe.failure import Failure
from probe.lab.hello import server_name
from probe.net.ech import ENTROPY, EXTENSION, client_hello, extension, with_ech
from probe.net.hello import TlsContexts
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import Authority, reset, tcp_server, until_closed
from tests.probe.net.test_tls import NAME, after_hello, shake, speaking_tls

HOST = NAME
RANDOM = bytes(range(ENTROPY))


def hello(name: str | None = HOST) -> bytes:
    return client_hello(TlsContexts().get("default"), name)


def extensions(record: bytes) -> list[tuple[int, bytes]]:
    at = 9 + 34
    at += 1 + record[at]
    at += 2 + int.from_bytes(record[at : at + 2], "big")
    at += 1 + record[at] + 2
    found = []
    while at < len(record):
        kind, size = (int.from_bytes(record[at + i : at + i + 2], "big") for i in (0, 2))
        found.append((kind, record[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def test_only_the_extension_is_added() -> None:
    plain = hello()
    made = with_ech(plain, RANDOM)
    assert len(made) == len(plain) + len(extension(RANDOM))
    assert int.from_bytes(made[3:5], "big") == len(made) - 5
    assert int.from_bytes(made[6:9], "big") == len(made) - 9
    *before, (kind, data) = extensions(made)
    assert before == extensions(plain)
    assert kind == EXTENSION == 0xFE0D
    assert data[:5] == bytes.fromhex("0000010001")
    assert int.from_bytes(data[6:8], "big") == 32
    assert int.from_bytes(data[40:42], "big") == len(data) - 42
    assert server_name(made) == HOST


def test_a_hello_without_a_name_gets_it_too() -> None:
    assert extensions(with_ech(hello(None), RANDOM))[-1][0] == EXTENSION
    assert hello("a..b") == b""


@given(st.binary(max_size=120), st.integers(0, 400))
def test_what_is_no_client_hello_is_rejected(data: bytes, cut: int) -> None:
    for wire in (data, hello()[:cut]):
        with pytest.raises(ValueError):
            with_ech(wire, RANDOM)


def test_a_server_that_does_not_support_it_answers(
    measure: Measure, authority: Authority, tmp_path: Path
) -> None:
    with tcp_server(speaking_tls(authority.leaf(NAME).context(tmp_path))) as port:
        _, tls = shake(measure, port, hello="ech")
    assert (tls.failure, tls.hello) == (None, "ech")
    assert tls.bytes_in > 80
    assert tls.server_hello is not None
    assert (tls.chain, tls.trust, tls.version) == ((), None, None)


def test_a_reset_a_fin_a_timeout_and_an_alert_are_distinguished(measure: Measure) -> None:
    def alert(sock: socket.socket) -> None:
        sock.sendall(bytes.fromhex("15030300020228"))
        until_closed(sock)

    def garbage(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 400 Bad Request")
        until_closed(sock)

    with tcp_server(after_hello(reset)) as port:
        assert shake(measure, port, hello="ech")[1].failure is Failure.RESET
    with tcp_server(after_hello(lambda _: None)) as port:
        assert shake(measure, port, hello="ech")[1].failure is Failure.EOF
    with tcp_server(after_hello(until_closed)) as port:
        step = shake(measure, port, hello="ech", limit=0.3)[1]
        assert (step.failure, step.bytes_in) == (Failure.TIMEOUT, 0)
    with tcp_server(after_hello(alert)) as port:
        step = shake(measure, port, hello="ech")[1]
        assert (step.failure, step.alert, step.alert_by) == (Failure.SSL_HANDSHAKE, 40, "peer")
    with tcp_server(after_hello(garbage)) as port:
        step = shake(measure, port, hello="ech")[1]
        assert (step.failure, step.detail) == (Failure.SSL_HANDSHAKE, "no_tls")
