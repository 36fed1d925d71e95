"""Fetches from well-behaved and misbehaving servers: what was received is kept."""

import gzip
import hashlib
import random
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.connection import H2Connection

from probe.experiments.operations import HttpRequest
from probe.failure import Failure
from probe.model import Http, Steps, Tcp, Tls
from probe.net.browser_request import CHROME
from probe.net.further import FURTHER_CAP, LONG_CAP, FurtherReading
from probe.net.session import BODY_CAP, SessionSettings
from probe.net.stream import LEAST_WINDOW
from probe.net.target_net import SocketNet
from tests.probe.net import http2_server
from tests.probe.net.conftest import Measure
from tests.probe.net.http2_server import Request
from tests.probe.net.servers import Authority, Handler, reset, tcp_server, until_closed

NAME = "site.example"
OK = b"HTTP/1.1 200 OK\r\n"


def responding(*pieces: bytes, then: Handler = socket.socket.close, pause: float = 0.0) -> Handler:
    """A handler that reads the request, sends these pieces, and ends with `then`."""

    def handler(sock: socket.socket) -> None:
        sock.recv(65536)
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause)
        if then is socket.socket.close and isinstance(sock, ssl.SSLSocket):
            sock.unwrap()
        else:
            then(sock)

    return handler


def get(measure: Measure, handler: Handler, *, limit: float | None = None, path: str = "/") -> Http:
    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            return await net.http(
                HttpRequest(f"http://{NAME}:{port}{path}", "127.0.0.1", limit=limit)
            )

        tcp, step = measure(ask)
    assert isinstance(tcp, Tcp)
    assert isinstance(step, Http)
    return step


def test_a_plain_page_has_all_fields(measure: Measure) -> None:
    page = b"<html><title> A \n page </title><a href='//cdn.example/x'>"
    head = b"Server: nginx\r\nSet-Cookie: id=1\r\nCF-Ray: 8f-ALA\r\nContent-Length: %d\r\n\r\n"
    step = get(measure, responding(OK + head % len(page), page))
    assert (step.failure, step.status, step.version, step.complete) == (None, 200, "1.1", True)
    assert step.headers == {
        "server": "nginx",
        "cf-ray": "present",
        "content-length": str(len(page)),
    }
    assert (step.title, step.links) == ("A page", ("cdn.example",))
    assert step.received_bytes == step.declared_bytes == len(page)
    assert step.body is not None
    assert b64decode(step.body) == page
    assert (step.proven, step.malformed) == (False, False)
    assert step.bytes_in > len(page)
    assert step.host.startswith(f"{NAME}:")


def test_the_request_looks_like_a_browsers(measure: Measure) -> None:
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        received.append(sock.recv(65536))
        sock.sendall(OK + b"Content-Length: 0\r\n\r\n")

    get(measure, handler, path="/a%20b?q=1")
    port = received[0].partition(b"Host: ")[2].partition(b"\r\n")[0].partition(b":")[2].decode()
    assert received[0].decode() == (
        "GET /a%20b?q=1 HTTP/1.1\r\n"
        f"Host: {NAME}:{port}\r\n"
        "Connection: keep-alive\r\n"
        "Upgrade-Insecure-Requests: 1\r\n"
        "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like"
        f" Gecko) Chrome/{CHROME}.0.0.0 Safari/537.36\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,"
        "image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
        "Accept-Encoding: gzip, deflate\r\n"
        "Accept-Language: ru,kk;q=0.9,en;q=0.8\r\n"
        "\r\n"
    )


def test_a_page_without_a_status_line_is_kept(measure: Measure) -> None:
    page = b"<html><title>Access denied</title></html>"
    step = get(measure, responding(page))
    assert (step.failure, step.status, step.malformed) == (None, None, True)
    assert step.title == "Access denied"
    assert step.body is not None
    assert b64decode(step.body) == page


