"""A target is measured, confirmed, judged and encoded after any bytes from the network."""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from msgspec.structs import replace

from probe import codec
from probe.experiments import web
from probe.experiments.interface import Task
from probe.judge import judge
from probe.model import Http, Steps
from probe.net.session import NetSession, SessionSettings
from probe.net.target_net import SocketNet
from probe.runner.record_builder import fit, scrubbed
from tests import build
from tests.probe.net.servers import Authority, reset, tcp_server, udp_server
from tests.probe.net.test_dns import answer

NAME = "site.example"
PAGE = (
    b"HTTP/1.1 302 Found\r\nLocation: http://site.example/next\r\nContent-Type: text/html; "
    b"charset=windows-1251\r\nSet-Cookie: id=1; Path=/; Domain=site.example\r\n"
    b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1f\r\n<html><title>Stop</title></html>\r\n\r\n0\r\n\r\n"
)
PLAIN_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n<title>A page</title> text."
SERVER_HELLO = bytes.fromhex(
    "160303003d0200003903036a0b2f1c2d3e4f506172839405162738495a6b7c8d9eafb0c1d2e3f400c02f000011"
    "ff01000100000b000403000102002300001503030002022a"
)
LOCATIONS = [
    *("http://заблокировано.кз/", "http://x:99999/", "/стоп лист", "http://[", "//", "\\\\x\\y"),
    *("http://-a-.example/", "http://a..b/", "http://" + "a" * 300, "http://u:p@x/", "ftp://x/"),
    *("http://x:0/", "http://0x7f.1/", "http://1.2.3.4.5/", "///", "http:", "?", "http://x%00y/"),
    *("http://xn--/", "http://xn--\u00ff/", "http://\u202e.example/", "https:\\\\x", "http://x:9/"),
    *("http://[::ffff:127.0.0.1]/", "http://[fe80::1%25lo]/", "http://*.x/"),
]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, inserted, deleted or doubled."""
    mutant = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, size = chance.randrange(len(mutant) + 1), chance.choice((1, 1, 2, 8, 40))
        match chance.randrange(5):
            case 0:
                mutant[at : at + size] = chance.randbytes(size)
            case 1:
                mutant[at:at] = chance.randbytes(size)
            case 2:
                del mutant[at : at + size]
            case 3:
                mutant[at:at] = mutant[at : at + size]
            case _:
                odd = chance.choice(
                    (b"\r\n", b"\x00", b"\xff", b"%", b"://", b"99999", b"\xd0\xbf")
                )
                mutant[at:at] = odd
    return bytes(mutant)


def http2() -> bytes:
    """The frames of a response to the first request of a client."""
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    asked = [(":method", "GET"), (":authority", NAME), (":scheme", "https"), (":path", "/")]
    client.send_headers(1, asked, end_stream=True)
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    server.send_headers(1, [(":status", "200"), ("location", "/x"), ("set-cookie", "a=1")])
    server.send_data(1, b"<title>Two</title>", end_stream=True)
    return server.data_to_send()


@dataclass
class Stranger:
    """Servers whose every answer is made by `reply`, and a resolver of the same kind."""

    chance: random.Random
    reply: Callable[[bytes], bytes]
    context: ssl.SSLContext | None = None
    fuzzes_names: bool = False
    requests: list[bytes] = field(default_factory=list)

    def serve(self, sock: socket.socket) -> None:
        if self.context is None:
            self._answer(sock)
            return
        with self.context.wrap_socket(sock, server_side=True) as tls:
            self._answer(tls)

    def _answer(self, sock: socket.socket) -> None:
        asked = sock.recv(65536)
        self.requests.append(asked)
        sock.sendall(self.reply(asked))
        if self.chance.random() < 0.2:
            reset(sock)

    def resolve(self, asked: bytes, send: Callable[[bytes], None]) -> None:
        honest = answer(asked, "127.0.0.1")
        if self.fuzzes_names:
            send(asked[:2] + mutate(honest, self.chance)[2:])
        send(honest)


@dataclass(frozen=True)
class Impatient:
    """A net that pauses for no address."""

    net: SocketNet

    async def pause(self, _: float) -> None:
        return

    def __getattr__(self, name: str) -> object:
        return getattr(self.net, name)


def measured(stranger: Stranger, lab: SessionSettings, scheme: str) -> Steps:
    with ExitStack() as stack:
        port = stack.enter_context(tcp_server(stranger.serve))
        resolver = stack.enter_context(udp_server(stranger.resolve))
        settings = replace(lab, resolver=("127.0.0.1", resolver), per_address_spacing=0.0)
        task = Task(f"{scheme}://{NAME}:{port}/", seed=1, harmless=("www.harmless.example",))

        async def both() -> Steps:
            async with NetSession(settings) as session:
                net = Impatient(session.net(monotonic()))
                seen = await web.measure(task, net)  # type: ignore[arg-type]
                if web.needs_confirmation(task, seen):
                    seen = await web.confirm(task, net, seen)  # type: ignore[arg-type]
                return seen

        return asyncio.run(both())


def survives(stranger: Stranger, lab: SessionSettings, scheme: str = "http") -> Steps:
    """The steps, after all that happens to a record afterwards."""
    steps = measured(stranger, lab, scheme)
    assert steps
    made = build.record(url=f"{scheme}://{NAME}/")
    made = fit(scrubbed(replace(made, steps=steps)))  # in this order, as a run does
    made = replace(made, verdict=judge(made))
    assert codec.decode(codec.encode(made)).steps
    return steps


@pytest.fixture
def lab(tmp_path: Path) -> SessionSettings:
    return SessionSettings(lab=True, ca_file=AUTHORITY.write(tmp_path), ipv6=False)


AUTHORITY = Authority()
SEEDS = range(4)


@pytest.fixture
def contexts(tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    return lambda *alpn: AUTHORITY.leaf(NAME).context(tmp_path, alpn=alpn)


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location(lab: SessionSettings, location: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
    raw = location.encode("utf-8" if len(location) % 2 else "cp1251", "replace")
    steps = survives(Stranger(random.Random(1), lambda _: head + raw + b"\r\n\r\n"), lab)
    assert any(isinstance(s, Http) and s.status == 302 for s in steps)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("page", [PAGE, PLAIN_PAGE], ids=["redirect", "page"])
def test_a_response(lab: SessionSettings, seed: int, page: bytes) -> None:
    chance = random.Random(seed)
    survives(Stranger(chance, lambda _: mutate(page, chance)), lab)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_response_over_tls(
    lab: SessionSettings, contexts: Callable[..., ssl.SSLContext], seed: int
) -> None:
    chance = random.Random(seed)
    survives(Stranger(chance, lambda _: mutate(PAGE, chance), contexts("http/1.1")), lab, "https")


@pytest.mark.parametrize("seed", SEEDS)
def test_http2_frames(
    lab: SessionSettings, contexts: Callable[..., ssl.SSLContext], seed: int
) -> None:
    chance = random.Random(seed)
    stranger = Stranger(chance, lambda _: mutate(http2(), chance), contexts("h2"))
    survives(stranger, lab, "https")


@pytest.mark.parametrize("seed", SEEDS)
def test_tls_records(lab: SessionSettings, seed: int) -> None:
    chance = random.Random(seed)
    survives(Stranger(chance, lambda _: mutate(SERVER_HELLO, chance)), lab, "https")


@pytest.mark.parametrize("seed", SEEDS)
def test_dns_replies(lab: SessionSettings, seed: int) -> None:
    chance = random.Random(seed)
    survives(Stranger(chance, lambda _: PLAIN_PAGE, fuzzes_names=True), lab)


def test_a_site_that_redirects_until_its_cookie_returns(lab: SessionSettings) -> None:
    def reply(asked: bytes) -> bytes:
        if b"\r\nCookie: seen=1\r\n" in asked:
            return PLAIN_PAGE
        head = b"HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: seen=1; Path=/\r\n"
        return head + b"Content-Length: 0\r\n\r\n"

    stranger = Stranger(random.Random(2), reply)
    pages = [s for s in survives(stranger, lab) if isinstance(s, Http) and s.try_ == 1]
    assert [s.status for s in pages if s.role == "target"][:2] == [302, 200]
