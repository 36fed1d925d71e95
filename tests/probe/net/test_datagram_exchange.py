"""Messages of application protocols: answers, timeouts and refusals."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe.experiments.interface import ExchangeNet
from probe.experiments.operations import FRESH_BYTES, AppMessage, Exchange
from probe.failure import Failure
from probe.model import Ping, Tcp
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server, udp_server

HERE = "127.0.0.1"


def build(fresh: bytes, now: float) -> bytes:
    assert len(fresh) == FRESH_BYTES
    assert now > 1_700_000_000
    return b"?" + fresh[:8]


def is_echo(sent: bytes, received: bytes) -> bool:
    return received == b"!" + sent[1:]


MESSAGE = AppMessage("echo", build, is_echo)


def udp(measure: Measure, port: int, message: AppMessage = MESSAGE, limit: float = 1.0) -> Ping:
    async def ask(net: SocketNet) -> Ping:
        return await net.exchange_udp(Exchange(HERE, port, message, limit=limit))

    return measure(ask)


def tcp(measure: Measure, port: int, limit: float = 1.0) -> tuple[Tcp, Ping | None]:
    async def ask(net: SocketNet) -> tuple[Tcp, Ping | None]:
        return await net.exchange_tcp(Exchange(HERE, port, MESSAGE, limit=limit))

    return measure(ask)


def echo(data: bytes, send: Callable[[bytes], None]) -> None:
    if data.startswith(b"?"):
        send(b"!" + data[1:])


def test_the_net_has_exchanges(measure: Measure) -> None:
    async def ask(net: SocketNet) -> bool:
        return isinstance(net, ExchangeNet)

    assert measure(ask)


def test_an_answer_to_the_message_succeeds(measure: Measure) -> None:
    with udp_server(echo) as port:
        step = udp(measure, port)
    assert (step.what, step.address, step.port) == ("echo", HERE, port)
    assert step.failure is None
    assert (step.bytes_out, step.bytes_in) == (9, 9)


def test_another_answer_is_counted_and_ignored(measure: Measure) -> None:
    with udp_server(lambda _, send: send(b"!another answer")) as port:
        step = udp(measure, port, limit=0.4)
    assert step.failure is Failure.TIMEOUT
    assert step.bytes_in > 0


def test_a_lost_message_is_sent_again_with_new_random_bytes(measure: Measure) -> None:
    seen: list[bytes] = []

    def second(data: bytes, send: Callable[[bytes], None]) -> None:
        seen.append(data)
        if len(seen) > 1:
            echo(data, send)

    with udp_server(second) as port:
        step = udp(measure, port)
    assert step.failure is None
    assert len(set(seen)) == 2


def test_no_answer_is_a_timeout(measure: Measure) -> None:
    with udp_server(lambda *_: None) as port:
        step = udp(measure, port, limit=0.3)
    assert step.failure is Failure.TIMEOUT
    assert 0.25 < step.elapsed < 2
    assert step.bytes_out == 27
    assert step.bytes_in == 0


def test_a_closed_port_refuses(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind((HERE, 0))
        port = unused.getsockname()[1]
    assert udp(measure, port).failure is Failure.REFUSED


def test_a_preface_is_sent_before_the_message(measure: Measure) -> None:
    sizes: list[int] = []

    def measured(data: bytes, send: Callable[[bytes], None]) -> None:
        sizes.append(len(data))
        if len(data) == 9:
            echo(data, send)

    with udp_server(measured) as port:
        step = udp(measure, port, AppMessage("echo", build, is_echo, preface=(40, 50)))
    assert step.failure is None
    assert sizes == [40, 50, 9]


def test_an_answer_may_arrive_in_pieces(measure: Measure) -> None:
    def pieces(sock: socket.socket) -> None:
        data = sock.recv(100)
        sock.sendall(b"!" + data[1:4])
        threading.Event().wait(0.05)
        sock.sendall(data[4:])

    with tcp_server(pieces) as port:
        connected, step = tcp(measure, port)
    assert connected.failure is None
    assert step is not None
    assert step.failure is None
    assert (step.bytes_out, step.bytes_in) == (9, 9)


def test_a_fin_and_another_protocol_are_distinguished(measure: Measure) -> None:
    with tcp_server(lambda sock: sock.recv(100)) as port:
        _, closed = tcp(measure, port)
    assert closed is not None
    assert closed.failure is Failure.EOF
    with flooding() as port:
        _, flooded = tcp(measure, port)
    assert flooded is not None
    assert flooded.failure is Failure.UNKNOWN
    assert flooded.detail == "another_protocol"


@contextmanager
def flooding() -> Iterator[int]:
    def flood(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"x" * 100_000)

    with tcp_server(flood) as port:
        yield port


def test_nothing_is_sent_to_a_closed_port(measure: Measure) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    connected, step = tcp(measure, port)
    assert connected.failure is Failure.REFUSED
    assert step is None
