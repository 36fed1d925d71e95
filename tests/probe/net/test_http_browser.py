"""What browsers forgive: cookies, redirects without an end, HTTP/2 refusals, short bodies."""

import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from probe.cookies import CookieJar
from probe.experiments.operations import HttpRequest
from probe.failure import Failure
from probe.model import Http, Steps
from probe.net.target_net import SocketNet
from tests.probe.net import http2_server
from tests.probe.net.conftest import Measure
from tests.probe.net.http2_server import Request
from tests.probe.net.servers import Authority, Handler, tcp_server, until_closed

NAME = "site.example"


def answering(data: bytes, then: Callable[[socket.socket], object] = until_closed) -> Handler:
    def handler(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(data)
        then(sock)

    return handler


def fetch(
    measure: Measure, handler: Handler, *, scheme: str = "http", jar: CookieJar | None = None
) -> Http:
    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            url = f"{scheme}://{NAME}:{port}/"
            return await net.http(HttpRequest(url, "127.0.0.1", cookies=jar))

        step = measure(ask)[-1]
    assert isinstance(step, Http)
    return step


# --- redirects ---------------------------------------------------------------------------------


@pytest.mark.parametrize("then", [until_closed, socket.socket.close])
def test_a_redirect_counts_from_its_head_on(
    measure: Measure, then: Callable[[socket.socket], object]
) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 999\r\n\r\n<html>"
    before = time.monotonic()
    step = fetch(measure, answering(head, then))
    assert time.monotonic() - before < 2
    assert (step.failure, step.status) == (None, 302)
    assert (step.location or "").endswith("/next")


@pytest.mark.parametrize(
    "location",
    ["http://заблокировано.кз/", "http://x:99999/", "/стоп лист", "http://[", "\\\\x\\y", "//"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_odd_locations_are_kept_and_nothing_is_lost(
    measure: Measure, location: str, encoding: str
) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: " + location.encode(encoding)
    step = fetch(measure, answering(head + b"\r\nContent-Length: 0\r\n\r\n"))
    assert (step.failure, step.status) == (None, 302)
    assert "location" in step.headers
    assert step.location is None or step.location.isascii()


# --- cookies -----------------------------------------------------------------------------------


def test_cookies_are_sent_back_and_not_recorded(measure: Measure) -> None:
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        received.append(sock.recv(65536))
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: id=secret; Path=/\r\nContent-Length: 0\r\n\r\n"
        )

    jar = CookieJar()
    first = fetch(measure, handler, jar=jar)
    fetch(measure, handler, jar=jar)
    assert b"Cookie" not in received[0]
    assert received[1].endswith(b"\r\nCookie: id=secret\r\n\r\n")
    assert "secret" not in repr(first)


# --- HTTP/2 ------------------------------------------------------------------------------------


@pytest.fixture
def show(authority: Authority, tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    return lambda *alpn: authority.leaf(NAME).context(tmp_path, alpn=alpn)


def over_tls(context: ssl.SSLContext, then: Callable[[ssl.SSLSocket], object]) -> Handler:
    def handler(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            then(tls)

    return handler


def either_version(answer: http2_server.Answer) -> Callable[[ssl.SSLSocket], object]:
    """Over HTTP/2 `answer`, over HTTP/1.1 a page."""

    def serve(tls: ssl.SSLSocket) -> None:
        if tls.selected_alpn_protocol() == "h2":
            http2_server.serve(tls, answer)
            return
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return serve


@pytest.mark.parametrize("how", ["stream", "connection"])
def test_http_1_1_required_is_obeyed(
    measure: Measure, show: Callable[..., ssl.SSLContext], how: str
) -> None:
    def refuse(connection: H2Connection, request: Request) -> None:
        if how == "stream":
            connection.reset_stream(request.stream, 13)
        else:
            connection.close_connection(13)

    handler = over_tls(show("h2", "http/1.1"), either_version(refuse))
    step = fetch(measure, handler, scheme="https")
    assert (step.failure, step.status, step.version) == (None, 200, "1.1")
    assert (step.detail or "").startswith("after ")


def test_a_stream_that_was_refused_is_asked_for_again(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    refused: list[int] = []

    def once(connection: H2Connection, request: Request) -> None:
        if refused:
            http2_server.page([], b"hello")(connection, request)
        else:
            refused.append(request.stream)
            connection.close_connection(0, last_stream_id=0)

    step = fetch(measure, over_tls(show("h2"), either_version(once)), scheme="https")
    assert (step.failure, step.status) == (None, 200)


def test_a_graceful_goaway_does_not_end_what_is_being_answered(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    goaway = bytes.fromhex("0000080700000000000000000100000000")

    def leave(tls: ssl.SSLSocket) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        connection.receive_data(tls.recv(65536))
        tls.sendall(connection.data_to_send() + goaway)
        connection.send_headers(1, [(":status", "200")])
        connection.send_data(1, b"all the same", end_stream=True)
        tls.sendall(connection.data_to_send())
        until_closed(tls)

    step = fetch(measure, over_tls(show("h2"), leave), scheme="https")
    assert (step.failure, step.status, step.received_bytes) == (None, 200, 12)


# --- short and odd bodies ----------------------------------------------------------------------


def test_a_short_body_that_the_server_ended_is_shown(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    def short(tls: ssl.SSLSocket) -> None:
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<title>Short</title>")
        tls.unwrap()

    step = fetch(measure, over_tls(show("http/1.1"), short), scheme="https")
    assert (step.failure, step.title, step.detail) == (None, "Short", "short")


def test_a_short_body_over_plain_http_stays_a_failure(measure: Measure) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<title>Short</title>"
    step = fetch(measure, answering(page, socket.socket.close))
    assert (step.failure, step.title) == (Failure.EOF, "Short")


@pytest.mark.parametrize("window", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
def test_both_forms_of_deflate_are_read(measure: Measure, window: int) -> None:
    packer = zlib.compressobj(wbits=window)
    body = packer.compress(b"<title>Deflated</title>") + packer.flush()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert fetch(measure, answering(head + body)).title == "Deflated"


def test_a_status_without_a_body_is_not_waited_for(measure: Measure) -> None:
    before = time.monotonic()
    step = fetch(measure, answering(b"http/1.1 204 none\r\n\r\n"))
    assert (step.failure, step.status) == (None, 204)
    assert time.monotonic() - before < 2
