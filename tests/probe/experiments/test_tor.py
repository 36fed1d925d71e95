"""The authorities, and bridges, whose addresses are never recorded."""

import asyncio

import pytest
from msgspec.structs import replace

from probe import codec
from probe.analysis.service_attempts import attempts, by_part
from probe.experiments import tor
from probe.experiments.interface import Task
from probe.experiments.private_servers import Server
from probe.failure import Failure
from probe.model import Steps
from tests.build import record
from tests.fake_net import FakeNet

AT, PORT = "198.51.100.77", 8443
OBFS4 = f"obfs4 {AT}:{PORT} {'A' * 40} cert=abc iat-mode=0"
TASK = Task("service:tor", seed=1, options={"bridges": [OBFS4, f"{AT}:9001"]})


@pytest.mark.parametrize(
    ("line", "server"),
    [
        (OBFS4, Server(AT, PORT, "tcp")),
        (f"Bridge {OBFS4}", Server(AT, PORT, "tcp")),
        (f"{AT}:9001 {'B' * 40}", Server(AT, 9001, "tls")),
        ("[2001:db8::1]:443", Server("2001:db8::1", 443, "tls")),
        ("webtunnel [2001:db8::1]:443 AAAA url=https://x.example/", None),
        ("snowflake 192.0.2.3:80 AAAA", None),
        ("obfs4", None),
        ("obfs4 nonsense", None),
        (f"{AT}:0", None),
        (f"{AT}:65536", None),
        ("", None),
        (7, None),
    ],
)
def test_a_bridge_line(line: object, server: Server | None) -> None:
    assert tor.read_bridge(line) == server


def test_invalid_options_are_named_without_the_address() -> None:
    assert tor.objection({}) is None
    assert tor.objection({"bridges": [OBFS4]}) is None
    assert tor.objection({"bridges": OBFS4}) is not None
    assert tor.objection({"bridges": []}) is not None
    message = tor.objection({"bridges": [OBFS4, f"snowflake {AT}:80"]})
    assert message is not None
    assert "line 2" in message
    assert AT not in message


def both(net: FakeNet, task: Task = TASK) -> Steps:
    seen = asyncio.run(tor.measure(task, net))
    return asyncio.run(tor.confirm(task, net, seen))


def test_the_authorities_are_measured_without_a_name() -> None:
    steps = asyncio.run(tor.measure(replace(TASK, options={}), FakeNet()))
    found = by_part(attempts(steps))
    assert set(found) == {"directory authorities", "directories"}
    assert len(found["directory authorities"]) == 9
    assert {one.tls.sni for one in found["directory authorities"] if one.tls} == {None}


def test_a_bridge_leaves_no_address_in_the_record() -> None:
    net = FakeNet(dead={AT})
    steps = both(net)
    assert any(AT in asked for asked in net.asked)
    bridges = [one for one in attempts(steps) if one.own]
    assert [(one.part, one.failure) for one in bridges] == [
        ("bridge 1", Failure.TIMEOUT),
        ("bridge 2", Failure.TIMEOUT),
    ] * 2
    line = codec.encode(record(*steps, experiment="tor", url=TASK.url))
    assert AT.encode() not in line
    assert str(PORT).encode() not in line


def test_a_bridge_that_answers_is_asked_once() -> None:
    bridges = [one for one in attempts(both(FakeNet())) if one.own]
    assert [(one.part, one.failure) for one in bridges] == [("bridge 1", None), ("bridge 2", None)]


def test_outside_a_laboratory_no_private_address_is_dialled() -> None:
    task = replace(TASK, options={"bridges": ["obfs4 10.0.0.7:443 AA"]})
    net = FakeNet()
    steps = asyncio.run(tor.measure(task, net))
    assert [one.failure for one in attempts(steps) if one.own] == [Failure.NETWORK_UNREACHABLE]
    assert not any("10.0.0.7" in asked for asked in net.asked)
