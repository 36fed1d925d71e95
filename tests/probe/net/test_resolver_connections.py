"""DNS over TLS and HTTPS: verified, on one connection, which is reopened."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from probe.experiments.interface import Resolver
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Dns
from probe.net.dns_stream import Http2Queries
from probe.net.session import SessionSettings
from probe.net.target_net import SocketNet
from tests.probe.net import http2_server
from tests.probe.net.conftest import Measure
from tests.probe.net.http2_server import Request
from tests.probe.net.servers import Authority, Handler, reset, tcp_server, until_closed
from tests.probe.net.test_dns import answer

NAME = "site.example"
RESOLVER = "dns.example"
Context = Callable[..., ssl.SSLContext]


@pytest.fixture
def show(authority: Authority, tmp_path: Path) -> Context:
    def context(*alpn: str, name: str = RESOLVER) -> ssl.SSLContext:
        return authority.leaf(name).context(tmp_path, alpn=alpn)

    return context


def at(
    port: int, transport: Literal["dot", "doh"] = "doh", name: str | None = RESOLVER
) -> Resolver:
    return Resolver("127.0.0.1", "127.0.0.1", port, transport, name)


def ask(measure: Measure, resolver: Resolver, *, times: int = 1) -> list[Dns]:
    async def some(net: SocketNet) -> list[Dns]:
        return [await net.dns(DnsQuery(NAME, resolver, limit=1.0)) for _ in range(times)]

    return measure(some)


def over_tls(context: ssl.SSLContext, then: Callable[[ssl.SSLSocket], object]) -> Handler:
    def handler(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            then(tls)

    return handler


def dot_answers(tls: ssl.SSLSocket, most: int = 1000) -> None:
    for _ in range(most):
        data = tls.recv(4096)
        if not data:
            return
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            wire = answer(data[2:end], "192.0.2.1")
            tls.sendall(len(wire).to_bytes(2, "big") + wire)
            data = data[end:]


def doh_answers(connection: H2Connection, request: Request) -> None:
    assert request.headers[":method"] == "POST"
    assert request.headers["content-type"] == "application/dns-message"
    assert request.headers[":authority"].startswith(RESOLVER)
    assert request.body[:2] == b"\0\0"
    wire = answer(bytes(request.body), "192.0.2.1")
    head = [(":status", "200"), ("content-type", "application/dns-message")]
    connection.send_headers(request.stream, head)
    connection.send_data(request.stream, wire, end_stream=True)


def doh(context: ssl.SSLContext, reply: http2_server.Answer = doh_answers) -> Handler:
    return over_tls(context, lambda tls: http2_server.serve(tls, reply))


def test_dot_on_one_connection(measure: Measure, show: Context) -> None:
    connections: list[int] = []

    def counting(sock: socket.socket) -> None:
        connections.append(1)
        over_tls(context, dot_answers)(sock)

    context = show()
    with tcp_server(counting) as port:
        steps = ask(measure, at(port, "dot"), times=3)
    assert {(step.failure, step.addresses) for step in steps} == {(None, ("192.0.2.1",))}
    assert [step.transport for step in steps] == ["dot"] * 3
    assert len(connections) == 1


def test_doh_over_http2_on_one_connection_at_once(measure: Measure, show: Context) -> None:
    connections: list[int] = []

    def counting(sock: socket.socket) -> None:
        connections.append(1)
        doh(context)(sock)

    async def many(net: SocketNet) -> list[Dns]:
        asks = [net.dns(DnsQuery(f"n{number}.example", at(port))) for number in range(30)]
        return await asyncio.gather(*asks)

    context = show("h2")
    with tcp_server(counting) as port:
        steps = measure(many)
    assert {(step.failure, step.addresses) for step in steps} == {(None, ("192.0.2.1",))}
    assert len(connections) == 1


def test_doh_falls_back_to_http1(measure: Measure, show: Context) -> None:
    def http1(tls: ssl.SSLSocket) -> None:
        head, _, body = tls.recv(4096).partition(b"\r\n\r\n")
        while b"content-length: " + str(len(body)).encode() not in head.lower():
            body += tls.recv(4096)
        wire = answer(body, "192.0.2.1")
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(wire), wire))

    with tcp_server(over_tls(show("http/1.1"), http1)) as port:
        steps = ask(measure, at(port), times=2)
    assert {(step.failure, step.addresses) for step in steps} == {(None, ("192.0.2.1",))}


def test_over_http1_a_query_does_not_interrupt_another(measure: Measure, show: Context) -> None:
    def http1(tls: ssl.SSLSocket) -> None:
        body = tls.recv(4096).partition(b"\r\n\r\n")[2]
        time.sleep(0.1)
        wire = answer(body, "192.0.2.1")
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(wire), wire))

    async def several(net: SocketNet) -> list[Dns]:
        return await asyncio.gather(*(net.dns(DnsQuery(NAME, at(port))) for _ in range(4)))

    with tcp_server(over_tls(show("http/1.1"), http1)) as port:
        steps = measure(several)
    assert {(step.failure, step.addresses) for step in steps} == {(None, ("192.0.2.1",))}


def test_over_http1_no_query_waits_for_another(measure: Measure, show: Context) -> None:
    together = threading.Barrier(3)
    turns = iter(range(100))

    def http1(tls: ssl.SSLSocket) -> None:
        body = tls.recv(4096).partition(b"\r\n\r\n")[2]
        if next(turns):  # the first shows that the resolver speaks HTTP/1.1
            together.wait(10.0)
        wire = answer(body, "192.0.2.1")
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(wire), wire))

    async def several(net: SocketNet) -> list[Dns]:
        first = await net.dns(DnsQuery(NAME, at(port), limit=10.0))
        asks = (net.dns(DnsQuery(NAME, at(port), limit=10.0)) for _ in range(3))
        return [first, *await asyncio.gather(*asks)]

    with tcp_server(over_tls(show("http/1.1"), http1)) as port:
        steps = measure(several)
    assert {(step.failure, step.addresses) for step in steps} == {(None, ("192.0.2.1",))}


def test_a_querys_time_does_not_begin_before_its_turn(measure: Measure, show: Context) -> None:
    def http1(tls: ssl.SSLSocket) -> None:
        body = tls.recv(4096).partition(b"\r\n\r\n")[2]
        wire = answer(body, "192.0.2.1")
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(wire), wire))

    async def crowded(net: SocketNet) -> list[Dns]:
        first = await net.dns(DnsQuery(NAME, at(port), limit=10.0))
        async with AsyncExitStack() as others:
            for _ in range(8):
                await others.enter_async_context(net._connections.turn(at(port)))
            last = asyncio.ensure_future(net.dns(DnsQuery(NAME, at(port), limit=0.1)))
            await asyncio.wait((last,), timeout=0.3)
            assert not last.done()
            last.cancel()
        return [first, await net.dns(DnsQuery(NAME, at(port), limit=10.0))]

    with tcp_server(over_tls(show("http/1.1"), http1)) as port:
        steps = measure(crowded)
    assert [step.failure for step in steps] == [None, None]


def test_concurrent_streams_respect_the_servers_limit() -> None:
    server = H2Connection(H2Configuration(client_side=False))
    most = {SettingCodes.MAX_CONCURRENT_STREAMS: 7}
    server.local_settings = Settings(client=False, initial_values=most)
    server.initiate_connection()
    questions = Http2Queries(RESOLVER, "/dns-query")
    server.receive_data(questions.outgoing())
    questions.feed(server.data_to_send())
    asked = 0
    while questions.open:
        questions.ask(NAME, "A")
        server.receive_data(questions.outgoing())
        asked += 1
    assert asked == 7


def test_an_exhausted_window_ends_a_connection() -> None:
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    questions = Http2Queries(RESOLVER, "/dns-query")
    asked = 0
    while questions.open:
        key = questions.ask(NAME, "A")
        server.receive_data(questions.outgoing())
        server.send_headers(key, [(":status", "404")], end_stream=True)
        questions.feed(server.data_to_send())
        asked += 1
    assert 1000 < asked < 65535 // 20


def test_an_unverified_resolver_is_not_used(
    measure: Measure, show: Context, authority: Authority, tmp_path: Path
) -> None:
    with tcp_server(doh(show("h2", name="impostor.example"))) as port:
        wrong_name = ask(measure, at(port))[0]
    unknown = Authority("Unknown").leaf(RESOLVER).context(tmp_path, alpn=("h2",))
    with tcp_server(doh(unknown)) as port:
        wrong_root = ask(measure, at(port))[0]
    expired = authority.leaf(RESOLVER, days=-1).context(tmp_path, alpn=("h2",))
    with tcp_server(doh(expired)) as port:
        too_late = ask(measure, at(port))[0]
    assert (wrong_name.failure, wrong_name.detail) == (Failure.SSL_HOSTNAME, "hostname")
    assert wrong_root.failure is Failure.SSL_AUTHORITY
    assert (too_late.failure, too_late.detail) == (Failure.SSL_CERTIFICATE, "expired")
    assert not wrong_name.replies
    assert not wrong_root.replies


def test_a_certificate_for_the_address_proves_a_resolver(measure: Measure, show: Context) -> None:
    with tcp_server(over_tls(show(name="127.0.0.1"), dot_answers)) as port:
        by_address = ask(measure, at(port, "dot", None))[0]
        by_either = ask(measure, at(port, "dot", RESOLVER))[0]
    assert (by_address.failure, by_either.failure) == (None, None)


def test_a_broken_connection_is_opened_again(measure: Measure, show: Context) -> None:
    context = show()
    with tcp_server(over_tls(context, lambda tls: dot_answers(tls, most=1))) as port:

        async def twice(net: SocketNet) -> list[Dns]:
            first = await net.dns(DnsQuery(NAME, at(port, "dot"), limit=1.0))
            await asyncio.sleep(0.1)
            return [first, await net.dns(DnsQuery(NAME, at(port, "dot"), limit=1.0))]

        steps = measure(twice)
    assert [step.failure for step in steps] == [None, None]


def test_a_silent_connection_is_replaced(measure: Measure, show: Context) -> None:
    context = show()
    turns = iter((until_closed, dot_answers))

    def one_then_the_other(sock: socket.socket) -> None:
        over_tls(context, next(turns))(sock)

    with tcp_server(one_then_the_other) as port:
        steps = ask(measure, at(port, "dot"), times=2)
    assert [step.failure for step in steps] == [Failure.TIMEOUT, None]


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (reset, Failure.RESET),
        (lambda sock: sock.recv(4096), Failure.EOF),
        (until_closed, Failure.TIMEOUT),
        (lambda sock: sock.sendall(b"220 mail\r\n"), Failure.SSL_HANDSHAKE),
    ],
)
def test_a_connection_that_cannot_be_opened(
    measure: Measure, handler: Handler, failure: Failure
) -> None:
    with tcp_server(handler) as port:
        step = ask(measure, at(port))[0]
    assert (step.failure, step.replies) == (failure, ())


def test_a_server_error_is_misbehaviour(measure: Measure, show: Context) -> None:
    def sorry(connection: H2Connection, request: Request) -> None:
        connection.send_headers(request.stream, [(":status", "503")], end_stream=True)

    def broken(connection: H2Connection, request: Request) -> None:
        connection.reset_stream(request.stream, 2)

    def nonsense(connection: H2Connection, request: Request) -> None:
        http2_server.page([], b"<html>")(connection, request)

    context = show("h2")
    with tcp_server(doh(context, sorry)) as port:
        step = ask(measure, at(port))[0]
        assert (step.failure, step.detail) == (Failure.DNS_MISBEHAVING, "http 503")
    with tcp_server(doh(context, broken)) as port:
        step = ask(measure, at(port))[0]
        assert (step.failure, step.detail) == (Failure.EOF, "rst_stream 2")
    with tcp_server(doh(context, nonsense)) as port:
        assert ask(measure, at(port))[0].failure is Failure.DNS_MISBEHAVING


def test_the_session_can_end_with_pending_queries(measure: Measure, show: Context) -> None:
    asked = threading.Event()

    def silent(sock: socket.socket) -> None:
        assert sock.recv(65536)
        asked.set()
        until_closed(sock)

    async def leave(net: SocketNet) -> asyncio.Future[Dns]:
        asking = asyncio.ensure_future(net.dns(DnsQuery(NAME, at(port, "dot"), limit=60.0)))
        assert await asyncio.to_thread(asked.wait, 30)
        asking.cancel()
        return asking

    with tcp_server(over_tls(show(), silent)) as port:
        assert measure(leave).cancelled()


def test_a_resolver_that_never_answers_is_dropped(measure: Measure, lab: SessionSettings) -> None:
    with tcp_server(reset) as port:
        dead = at(port)
        settings = SessionSettings(
            lab=True, ca_file=lab.ca_file, resolver=("127.0.0.1", 1), public=(dead,), ipv6=False
        )

        async def thrice(net: SocketNet) -> list[bool]:
            asked = []
            for _ in range(3):
                asked.append(dead in net.resolvers)
                await net.dns(DnsQuery(NAME, dead, limit=0.2))
            return [*asked, dead in net.resolvers]

        assert measure(thrice, settings) == [True, True, True, False]
