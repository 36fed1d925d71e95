"""Targets survive whatever strangers write into headers, answers and datagrams."""

import asyncio
import random
import struct
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.experiments import quic, web
from probe.experiments.interface import Experiment, Resolver, Task
from probe.experiments.operations import QuicHandshake
from probe.judge import judge
from probe.model import Dns, Http, Quic, Steps
from probe.net.session import NetSession, SessionSettings
from probe.runner.record_builder import fit, scrubbed
from tests import build
from tests.probe.experiments.test_web_fuzz import (
    AUTHORITY,
    NAME,
    PLAIN_PAGE,
    Impatient,
    Stranger,
    mutate,
    survives,
)
from tests.probe.net.servers import tcp_server, udp_server

EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = (
    *("Location", "Set-Cookie", "Content-Type", "Content-Encoding", "Transfer-Encoding"),
    *("Content-Length", "Server", "Alt-Svc", "Refresh", "Connection", "Via", "X-\u00ff"),
)
VALUES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            *(b"gzip", b"br, gzip, deflate, zstd", b"chunked", b"identity, chunked", b"-1"),
            *(b"99999999999999999999", b"0x10", b"text/html; charset=utf-7", b'h3=":99999"'),
            *(b"a=b; Domain=.; Path=\x00; Expires=x", b"=; ; =;;", b"\xff\xfe", b"x" * 9000),
            b"text/html; charset=\xd0\xbf",
        ]
    ),
)
HEADERS = st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=12)
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from([b"5", b"0005", b"5;x=y", b"-5", b"0", b"FFFFFFFFF", b" 5", b"5\x00", b""]),
        st.binary(max_size=30),
    ),
    max_size=6,
)
STATUS = st.sampled_from([b"200", b"302", b"099", b"999", b"1000", b"100", b"204", b"xx", b""])


@pytest.fixture
def lab(tmp_path: Path) -> SessionSettings:
    return SessionSettings(lab=True, ca_file=AUTHORITY.write(tmp_path), ipv6=False)


@EXAMPLES
@given(STATUS, HEADERS, CHUNKS)
def test_headers_and_chunks(
    lab: SessionSettings,
    status: bytes,
    headers: list[tuple[str, bytes]],
    chunks: list[tuple[bytes, bytes]],
) -> None:
    lines = [name.encode("latin-1") + b": " + value for name, value in headers]
    body = b"".join(size + b"\r\n" + data + b"\r\n" for size, data in chunks)
    page = b"\r\n".join([b"HTTP/1.1 " + status + b" \xd0\xbf", *lines, b"", body])
    steps = survives(Stranger(random.Random(1), lambda _: page), lab)
    assert any(isinstance(step, Http) for step in steps)


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"\xc0\x0c", b"\x00", b"\xc0\xff", b"\x3f" + b"a" * 63 + b"\x00", b"\xc0"]
        ),
        st.sampled_from([1, 2, 5, 6, 28, 41, 43, 46, 64, 65, 255, 65535]),
        st.sampled_from([1, 255, 4096, 0]),
        st.binary(max_size=40),
    ),
    max_size=8,
)


@EXAMPLES
@given(st.integers(0, 65535), RECORDS, st.integers(0, 9))
def test_answers_of_any_records(
    lab: SessionSettings, flags: int, records: list[tuple[bytes, int, int, bytes]], claimed: int
) -> None:
    made = b"".join(
        name + struct.pack("!HHIH", type_, class_, 300, len(data)) + data
        for name, type_, class_, data in records
    )

    class Resolving(Stranger):
        def resolve(self, asked: bytes, send: Callable[[bytes], None]) -> None:
            question = asked[12 : asked.index(b"\0", 12) + 5]
            head = asked[:2] + struct.pack("!HHHHH", flags | 0x8000, 1, claimed, 0, 0)
            send(head + question + made)
            super().resolve(asked, send)

    steps = survives(Resolving(random.Random(1), lambda _: PLAIN_PAGE), lab)
    assert any(isinstance(step, Dns) and step.replies for step in steps)


def kept(steps: Steps, experiment: str) -> Steps:
    """The steps, after all that happens to a record afterwards."""
    made = replace(build.record(url=f"https://{NAME}/"), steps=steps, experiment=experiment)
    made = fit(scrubbed(made))
    return codec.decode(codec.encode(replace(made, verdict=judge(made)))).steps


def both(experiment: Experiment, task: Task, used: SessionSettings) -> Steps:
    """The measurement and the confirmation."""

    async def run() -> Steps:
        async with NetSession(used) as session:
            net = Impatient(session.net(monotonic()))
            seen = await experiment.measure(task, net)  # type: ignore[arg-type]
            assert experiment.confirm is not None
            return await experiment.confirm(task, net, seen)  # type: ignore[arg-type]

    return kept(asyncio.run(run()), experiment.name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
def test_an_encrypted_resolver(lab: SessionSettings, tmp_path: Path, seed: int, alpn: str) -> None:
    chance = random.Random(seed)
    reply = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 20\r\n\r\n"
        + bytes(20)
    )
    context = AUTHORITY.leaf("dns.example").context(tmp_path, alpn=(alpn,))
    stranger = Stranger(chance, lambda _: mutate(reply, chance), context)
    site = Stranger(chance, lambda _: PLAIN_PAGE)
    with ExitStack() as stack:
        secure = stack.enter_context(tcp_server(stranger.serve))
        port = stack.enter_context(tcp_server(site.serve))
        plain = stack.enter_context(udp_server(site.resolve))
        doh = Resolver("127.0.0.1", "127.0.0.1", secure, "doh", "dns.example")
        used = replace(lab, resolver=("127.0.0.1", plain), public=(doh,))
        task = Task(f"http://{NAME}:{port}/", seed=1, harmless=("www.harmless.example",))
        steps = both(web.EXPERIMENT, task, used)
    asked = [s for s in steps if isinstance(s, Dns) and s.transport == "doh"]
    assert asked


@EXAMPLES
@given(st.lists(st.binary(max_size=1300), max_size=4), st.booleans())
def test_datagrams_in_answer_to_quic(
    lab: SessionSettings,
    datagrams: list[bytes],
    echoed: bool,  # noqa: FBT001 - generated
) -> None:
    pytest.importorskip("aioquic", reason="the extra [quic] is not installed")

    def reply(asked: bytes, send: Callable[[bytes], None]) -> None:
        for one in datagrams:
            # As a long header for this connection, or as it is.
            send((asked[:6] + one) if echoed else one)

    async def run(port: int) -> Quic:
        async with NetSession(lab) as session:
            net = session.net(monotonic())
            return await net.quic(QuicHandshake("127.0.0.1", port, NAME, limit=0.3))

    with udp_server(reply) as port:
        step = asyncio.run(run(port))
    assert kept((step,), quic.EXPERIMENT.name)
