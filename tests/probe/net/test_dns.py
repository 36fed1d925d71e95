"""Queries over UDP and TCP: every reply is kept, every failure is classified."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from msgspec import structs
from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Dns
from probe.net.dns_message import encode_name
from probe.net.session import SessionSettings
from probe.net.target_net import SocketNet
from probe.net.timeouts import AdaptiveTimeouts
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server, udp_server

NAME = "site.example"
Send = Callable[[bytes], None]


def answer(
    asked: bytes, *addresses: str, rcode: int = 0, flags: int = 0x8180, alias: str | None = None
) -> bytes:
    """A reply to the question in `asked`."""
    records = [] if alias is None else [(5, encode_name(alias))]
    records += [(1, socket.inet_aton(address)) for address in addresses]
    head = asked[:2] + struct.pack("!HHHHH", flags | rcode, 1, len(records), 0, 0)
    body = b"".join(
        b"\xc0\x0c" + struct.pack("!HHiH", kind, 1, 60, len(data)) + data for kind, data in records
    )
    return head + asked[12:] + body


def ask(measure: Measure, port: int, *, name: str = NAME, limit: float | None = 1.0) -> Dns:
    async def one(net: SocketNet) -> Dns:
        resolver = Resolver("system", "127.0.0.1", port)
        return await net.dns(DnsQuery(name, resolver, limit=limit))

    return measure(one)


def test_one_answer(measure: Measure) -> None:
    with udp_server(lambda data, send: send(answer(data, "192.0.2.1", "192.0.2.2"))) as port:
        step = ask(measure, port)
    assert (step.failure, step.addresses) == (None, ("192.0.2.1", "192.0.2.2"))
    assert len(step.replies) == 1
    assert step.replies[0].ttl == (60, 60)
    assert step.replies[0].ip_ttl == 64
    assert step.elapsed < 0.3, "listening on is not part of how long the answer took"


@pytest.mark.parametrize("name", ["it's.example", "a$b.example", "A@b.example", "a b.example"])
def test_a_name_with_odd_characters_is_answered_like_any_other(measure: Measure, name: str) -> None:
    with udp_server(lambda data, send: send(answer(data, "192.0.2.1"))) as port:
        step = ask(measure, port, name=name)
    assert (step.failure, step.addresses) == (None, ("192.0.2.1",))


def test_a_second_answer_is_kept_in_its_order(measure: Measure) -> None:
    def twice(data: bytes, send: Send) -> None:
        send(answer(data, "198.51.100.1"))
        time.sleep(0.15)
        send(answer(data, "192.0.2.1"))

    with udp_server(twice) as port:
        step = ask(measure, port)
    assert [reply.answers for reply in step.replies] == [("198.51.100.1",), ("192.0.2.1",)]
    assert step.replies[1].at > 0.14
    assert step.addresses == ("198.51.100.1",)


def test_an_early_answer_does_not_wait_for_further_replies(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdaptiveTimeouts, "listening", lambda *_: 30.0)
    more: list[Callable[[], None]] = []

    def first(data: bytes, send: Send) -> None:
        more.append(lambda: send(answer(data, "192.0.2.1")))
        send(answer(data, "198.51.100.1"))

    async def early(net: SocketNet) -> tuple[Dns, Dns]:
        step, whole = await net.early_dns(DnsQuery(NAME, Resolver("system", "127.0.0.1", port)))
        for _ in range(7):
            more[0]()
        return step, await whole

    with udp_server(first) as port:
        step, whole = measure(early)
    assert [reply.answers for reply in step.replies] == [("198.51.100.1",)]
    assert [reply.answers for reply in whole.replies] == [("198.51.100.1",)] + [("192.0.2.1",)] * 7
    assert structs.replace(whole, replies=()) == structs.replace(step, replies=())


def test_a_flood_of_answers_is_bounded(measure: Measure) -> None:
    def flood(data: bytes, send: Send) -> None:
        for _ in range(50):
            send(answer(data, "192.0.2.1"))

    with udp_server(flood) as port:
        assert len(ask(measure, port).replies) == 8


@pytest.mark.parametrize(
    ("rcode", "failure"),
    [
        (3, Failure.DNS_NXDOMAIN),
        (2, Failure.DNS_SERVFAIL),
        (5, Failure.DNS_REFUSED),
        (0, Failure.DNS_NO_ANSWER),
        (4, Failure.DNS_MISBEHAVING),
    ],
)
def test_response_codes_are_failures_of_their_own(
    measure: Measure, rcode: int, failure: Failure
) -> None:
    with udp_server(lambda data, send: send(answer(data, rcode=rcode))) as port:
        step = ask(measure, port)
    assert (step.failure, step.replies[0].rcode) == (failure, rcode)


def test_an_alias_without_an_address_is_no_answer(measure: Measure) -> None:
    with udp_server(lambda data, send: send(answer(data, alias="a.example"))) as port:
        step = ask(measure, port)
    assert (step.failure, step.replies[0].cnames) == (Failure.DNS_NO_ANSWER, ("a.example",))


def test_a_wrong_id_is_only_a_failure_without_a_valid_reply(measure: Measure) -> None:
    def wrong(data: bytes, send: Send) -> None:
        send(answer(bytes([data[0] ^ 1, data[1]]) + data[2:], "198.51.100.1"))

    def wrong_then_right(data: bytes, send: Send) -> None:
        wrong(data, send)
        send(answer(data, "192.0.2.1"))

    with udp_server(wrong) as port:
        only = ask(measure, port, limit=0.3)
    with udp_server(wrong_then_right) as port:
        both = ask(measure, port)
    assert (only.failure, only.replies) == (Failure.DNS_WRONG_ID, ())
    assert (both.failure, both.addresses) == (None, ("192.0.2.1",))
    assert len(both.replies) == 1


def test_an_answer_to_another_question_is_ignored(measure: Measure) -> None:
    def other(data: bytes, send: Send) -> None:
        send(answer(data[:12] + encode_name("other.example") + b"\0\1\0\1", "198.51.100.1"))

    with udp_server(other) as port:
        step = ask(measure, port, limit=0.3)
    assert (step.failure, step.replies) == (Failure.DNS_MISBEHAVING, ())


def test_invalid_datagrams_and_echoes_are_ignored(measure: Measure) -> None:
    def noise(data: bytes, send: Send) -> None:
        for junk in (b"", b"x", data):
            send(junk)
        send(answer(data, "192.0.2.1"))

    with udp_server(noise) as port:
        assert ask(measure, port).addresses == ("192.0.2.1",)


def test_a_timeout_takes_the_limit_and_three_transmissions(measure: Measure) -> None:
    sent: list[bytes] = []
    with udp_server(lambda data, send: sent.append(data)) as port:
        step = ask(measure, port, limit=0.3)
    assert (step.failure, step.replies, step.limit) == (Failure.TIMEOUT, (), 0.3)
    assert 0.29 < step.elapsed < 0.5
    assert len({data[:2] for data in sent}) == len(sent) == 3


def test_a_lost_packet_is_no_failure(measure: Measure) -> None:
    sent: list[bytes] = []

    def second_only(data: bytes, send: Send) -> None:
        sent.append(data)
        if len(sent) > 1:
            send(answer(data, "192.0.2.1"))

    with udp_server(second_only) as port:
        step = ask(measure, port, limit=0.6)
    assert (step.failure, step.addresses) == (None, ("192.0.2.1",))
    assert 0.19 < step.elapsed < 0.4
    assert step.replies[0].at < 0.1


def test_answers_to_two_transmissions_are_not_two_answers_to_one(measure: Measure) -> None:
    waiting: list[bytes] = []

    def slow(data: bytes, send: Send) -> None:
        waiting.append(data)
        if len(waiting) == 2:  # both at once, with different pools, as a busy resolver may
            send(answer(waiting[0], "192.0.2.1"))
            send(answer(waiting[1], "192.0.2.2"))

    with udp_server(slow) as port:
        step = ask(measure, port, limit=0.6)
    assert [reply.answers for reply in step.replies] == [("192.0.2.1",)]


def test_a_closed_port_is_reported_at_once(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    step = ask(measure, port)
    assert step.failure is Failure.REFUSED
    assert step.elapsed < 0.3


def test_an_invalid_name_is_not_sent(measure: Measure) -> None:
    step = ask(measure, 9, name="a..b")
    assert (step.failure, step.detail) == (Failure.DNS_NON_RECOVERABLE, "not_a_dns_name")


@contextmanager
def both(udp: Callable[[bytes, Send], None], tcp: Callable[[bytes], bytes]) -> Iterator[int]:
    """UDP and TCP on one port."""

    def over_tcp(sock: socket.socket) -> None:
        data = sock.recv(4096)
        wire = tcp(data[2:])
        sock.sendall(len(wire).to_bytes(2, "big")[:1])
        sock.sendall(len(wire).to_bytes(2, "big")[1:] + wire)

    with udp_server(udp) as port:
        listener = socket.create_server(("127.0.0.1", port))

        def loop() -> None:
            sock, _ = listener.accept()
            with sock:
                over_tcp(sock)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield port
        listener.close()


def truncated(data: bytes, send: Send) -> None:
    send(answer(data, flags=0x8380))


def test_a_truncated_reply_is_asked_again_over_tcp(measure: Measure) -> None:
    with both(truncated, lambda data: answer(data, "192.0.2.1")) as port:
        step = ask(measure, port, limit=4.0)
    assert (step.failure, step.transport) == (None, "udp")
    assert [reply.answers for reply in step.replies] == [("192.0.2.1",)]


def test_a_truncated_reply_denies_nothing_where_tcp_does_not_answer(measure: Measure) -> None:
    with udp_server(truncated) as port:
        step = ask(measure, port)
    assert (step.failure, step.detail) == (Failure.REFUSED, "truncated")
    assert [reply.truncated for reply in step.replies] == [True]


def test_a_truncated_denial_is_one(measure: Measure) -> None:
    with udp_server(lambda data, send: send(answer(data, flags=0x8383))) as port:
        step = ask(measure, port)
    assert (step.failure, step.replies[0].truncated) == (Failure.DNS_NXDOMAIN, True)


def over_tcp(measure: Measure, port: int) -> Dns:
    async def one(net: SocketNet) -> Dns:
        resolver = Resolver("127.0.0.1", "127.0.0.1", port, "tcp")
        return await net.dns(DnsQuery(NAME, resolver, limit=0.5))

    return measure(one)


def test_over_tcp(measure: Measure) -> None:
    def handler(sock: socket.socket) -> None:
        wire = answer(sock.recv(4096)[2:], "192.0.2.1")
        sock.sendall(len(wire).to_bytes(2, "big") + wire)

    with tcp_server(handler) as port:
        step = over_tcp(measure, port)
    assert (step.failure, step.addresses, step.transport) == (None, ("192.0.2.1",), "tcp")


def test_a_fin_over_tcp_is_eof(measure: Measure) -> None:
    with tcp_server(lambda sock: sock.recv(4096)) as port:
        assert over_tcp(measure, port).failure is Failure.EOF


def test_many_questions_at_once(measure: Measure) -> None:
    with udp_server(lambda data, send: send(answer(data, "192.0.2.1"))) as port:

        async def many(net: SocketNet) -> list[Dns]:
            resolver = Resolver("system", "127.0.0.1", port)
            asks = [net.dns(DnsQuery(f"n{number}.example", resolver)) for number in range(40)]
            return await asyncio.gather(*asks)

        steps = measure(many)
    assert {step.addresses for step in steps} == {("192.0.2.1",)}


def several(
    measure: Measure, lab: SessionSettings, port: int, asked: int = 4
) -> tuple[list[Dns], tuple[Resolver, ...]]:
    """The steps of `asked` sequential queries, then of three concurrent ones."""

    async def story(net: SocketNet) -> tuple[list[Dns], tuple[Resolver, ...]]:
        own = net.resolvers[0]
        steps = [await net.dns(DnsQuery(NAME, own, limit=0.2)) for _ in range(asked)]
        steps += await net.together([net.dns(DnsQuery(NAME, own, limit=0.2)) for _ in range(3)])
        return steps, tuple(net.resolvers)

    return measure(story, replace(lab, resolver=("127.0.0.1", port)))


def test_a_resolver_without_udp_is_used_over_tcp(measure: Measure, lab: SessionSettings) -> None:
    def handler(sock: socket.socket) -> None:
        wire = answer(sock.recv(4096)[2:], "192.0.2.1")
        sock.sendall(len(wire).to_bytes(2, "big") + wire)

    with tcp_server_without_udp(handler) as port:
        steps, resolvers = several(measure, lab, port)
    assert [step.transport for step in steps] == ["udp"] + ["tcp"] * 6
    assert {step.resolver for step in steps} == {"system"}
    assert [step.addresses for step in steps[1:]] == [("192.0.2.1",)] * 6
    assert resolvers == (Resolver("system", "127.0.0.1", port, "tcp"),)


def test_a_resolver_that_never_answers_is_tried_once_over_tcp(
    measure: Measure, lab: SessionSettings
) -> None:
    connections: list[int] = []
    with tcp_server_without_udp(lambda _: connections.append(1)) as port:
        steps, resolvers = several(measure, lab, port)
    assert {(step.transport, step.failure) for step in steps} == {("udp", Failure.TIMEOUT)}
    assert len(connections) == 1
    assert resolvers == (Resolver("system", "127.0.0.1", port),)


def test_one_timeout_of_a_resolver_that_answers_is_not_retried_over_tcp(
    measure: Measure, lab: SessionSettings
) -> None:
    received: list[bytes] = []

    def once(data: bytes, send: Send) -> None:
        if not received:
            received.append(data)
            send(answer(data, "192.0.2.1"))

    with udp_server(once) as port:
        steps, _ = several(measure, lab, port)
    assert [step.transport for step in steps] == ["udp"] * 7


@contextmanager
def tcp_server_without_udp(handler: Callable[[socket.socket], object]) -> Iterator[int]:
    """A TCP server on a port that does not answer datagrams."""
    with tcp_server(handler) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", port))
        yield port
