"""Packets with a limited TTL: ICMP errors are read, and routers near the user are not recorded."""

import asyncio
import errno
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from probe.experiments.interface import Resolver, TtlProber
from probe.failure import Failure
from probe.model import Dns, Ping, Steps, Tcp, Tls
from probe.net import ttl
from probe.net.routers import near
from probe.net.stream import ByteCounter, Stream, connect
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import reset, tcp_server, until_closed

T = TypeVar("T")
HERE = "127.0.0.1"
SOCKADDR = (
    struct.pack("=H", socket.AF_INET) + b"\0\0" + socket.inet_aton("198.51.100.4") + b"\0" * 8
)


def extended(origin: int, type_: int, code: int = 0) -> bytes:
    return struct.pack("=IBBBBII", errno.EHOSTUNREACH, origin, type_, code, 0, 0, 0) + SOCKADDR


@pytest.mark.skipif(sys.platform != "linux", reason="ICMP errors: Linux only")
def test_an_icmp_error_is_read_from_the_error_queue() -> None:
    assert ttl.parse(0, 11, extended(2, 11)) == ttl.IcmpError(11, 0, "198.51.100.4")
    error = ttl.parse(0, 11, extended(2, 3, 3))
    assert error is not None
    assert (error.expired, error.unreachable) == (False, True)
    assert ttl.parse(0, 11, extended(1, 11)) is None  # the machine's own error
    assert ttl.parse(0, 2, extended(2, 11)) is None
    assert ttl.parse(0, 11, b"short") is None
    assert ttl.parse(0, 11, extended(2, 11)[:16]) == ttl.IcmpError(11, 0, None)


@pytest.mark.parametrize(
    ("addresses", "hidden"),
    [
        (["192.168.1.1", "100.64.0.1", "8.8.8.1", "9.9.9.1"], {0, 1, 2}),
        (["192.168.1.1", None, "8.8.8.1", "8.8.8.77", "9.9.9.1"], {0, 2, 3}),
        (["8.8.8.1", "10.0.0.1", "9.9.9.1", "8.8.8.1"], {0, 1, 3}),
        ([None, None, "9.9.9.1"], {2}),
        (["192.168.1.1", "10.0.0.1"], {0, 1}),
        ([], set()),
    ],
)
def test_routers_near_the_user_are_not_recorded(
    addresses: list[str | None], hidden: set[int]
) -> None:
    assert near(addresses) == {addresses[index] for index in hidden}


class ScriptedSocket(socket.socket):
    """Has errors and bytes in the order they come, then nothing."""

    answers: tuple[object, ...] = ()

    def recv(self, _: int, __: int = 0) -> bytes:
        if not self.answers:
            raise BlockingIOError
        answer, *rest = self.answers
        self.answers = tuple(rest)
        if isinstance(answer, OSError):
            raise answer
        assert isinstance(answer, bytes)
        return answer


WORD = OSError(errno.EHOSTUNREACH, "")
RESET = ConnectionResetError(errno.ECONNRESET, "")


@pytest.mark.skipif(sys.platform != "linux", reason="ICMP errors: Linux only")
@pytest.mark.parametrize(
    ("answers", "raised", "expired"),
    [
        ((WORD,), errno.EHOSTUNREACH, True),
        ((WORD, RESET), errno.ECONNRESET, True),
        ((RESET,), errno.ECONNRESET, False),
        ((WORD, b"answer"), None, True),
    ],
)
def test_after_an_icmp_error_a_nearer_answer_counts(
    answers: tuple[object, ...], raised: int | None, *, expired: bool
) -> None:
    async def go() -> None:
        with ScriptedSocket() as sock:
            sock.answers = answers
            stream = Stream(sock, ByteCounter())
            stream.limit(3)
            if raised is None:
                assert await stream.read() == b"answer"
            else:
                with pytest.raises(OSError) as caught:
                    await stream.read()
                assert caught.value.errno == raised
            assert stream.expired is expired
            stream.close()

    asyncio.run(go())


def test_a_limited_connection_ends_with_a_reset_that_arrives() -> None:
    seen: list[int | None] = []
    ended = threading.Event()

    def handler(sock: socket.socket) -> None:
        try:
            sock.recv(10)
            seen.append(None)
        except OSError as error:
            seen.append(error.errno)
        ended.set()

    with tcp_server(handler) as port:

        async def go() -> None:
            stream = await connect(HERE, port, ByteCounter())
            stream.limit(2)
            stream.close()
            assert await asyncio.to_thread(ended.wait, 30)

        asyncio.run(go())
    assert seen == [errno.ECONNRESET]


def stepping(measure: Measure, ask: Callable[[TtlProber], Awaitable[T]]) -> T:
    async def inside(net: SocketNet) -> T:
        async with net.ttl_prober([]) as prober:
            assert prober.raw is not None
            return await ask(prober)

    return measure(inside)


def test_steps_have_their_ttl(measure: Measure) -> None:
    def reads_and_resets(sock: socket.socket) -> None:
        sock.recv(100)
        reset(sock)

    with tcp_server(reads_and_resets) as port:

        async def hello(prober: TtlProber) -> tuple[Tcp, Tls | None]:
            return await prober.hello(HERE, port, "site.example", 5)

        tcp, tls = stepping(measure, hello)
    assert tls is not None
    assert tls.travel is not None
    assert (tcp.failure, tls.failure, tls.travel.ttl) == (None, Failure.RESET, 5)
    with tcp_server(until_closed) as port:

        async def silent(prober: TtlProber) -> Steps:
            url = f"http://site.example:{port}/"
            return await prober.request(url, HERE, "site.example", 5)

        _, http = stepping(measure, silent)
    assert http.failure in {Failure.TIMEOUT, Failure.EOF}
    assert http.travel is not None
    assert (http.travel.ttl, http.travel.packets) == (5, ())


@pytest.mark.skipif(sys.platform != "linux", reason="ICMP errors: Linux only")
def test_a_traceroute_to_this_machine_ends_at_once(measure: Measure) -> None:
    async def ask(prober: TtlProber) -> Sequence[Ping]:
        return await prober.routers(HERE, 3, 1)

    (only,) = stepping(measure, ask)
    assert (only.what, only.failure) == ("server", None)


def test_a_query_with_a_limited_ttl(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((HERE, 0))
        resolver = Resolver("8.8.8.8", HERE, closed.getsockname()[1])

        async def ask(prober: TtlProber) -> Dns:
            return await prober.query("site.example", resolver, 3)

        step = stepping(measure, ask)
    assert step.failure is Failure.TIMEOUT
    assert step.travel is not None
    assert step.travel.ttl == 3
