"""A session as a whole: counters, settings, errors."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import pytest
from msgspec.structs import replace

from probe.certificates.roots import RootsError
from probe.experiments.interface import Resolver, TransferNet
from probe.experiments.operations import DnsQuery, TcpConnect
from probe.failure import Failure
from probe.net.route import has_route
from probe.net.session import NetSession, SessionSettings
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server, udp_server
from tests.probe.net.test_dns import answer


def test_a_session_gives_a_transfer_net(measure: Measure) -> None:
    async def port(net: SocketNet) -> TransferNet:
        return net

    assert measure(port) is not None


def test_bytes_and_round_trips_are_counted(lab: SessionSettings) -> None:
    async def run() -> NetSession:
        async with NetSession(replace(lab, resolver=("127.0.0.1", port))) as session:
            net = session.net(monotonic())
            step = await net.dns(DnsQuery("site.example", net.resolvers[0]))
            assert step.failure is None
            assert (await net.tcp(TcpConnect("127.0.0.1", tcp_port))).failure is None
        return session

    with (
        udp_server(lambda data, send: send(answer(data, "192.0.2.1"))) as port,
        tcp_server(lambda sock: sock.recv(1)) as tcp_port,
    ):
        session = asyncio.run(run())
    assert session.bytes_out == 30 + 11  # the OPT record, which this server copies
    assert session.bytes_in == 46 + 11
    assert session.timeouts.round_trip is not None
    assert session.roots == "file"


def test_steps_count_from_their_origin(lab: SessionSettings) -> None:
    async def run() -> float:
        async with NetSession(lab) as session:
            return (await session.net(monotonic() - 5).tcp(TcpConnect("127.0.0.1", 1, limit=1))).at

    assert 5 <= asyncio.run(run()) < 6


def test_a_closed_port_and_an_unused_address(measure: Measure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def ask(net: SocketNet) -> Failure | None:
        return (await net.tcp(TcpConnect("127.0.0.1", port))).failure

    assert measure(ask) is Failure.REFUSED


def test_a_bad_file_of_roots_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(RootsError):
        NetSession(SessionSettings(ca_file=tmp_path / "empty.pem"))


def test_without_ipv6_its_resolvers_are_left_out(lab: SessionSettings) -> None:
    six, four = Resolver("2606:4700::1", "2606:4700::1"), Resolver("1.1.1.1", "1.1.1.1")

    async def run(*, ipv6: bool) -> tuple[Resolver, ...]:
        async with NetSession(replace(lab, public=(six, four), ipv6=ipv6)) as session:
            assert session.net(0).ipv6 == ipv6
            return session.resolvers[1:]

    assert asyncio.run(run(ipv6=False)) == (four,)
    assert asyncio.run(run(ipv6=True)) == (six, four)


def test_asks_can_go_together(measure: Measure) -> None:
    async def ask(net: SocketNet) -> list[int]:
        return await net.together([asyncio.sleep(0.05, 1), asyncio.sleep(0.01, 2)])

    assert measure(ask) == [1, 2]


def test_a_bug_in_one_of_several_asks_is_a_bug(measure: Measure) -> None:
    async def broken() -> None:
        raise KeyError

    async def ask(net: SocketNet) -> None:
        await net.together([asyncio.sleep(1), broken()])

    with pytest.raises(BaseExceptionGroup):
        measure(ask)


def test_safe_addresses_are_distinguished(measure: Measure) -> None:
    async def ask(net: SocketNet) -> list[bool]:
        await net.pause(0)
        return [net.safe("127.0.0.1"), net.safe("1.1.1.1"), net.safe("site.example")]

    assert measure(ask) == [True, True, False]
    assert measure(ask, SessionSettings(resolver=("127.0.0.1", 1))) == [False, True, False]


def test_has_route_returns_a_bool() -> None:
    assert has_route("127.0.0.1")
    assert isinstance(has_route("2001:db8::1"), bool)


def test_connections_to_reference_sites_take_none_of_the_targets(lab: SessionSettings) -> None:
    async def run() -> Failure | None:
        async with NetSession(lab) as session, AsyncExitStack() as held:
            apart = session.reference_net(monotonic())._target.session.limiter
            for number in range(16):  # with silent ones in all of them, no more begin for a while
                await held.enter_async_context(apart.enter(f"192.0.2.{number}"))
            return (await session.net(monotonic()).tcp(TcpConnect("127.0.0.1", port))).failure

    with tcp_server(lambda sock: sock.recv(1)) as port:
        assert asyncio.run(run()) is None
