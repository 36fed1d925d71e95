"""Packets of constant ports with a limited TTL, with real sockets on loopback."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from probe.experiments.interface import FlowProber, Resolver
from probe.failure import Failure
from probe.model import Ping, Tcp, Tls
from probe.net import flow_prober, routers
from probe.net.dial import MOST_FLOW_SEARCHES
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server, until_closed

T = TypeVar("T")
HERE = "127.0.0.1"
pytestmark = pytest.mark.skipif(not flow_prober.AVAILABLE, reason="ICMP errors: Linux only")


def probing(measure: Measure, ask: Callable[[FlowProber], Awaitable[T]]) -> T:
    async def inside(net: SocketNet) -> T:
        prober = net.flow_prober()
        assert prober is not None
        return await ask(prober)

    return measure(inside)


def test_a_flow_keeps_its_port_and_flows_differ(measure: Measure) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]

        async def ask(prober: FlowProber) -> Sequence[Tcp]:
            return [await prober.syn(HERE, port, 5, flow) for flow in (0, 1, 0, 1, 0)]

        steps = probing(measure, ask)
        accepted = [listener.accept() for _ in steps]
    for sock, _ in accepted:
        sock.close()
    assert [s.failure for s in steps] == [None] * 5
    assert [s.travel.ttl for s in steps if s.travel] == [5] * 5
    # The prober has reset them since; the peer addresses are known from accepting them.
    assert len({peer[1] for _, peer in accepted}) == 2


def test_a_port_in_use_does_not_stop_the_probe(measure: Measure) -> None:
    def handler(sock: socket.socket) -> None:
        until_closed(sock)

    with tcp_server(handler) as port:

        async def ask(prober: FlowProber) -> Tls | None:
            first = await prober.hello(HERE, port, "site.example", 5, 0)
            assert first is not None
            return await prober.hello(HERE, port, "site.example", 5, 0)

        step = probing(measure, ask)
    assert step is not None
    assert step.failure is Failure.TIMEOUT
    assert step.travel is not None
    assert (step.travel.ttl, step.travel.expired) == (5, False)


def test_a_closed_port_and_a_server_that_hangs_up(measure: Measure) -> None:
    with socket.socket() as closed:
        closed.bind((HERE, 0))

        async def ask(prober: FlowProber) -> tuple[Tcp, Tls | None]:
            port = closed.getsockname()[1]
            return (
                await prober.syn(HERE, port, 5, 0),
                await prober.hello(HERE, port, "site.example", 5, 0),
            )

        tcp, tls = probing(measure, ask)
    assert tcp.failure is Failure.REFUSED
    assert tls is None


def test_a_limited_connection_ends_with_a_reset(measure: Measure) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]

        async def ask(prober: FlowProber) -> Tcp:
            return await prober.syn(HERE, port, 1, 0)

        probing(measure, ask)
        accepted, _ = listener.accept()
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(10)


def test_both_names_of_a_pair_have_one_local_port(measure: Measure) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]

        async def ask(net: SocketNet) -> list[int]:
            seen: list[int] = []
            loop = asyncio.get_running_loop()
            async with net.ttl_prober([]) as prober:
                for name, flow in (("a", 7), ("b", 7), ("a", 8), ("b", None)):
                    offering = asyncio.create_task(prober.hello(HERE, port, name, 5, flow))
                    accepted, (_, local) = await loop.run_in_executor(None, listener.accept)
                    accepted.close()
                    seen.append(local)
                    await offering
            return seen

        first, second, other, none = measure(ask)
    assert first == second
    assert len({first, other, none}) == 3


def test_queries_of_a_flow_have_one_local_port(measure: Measure) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HERE, 0))
        server.settimeout(5.0)
        resolver = Resolver("8.8.8.8", HERE, server.getsockname()[1])

        async def ask(net: SocketNet) -> list[int]:
            seen: list[int] = []
            loop = asyncio.get_running_loop()
            async with net.ttl_prober([]) as prober:
                for flow in (1, 1, 2):
                    asking = asyncio.create_task(prober.query("site.example", resolver, 5, flow))
                    _, (_, local) = await loop.run_in_executor(None, server.recvfrom, 512)
                    asking.cancel()
                    await asyncio.wait((asking,))
                    seen.append(local)
            return seen

        first, second, other = measure(ask)
    assert first == second != other


def test_a_server_that_datagrams_do_not_reach_is_named_all_the_same() -> None:
    replies = [routers._HopReply(ttl, None, 0.0, 1.0) for ttl in (1, 2)]
    *silent, server = routers._steps(replies, "203.0.113.7")
    assert [s.what for s in silent] == ["router", "router"]
    assert (server.what, server.address, server.failure) == (
        "server",
        "203.0.113.7",
        Failure.TIMEOUT,
    )


def test_a_datagram_to_this_machine_reaches_it(measure: Measure) -> None:
    async def ask(prober: FlowProber) -> tuple[Ping, Sequence[Ping]]:
        return await prober.datagram(HERE, 3, 0), await prober.routers(HERE, 4)

    ping, routers = probing(measure, ask)
    assert (ping.what, ping.failure, ping.address) == ("server", None, None)
    assert [one.what for one in routers] == ["server"]


def test_a_run_searches_for_a_few_targets_only(measure: Measure) -> None:
    async def ask(net: SocketNet) -> list[bool]:
        return [net.flow_prober() is not None for _ in range(MOST_FLOW_SEARCHES + 2)]

    assert measure(ask) == [True] * MOST_FLOW_SEARCHES + [False] * 2


def test_another_system_sends_nothing(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_prober, "AVAILABLE", False)

    async def ask(net: SocketNet) -> object:
        return net.flow_prober()

    assert measure(ask) is None
