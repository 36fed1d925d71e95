"""OpenVPN's first packet, and what follows from an answer to it."""

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.analysis.service_attempts import attempts
from probe.experiments import openvpn
from probe.experiments.interface import Task
from probe.experiments.private_servers import Server, read_server
from probe.failure import Failure
from probe.lab import tunnels
from probe.model import Steps
from tests.build import record
from tests.probe import talking
from tests.probe.talking import TalkingNet

AT = "198.51.100.40"
TASK = Task("service:openvpn", seed=1, options={"endpoints": [f"{AT}:1194/udp"]})
PACKET = openvpn.packet(bytes(range(96)), 0.0)


def both(net: TalkingNet, task: Task = TASK) -> Steps:
    return talking.both(openvpn.EXPERIMENT, task, net)


def test_the_packet_and_its_answer() -> None:
    assert len(PACKET) == 14
    assert PACKET[0] == 0x38
    answer = tunnels.openvpn(PACKET)
    assert answer is not None
    assert openvpn.is_answer(PACKET, answer)
    assert not openvpn.is_answer(openvpn.packet(b"other" * 20, 0.0), answer)


def test_over_tcp_the_whole_packet_is_awaited() -> None:
    sent = openvpn.framed(bytes(range(96)), 0.0)
    assert sent[:2] == b"\x00\x0e"
    answer = tunnels.openvpn(sent[2:])
    assert answer is not None
    framed = len(answer).to_bytes(2, "big") + answer
    assert openvpn.is_framed_answer(sent, framed)
    assert not openvpn.is_framed_answer(sent, framed[:-1])


@given(st.binary(max_size=60))
def test_nothing_else_is_taken_for_an_answer(received: bytes) -> None:
    assert not openvpn.is_answer(PACKET, received)
    assert not openvpn.is_framed_answer(b"\x00\x0e" + PACKET, received)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1:1194", Server("192.0.2.1", 1194, "udp")),
        ("192.0.2.1:443/tcp", Server("192.0.2.1", 443, "tcp")),
        ("VPN.Example.org:1194/udp", Server("vpn.example.org", 1194, "udp")),
        ("[2001:db8::2]:1194", Server("2001:db8::2", 1194, "udp")),
        ("192.0.2.1", None),
        ("192.0.2.1:1194/sctp", None),
        ("a b:1194", None),
        (":1194", None),
        ("192.0.2.1:x", None),
        (None, None),
    ],
)
def test_the_endpoint_of_a_server(text: object, server: Server | None) -> None:
    assert read_server(text, default="udp") == server


def test_it_needs_an_endpoint() -> None:
    assert openvpn.objection({}) is not None
    assert openvpn.objection({"endpoints": ["nonsense"]}) is not None
    assert openvpn.objection(TASK.options) is None


def test_a_server_that_answers_is_asked_once() -> None:
    net = TalkingNet()
    (attempt,) = attempts(both(net))
    assert attempt.proven
    assert attempt.part == "endpoint 1"


def test_a_silent_server_is_asked_behind_a_preface_too() -> None:
    net = TalkingNet(plain_mute={AT})
    steps = both(net)
    assert [one.failure for one in attempts(steps)] == [Failure.TIMEOUT] * 2
    assert [asked.endswith("behind") for asked in net.asked] == [False, True, False, True]
    assert AT.encode() not in codec.encode(record(*steps))


def test_over_tcp_there_is_no_preface() -> None:
    task = replace(TASK, options={"endpoints": [f"{AT}:443/tcp"]})
    net = TalkingNet(mute={AT})
    both(net, task)
    assert not any(asked.endswith("behind") for asked in net.asked)


def test_a_name_is_resolved_and_left_out_of_the_record() -> None:
    task = replace(TASK, options={"endpoints": ["vpn.example.org:1194"]})
    net = TalkingNet(names={("system", "vpn.example.org"): (AT,)})
    steps = both(net, task)
    assert attempts(steps)[0].failure is None
    assert b"vpn.example.org" not in codec.encode(record(*steps))
    lost = TalkingNet(names={("system", "vpn.example.org"): Failure.DNS_NXDOMAIN})
    assert attempts(both(lost, task))[0].failure is Failure.DNS_NXDOMAIN