@pytest.mark.parametrize(
    "head",
    [
        b"http/1.1 200 ok\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        b"HTTP/1.1 200 OK\r\nServer : odd\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: \x00\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_invalid_heads_are_parsed_as_in_browsers(measure: Measure, head: bytes) -> None:
    step = get(measure, responding(head, b"hello"))
    assert (step.failure, step.status, step.malformed) == (None, 200, False)
    assert step.received_bytes == 5


def test_a_lenient_response_on_an_open_connection_costs_no_timeout(measure: Measure) -> None:
    head = b"http/1.1 200 ok\r\nContent-Length: 5\r\n\r\n"
    step = get(measure, responding(head, b"hello", then=until_closed), limit=2.0)
    assert (step.failure, step.complete) == (None, True)
    assert step.elapsed < 1


def test_a_fin_without_a_response(measure: Measure) -> None:
    step = get(measure, responding())
    assert (step.failure, step.status, step.bytes_in) == (Failure.EOF, None, 0)
    assert not step.malformed


def test_a_reset_without_a_response(measure: Measure) -> None:
    step = get(measure, responding(then=reset))
    assert (step.failure, step.status, step.bytes_in) == (Failure.RESET, None, 0)


def test_no_response_is_a_timeout(measure: Measure) -> None:
    step = get(measure, until_closed, limit=0.3)
    assert (step.failure, step.status, step.limit) == (Failure.TIMEOUT, None, 0.3)


def test_a_truncated_page_keeps_what_was_received(measure: Measure) -> None:
    step = get(measure, responding(OK + b"Content-Length: 100\r\n\r\n", b"<title>half</title>"))
    assert (step.failure, step.status, step.complete) == (Failure.EOF, 200, False)
    assert (step.received_bytes, step.declared_bytes, step.title) == (19, 100, "half")


def test_a_reset_in_the_body_keeps_what_was_received(measure: Measure) -> None:
    pieces = (OK + b"Content-Length: 100\r\n\r\n", b"half")
    step = get(measure, responding(*pieces, then=reset, pause=0.05))
    assert (step.failure, step.status, step.complete) == (Failure.RESET, 200, False)
    assert step.received_bytes == 4


def test_a_reset_after_an_injected_page_keeps_the_page(measure: Measure) -> None:
    step = get(measure, responding(b"<html>no", then=reset, pause=0.05))
    assert (step.failure, step.malformed, step.received_bytes) == (Failure.RESET, True, 8)
    assert not step.complete


def test_a_body_in_chunks_is_whole_at_the_last_one(measure: Measure) -> None:
    chunks = (b"5\r\nhello\r\n", b"6\r\n world\r\n", b"0\r\n\r\n")
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    step = get(measure, responding(head, *chunks, then=until_closed))
    assert (step.failure, step.complete, step.received_bytes) == (None, True, 11)


def test_a_body_in_broken_chunks_is_kept_up_to_the_break(measure: Measure) -> None:
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    step = get(measure, responding(head, b"5\r\nhello\r\n", b"zz\r\nwhat"))
    assert (step.status, step.complete, step.received_bytes) == (200, False, 5)
    assert (step.failure, step.detail) == (Failure.EOF, "framing")


def test_a_body_until_the_end_of_the_connection(measure: Measure) -> None:
    step = get(measure, responding(b"HTTP/1.0 200 OK\r\n\r\n", b"until", b" the end"))
    assert (step.failure, step.complete, step.received_bytes) == (None, True, 13)


def test_the_cap_ends_the_reading(measure: Measure) -> None:
    def endless(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"\r\n")
        while True:
            sock.sendall(b"x" * 65536)

    step = get(measure, endless)
    assert (step.failure, step.complete) == (None, True)
    assert BODY_CAP <= step.received_bytes < LONG_CAP + 65536


def test_a_slow_page_is_read_further_but_compared_by_its_first_bytes(measure: Measure) -> None:
    page = random.Random(1).randbytes(60_000)

    def slowly(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"\r\n" + page[:8000])
        time.sleep(2.1)
        sock.sendall(page[8000:])
        sock.shutdown(socket.SHUT_WR)

    step = get(measure, slowly)
    assert (step.failure, step.complete, step.received_bytes) == (None, True, len(page))
    assert step.sha256 == hashlib.sha256(page[:BODY_CAP]).hexdigest()


def test_a_few_pages_are_read_further_each_time(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What freezes after the usual cap is seen, and the hash is of the same first bytes."""
    monkeypatch.setattr("probe.net.timeouts.AdaptiveTimeouts.idle_limit", lambda _: 0.3)
    length, frozen = 200_000, 30_000
    head = OK + b"Content-Length: %d\r\n\r\n" % length
    whole = get(measure, responding(head, b"x" * length))
    assert (whole.failure, whole.complete) == (None, True)
    assert FURTHER_CAP <= whole.received_bytes < FURTHER_CAP + 65536
    step = get(measure, responding(head, b"x" * frozen, then=until_closed))
    assert (step.failure, step.complete) == (Failure.TIMEOUT, False)
    assert (step.received_bytes, step.sha256) == (frozen, whole.sha256)


def test_a_long_page_is_read_beyond_the_burst_of_a_policer(measure: Measure) -> None:
    """Its later half is timed apart, and the hash is of the same first bytes."""
    page = random.Random(1).randbytes(LONG_CAP * 2)

    def slower_later(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(page))
        sock.sendall(page[: LONG_CAP * 3 // 4])
        time.sleep(0.4)
        sock.sendall(page[LONG_CAP * 3 // 4 : LONG_CAP])
        until_closed(sock)

    step = get(measure, slower_later)
    assert (step.failure, step.complete) == (None, True)
    assert step.received_bytes >= LONG_CAP
    assert step.later_bytes is not None
    assert step.later_arriving is not None
    assert LONG_CAP // 4 <= step.later_bytes <= LONG_CAP // 2 + 4096
    assert step.later_arriving >= 0.1
    assert step.sha256 == hashlib.sha256(page[:BODY_CAP]).hexdigest()


def test_only_a_few_long_pages_are_read_to_their_later_half() -> None:
    further = FurtherReading(3, 1, 1)
    assert not further.allows_long("not read further")
    for url in ("first", "second", "third"):
        assert further.allows(url)
    assert [further.allows_long(url) for url in ("first", "second", "first")] == [True, False, True]
    further.note("first", whole=True)  # it ended before its later half
    assert further.allows_long("second")
    further.note("second", whole=True, long=True)
    assert not further.allows_long("third")


def test_only_so_many_pages_are_read_further() -> None:
    further = FurtherReading(2)
    assert [further.allows(url) for url in "abacb"] == [True, True, True, False, True]
    further.note("a", whole=True)
    further.note("b", whole=False)
    further.note("b", whole=True)  # the same page under another name
    assert [further.allows(url) for url in "abc"] == [False, True, False]


def test_a_few_pages_more_are_read_further_where_they_come_slowly() -> None:
    further = FurtherReading(1, 2)
    quick, slow = (0.05, 0.04), (0.3, 0.04)
    assert further.allows("first", *quick)
    assert not further.allows("quick", *quick)
    assert not further.allows("far", 0.45, 0.2)
    assert further.allows("slow", *slow)
    assert further.allows("slow", *quick)  # the same page again
    assert further.allows("slow too", *slow)
    assert not further.allows("one too many", *slow)
    further.note("slow", whole=True)
    assert further.allows("slow", *slow)  # its rate is what is in question


@pytest.mark.parametrize(("pause", "further"), [(0.5, True), (0.0, False)])
def test_a_page_that_comes_slowly_is_read_until_its_rate_shows(
    measure: Measure,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
    further: bool,  # noqa: FBT001 - a column of the table
) -> None:
    monkeypatch.setattr("probe.net.session.FurtherReading", lambda *_: FurtherReading(0, 1))
    page = random.Random(1).randbytes(100_000)

    def in_parts(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"\r\n")
        for start in range(0, 12_000, 2000):
            sock.sendall(page[start : start + 2000])
            time.sleep(pause / 6)
        sock.sendall(page[12_000:])
        sock.shutdown(socket.SHUT_WR)

    step = get(measure, in_parts)
    assert (step.received_bytes >= FURTHER_CAP) is further
    assert step.sha256 == hashlib.sha256(page[:BODY_CAP]).hexdigest()


def test_silence_until_a_long_limit_is_no_slow_page(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.net.timeouts.AdaptiveTimeouts.idle_limit", lambda _: 0.3)
    pieces = (OK + b"Content-Length: 9000\r\n\r\n", b"x" * 5000)
    step = get(measure, responding(*pieces, then=until_closed), limit=0.8)
    assert (step.failure, step.received_bytes, step.complete) == (Failure.TIMEOUT, 5000, False)


def test_a_bomb_is_bounded(measure: Measure) -> None:
    bomb = gzip.compress(b"\0" * 15_000_000)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    step = get(measure, responding(head, bomb))
    assert (step.failure, step.complete, step.received_bytes) == (None, True, len(bomb))


def test_gzip_is_unpacked_for_the_title(measure: Measure) -> None:
    packed = gzip.compress(b"<title>packed</title>")
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    step = get(measure, responding(head, packed))
    assert (step.title, step.received_bytes) == ("packed", len(packed))


def test_huge_headers_do_not_hurt(measure: Measure) -> None:
    head = OK + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(120))
    step = get(measure, responding(head + b"\r\n", b"<title>big</title>"))
    assert step.failure is None
    assert step.malformed or step.title == "big"


def test_a_slow_response_is_cut_without_a_failure(measure: Measure) -> None:
    def drip(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"Content-Length: 1000\r\n\r\n")
        while True:
            sock.sendall(b"x")
            time.sleep(0.05)

    step = get(measure, drip, limit=0.5)
    assert (step.failure, step.status, step.complete) == (None, 200, False)
    assert 3 < step.received_bytes < 20
    assert step.peak_gap is not None
    assert 0.03 < step.peak_gap < 0.4
    assert step.elapsed < 1


def test_a_stall_is_a_failure_and_keeps_what_was_received(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.net.timeouts.AdaptiveTimeouts.idle_limit", lambda _: 0.3)
    pieces = (OK + b"Content-Length: 1000\r\n\r\n", b"x" * 10)
    step = get(measure, responding(*pieces, then=until_closed))
    assert (step.failure, step.status, step.received_bytes) == (Failure.TIMEOUT, 200, 10)
    assert 0.29 < step.limit <= step.elapsed < 1


def test_a_redirect_is_not_followed_and_made_absolute(measure: Measure) -> None:
    step = get(measure, responding(b"HTTP/1.1 302 Found\r\nLocation: ../x\r\n\r\n"), path="/a/b/c")
    assert step.status == 302
    assert step.location is not None
    assert step.location.startswith(f"http://{NAME}:")
    assert step.location.endswith("/a/x")


def test_interim_responses_are_skipped(measure: Measure) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    step = get(measure, responding(early + OK + b"Content-Length: 2\r\n\r\nok"))
    assert (step.status, step.received_bytes) == (200, 2)


def test_endless_interim_responses_are_stopped(measure: Measure) -> None:
    def endless(sock: socket.socket) -> None:
        sock.recv(65536)
        while True:
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 500)

    step = get(measure, endless)
    assert (step.failure, step.detail, step.status) == (Failure.EOF, "endless", None)
    assert step.bytes_in < 1 << 20


# --- over TLS ---


@pytest.fixture
def show(authority: Authority, tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    def context(*alpn: str, name: str = NAME) -> ssl.SSLContext:
        return authority.leaf(name).context(tmp_path, alpn=alpn)

    return context


def over_tls(context: ssl.SSLContext, then: Callable[[ssl.SSLSocket], object]) -> Handler:
    def handler(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            then(tls)

    return handler


def gets(
    measure: Measure,
    handler: Handler,
    *,
    host: str | None = None,
    sni: str | None = None,
    path: str | None = None,
) -> Steps:
    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            url = f"https://{NAME}:{port}/"
            return await net.http(HttpRequest(url, "127.0.0.1", host=host, sni=sni, path=path))

        return measure(ask)


def last(steps: Steps) -> Http:
    step = steps[-1]
    assert isinstance(step, Http)
    return step


def speaks_http2(context: ssl.SSLContext, answer: http2_server.Answer) -> Handler:
    return over_tls(context, lambda tls: http2_server.serve(tls, answer))


def test_https_over_http1(measure: Measure, show: Callable[..., ssl.SSLContext]) -> None:
    handler = over_tls(show(), responding(OK + b"Content-Length: 2\r\n\r\nok"))
    steps = gets(measure, handler)
    assert [type(step) for step in steps] == [Tcp, Tls, Http]
    step = last(steps)
    assert (step.failure, step.proven, step.body, step.version) == (None, True, None, "1.1")
    assert step.received_bytes == 2


def test_https_over_http2(measure: Measure, show: Callable[..., ssl.SSLContext]) -> None:
    asked: list[dict[str, str]] = []

    def answer(connection: H2Connection, request: Request) -> None:
        asked.append(request.headers)
        http2_server.page([("server", "two")], b"<title>2</title>")(connection, request)

    step = last(gets(measure, speaks_http2(show("h2"), answer)))
    assert (step.failure, step.status, step.version, step.title) == (None, 200, "2", "2")
    assert (step.complete, step.proven, step.headers["server"]) == (True, True, "two")
    assert asked[0][":path"] == "/"
    assert asked[0][":authority"].startswith(NAME)


def test_a_large_page_over_http2(
    measure: Measure, show: Callable[..., ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.net.further.FurtherReading.allows", lambda *_: False)

    def answer(connection: H2Connection, request: Request) -> None:
        connection.send_headers(request.stream, [(":status", "200")])
        allowed.append(connection.local_flow_control_window(request.stream))
        for _ in range(BODY_CAP // 1024):
            connection.send_data(request.stream, b"x" * 1024)

    allowed: list[int] = []
    step = last(gets(measure, speaks_http2(show("h2"), answer)))
    assert BODY_CAP <= allowed[0] < BODY_CAP + 4096
    assert (step.failure, step.complete, step.received_bytes) == (None, True, BODY_CAP)


def test_endless_empty_frames_are_stopped(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    def flood(tls: ssl.SSLSocket) -> None:
        tls.recv(65536)
        tls.sendall(bytes.fromhex("000000040000000000"))
        while True:  # PRIORITY frames, which mean nothing any more
            tls.sendall(bytes.fromhex("0000050200000000030000000010") * 1000)

    step = last(gets(measure, over_tls(show("h2"), flood)))
    assert step.failure is Failure.EOF
    assert step.bytes_in < 2 << 20


@pytest.mark.parametrize("how", ["reset", "goaway", "nonsense"])
def test_http2_that_breaks_off(
    measure: Measure, show: Callable[..., ssl.SSLContext], how: str
) -> None:
    def answer(connection: H2Connection, request: Request) -> None:
        connection.send_headers(request.stream, [(":status", "200")])
        if how == "reset":
            connection.reset_stream(request.stream, 11)
        else:
            connection.close_connection(11)

    handler = speaks_http2(show("h2"), answer)
    if how == "nonsense":
        handler = over_tls(show("h2"), responding(b"<html>not two at all</html>" * 4))
    step = last(gets(measure, handler))
    assert (step.failure, step.complete) == (Failure.EOF, False)
    assert step.detail == {"reset": "rst_stream 11", "goaway": "goaway 11"}.get(how, step.detail)
    assert step.malformed == (how == "nonsense")


def test_the_names_can_be_replaced(measure: Measure, show: Callable[..., ssl.SSLContext]) -> None:
    received: list[bytes] = []

    def note(tls: ssl.SSLSocket) -> None:
        received.append(tls.recv(65536))
        tls.sendall(OK + b"Content-Length: 0\r\n\r\n")

    steps = gets(measure, over_tls(show(), note), host="other.example", sni="x.example", path="/y")
    tls = steps[1]
    assert isinstance(tls, Tls)
    assert tls.sni == "x.example"
    assert last(steps).proven, "what must be proven is the URL's own name"
    assert received[0].startswith(b"GET /y HTTP/1.1\r\n")
    assert b"host: other.example\r\n" in received[0].lower()


def test_an_unproven_page_is_fetched_and_kept(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    handler = over_tls(show(name="other.example"), responding(OK + b"Content-Length: 2\r\n\r\nno"))
    step = last(gets(measure, handler))
    assert (step.failure, step.status, step.proven) == (None, 200, False)
    assert step.body is not None
    assert b64decode(step.body) == b"no"


def test_a_failed_handshake_ends_the_steps(measure: Measure) -> None:
    steps = gets(measure, responding(then=reset))
    assert [type(step) for step in steps] == [Tcp, Tls]


def test_outside_a_lab_no_private_address_is_connected_to(measure: Measure) -> None:
    def never(sock: socket.socket) -> None:
        raise AssertionError("dialled")

    async def ask(net: SocketNet) -> Steps:
        return await net.http(HttpRequest(f"http://{NAME}:{port}/", "127.0.0.1"))

    with tcp_server(never) as port:
        settings = SessionSettings(resolver=("127.0.0.1", 1), ipv6=False)
        steps = measure(ask, settings)
    (step,) = steps
    assert step.failure is Failure.NETWORK_UNREACHABLE
    assert step.detail == "not dialled: not a public address"


def in_pieces(
    context: ssl.SSLContext, page: bytes, pause: float, most: int | None = None
) -> Handler:
    """Serves a page over TLS whose records arrive in pieces, with pauses between them.

    `most`: How many bytes of them arrive at all.
    """

    def handler(sock: socket.socket) -> None:
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(arrived, leaving, server_side=True)

        def step(act: Callable[[], object]) -> None:
            while True:
                try:
                    act()
                except ssl.SSLWantReadError:
                    sock.sendall(leaving.read())
                    arrived.write(sock.recv(65536))
                else:
                    return

        step(tls.do_handshake)
        step(lambda: tls.read(65536))
        tls.write(page)
        raw = leaving.read()[:most]
        for at in range(0, len(raw), 3000):
            sock.sendall(raw[at : at + 3000])
            time.sleep(pause)
        until_closed(sock)

    return handler


def test_the_time_in_which_a_page_came_is_that_of_its_packets_not_of_its_records(
    measure: Measure, show: Callable[..., ssl.SSLContext]
) -> None:
    """A record of 16 KiB can be read only when all of it is there."""
    body = b"x" * 15_000
    page = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    step = last(gets(measure, in_pieces(show("http/1.1"), page, 0.1)))
    assert step.received_bytes == len(body)
    assert step.arriving is not None
    assert step.arriving >= 0.25  # five pauses, less the longest, and what a packet may wait
    assert (step.peak_gap or 0.0) < step.arriving


def test_a_record_that_still_arrives_is_slow_and_not_silent(
    measure: Measure, show: Callable[..., ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A steady page had seemed to freeze where one record took longer than the limit of silence."""
    monkeypatch.setattr("probe.net.timeouts.AdaptiveTimeouts.idle_limit", lambda _: 1.5)
    body = b"x" * 15_000
    page = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    step = last(gets(measure, in_pieces(show("http/1.1"), page, 0.4)))
    assert (step.failure, step.complete, step.received_bytes) == (None, True, len(body))
    assert step.elapsed > 1.5


def test_a_record_that_stops_midway_is_silent(
    measure: Measure, show: Callable[..., ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.net.timeouts.AdaptiveTimeouts.idle_limit", lambda _: 0.5)
    page = OK + b"Content-Length: 30000\r\n\r\n" + b"x" * 15_000
    step = last(gets(measure, in_pieces(show("http/1.1"), page, 0.0, most=9000)))
    assert (step.failure, step.complete, step.received_bytes) == (Failure.TIMEOUT, False, 0)
    assert step.bytes_in >= 9000
    assert 0.5 <= step.limit <= step.elapsed


def test_the_window_of_http1_lets_in_the_page_and_the_rest_of_a_record(
    measure: Measure, show: Callable[..., ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes of the receive window: none lets in much that will not be read."""
    sizes: list[int] = []
    monkeypatch.setattr("probe.net.stream.Stream.limit_window", lambda _, size: sizes.append(size))
    monkeypatch.setattr("probe.net.further.FurtherReading.allows", lambda *_: False)
    page = OK + b"Content-Length: 200000\r\n\r\n" + bytes(200_000)  # in records of 16 KiB
    step = last(gets(measure, over_tls(show(), responding(page))))
    assert (step.complete, step.version) == (True, "1.1")
    assert sizes[0] == LEAST_WINDOW  # what the connection allowed at first is enough for most
    assert all(LEAST_WINDOW <= size <= BODY_CAP for size in sizes[:-1])
    assert min(sizes[1:-1], default=0) <= BODY_CAP - 16_000 + LEAST_WINDOW
