"""The kinds of shutdown over a fake net, judged from the record."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import pytest
from msgspec.structs import replace

from probe import codec
from probe.experiments.connectivity import EXPERIMENT
from probe.experiments.interface import Net, Resolver, Task
from probe.experiments.operations import DnsQuery, TcpConnect, TlsHandshake
from probe.failure import Failure
from probe.judge import judge
from probe.model import (
    Dns,
    Mechanism,
    Outcome,
    Ping,
    Record,
    Reply,
    Steps,
    Tcp,
    Tls,
    Trust,
    Vantage,
    Verdict,
)
from probe.reference_data import Anchor

T = TypeVar("T")
SITES = tuple(
    Anchor(f"https://{kind}{n}.example/", foreign=kind == "f", essential=kind == "e")
    for kind in "eof"
    for n in range(5)
)


@dataclass
class FakeNet:
    """Everything whose name or address begins with one of these answers."""

    up: tuple[str, ...]
    home: bool = True
    ports: frozenset[int] = frozenset()
    now: float = 0.0
    paused: list[float] = field(default_factory=list)
    resolvers: tuple[Resolver, ...] = (
        Resolver("system", "192.0.2.53"),
        Resolver("198.51.100.53", "198.51.100.53"),
        Resolver("198.51.100.54", "198.51.100.54"),
        Resolver("198.51.100.53", "198.51.100.53", port=443, transport="doh"),
    )

    async def gateway(self) -> Ping | None:
        return Ping(what="gateway", failure=None if self.home else Failure.TIMEOUT, at=self.now)

    async def dns(self, query: DnsQuery) -> Dns:
        replies = (Reply(at=0.01, rcode=0, answers=(f"203.0.113.{ord(query.name[0])}",)),)
        return Dns(name=query.name, resolver="system", replies=replies, at=self.now)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        address, port, sni = handshake.address, handshake.port, handshake.sni or ""
        tcp = Tcp(address=address, port=port, at=self.now)
        if sni.startswith(self.up):
            shaken = Tls(
                address=address,
                port=port,
                sni=sni,
                bytes_in=3000,
                trust=Trust(valid=True),
                at=self.now,
            )
        else:
            shaken = Tls(address=address, port=port, sni=sni, failure=Failure.TIMEOUT, at=self.now)
        return tcp, shaken

    async def tcp(self, connect: TcpConnect) -> Tcp:
        address, port = connect.address, connect.port
        answers = address.startswith(self.up) or port in self.ports
        failure = None if answers else Failure.TIMEOUT
        return Tcp(address=address, port=port, failure=failure, at=self.now)

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return [await ask for ask in asks]

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds

    def safe(self, address: str) -> bool:
        return True


def run(
    net: FakeNet, sites: tuple[Anchor, ...] = SITES, **options: object
) -> tuple[Steps, Verdict]:
    options = {"anchors": sites, "own_server": "198.51.100.1", **options}
    task = Task(url="", options=options)
    port = cast("Net", net)

    async def both() -> Steps:
        steps = await EXPERIMENT.measure(task, port)
        assert EXPERIMENT.confirm is not None
        assert EXPERIMENT.needs_confirmation is not None
        return (
            await EXPERIMENT.confirm(task, port, steps)
            if EXPERIMENT.needs_confirmation(task, steps)
            else steps
        )

    steps = asyncio.run(both())
    record = Record(
        id="1",
        run="2",
        experiment="connectivity",
        input="",
        started_at="2026-11-21T21:00:00.000Z",
        elapsed=9.0,
        vantage=Vantage(),
        steps=steps,
    )
    return steps, judge(codec.decode(codec.encode(record)))


@pytest.mark.parametrize(
    ("up", "home", "outcome", "mechanisms"),
    [
        (("e", "o", "f"), True, Outcome.OK, ()),
        (("e",), True, Outcome.BLOCKED, (Mechanism.ACCESS_WHITELIST,)),
        (("e", "o"), True, Outcome.BLOCKED, (Mechanism.ACCESS_FOREIGN_CUT,)),
        (("-",), True, Outcome.INCONCLUSIVE, (Mechanism.ACCESS_OFFLINE,)),
        (("-",), False, Outcome.INCONCLUSIVE, (Mechanism.ACCESS_OFFLINE,)),
    ],
)
def test_the_four_shutdowns_and_a_normal_day(
    up: tuple[str, ...],
    home: bool,  # noqa: FBT001 - a column of the table
    outcome: Outcome,
    mechanisms: tuple[Mechanism, ...],
) -> None:
    _, verdict = run(FakeNet(up, home))
    assert verdict.outcome is outcome
    assert verdict.mechanisms == mechanisms


def test_the_reason_tells_a_dead_home_network_from_a_dead_operator() -> None:
    assert "operator" in run(FakeNet(("-",)))[1].rules[0].reason
    assert "home" in run(FakeNet(("-",), home=False))[1].rules[0].reason


def test_a_normal_line_is_measured_once_and_a_cut_twice() -> None:
    normal = FakeNet(("e", "o", "f"))
    run(normal)
    assert normal.paused == []
    cut = FakeNet(("e", "o"))
    steps, _ = run(cut)
    assert cut.paused == [300.0]
    assert {s.try_ for s in steps if isinstance(s, Ping)} == {1, 2}


def test_a_cut_that_is_over_at_the_confirmation_is_inconclusive() -> None:
    class Recovering(FakeNet):
        async def pause(self, seconds: float) -> None:
            await super().pause(seconds)
            self.up = ("e", "o", "f")

    _, verdict = run(Recovering(("e",)))
    assert verdict.outcome is Outcome.OK


def test_an_address_abroad_without_a_name_counts_as_reachable() -> None:
    _, verdict = run(FakeNet(("e", "o", "198.51.100.53")))
    assert verdict.outcome is Outcome.OK


def test_a_filter_of_port_53_is_not_an_operator_that_is_down() -> None:
    steps, verdict = run(FakeNet(("-",), ports=frozenset({443})))
    tried = [s.failure for s in steps if isinstance(s, Ping) and s.what == "port"]
    assert tried == [None]  # once, as a second round could accuse nobody
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "shutdown.unclear"
    assert "not an operator that is down" in verdict.rules[0].reason


def test_nothing_is_cut_where_name_servers_abroad_still_take_connections() -> None:
    _, verdict = run(FakeNet(("e", "o"), ports=frozenset({443})))
    assert (verdict.outcome, verdict.rules[0].id) == (Outcome.INCONCLUSIVE, "shutdown.unclear")


def test_port_443_is_not_tried_where_anything_abroad_answers() -> None:
    for up in (("e", "o", "f"), ("e", "198.51.100.54")):
        steps, _ = run(FakeNet(up))
        assert not [s for s in steps if isinstance(s, Ping) and s.what == "port"]


def test_open_ports_of_the_own_server_tell_a_filter_from_a_dead_line() -> None:
    _, verdict = run(FakeNet(("e",), ports=frozenset({179, 3785})))
    noted = [hit.reason for hit in verdict.rules if hit.id == "shutdown.ports_answer"]
    assert noted == ["Ports 179, 3785 of the neutral server answer."]


def test_no_step_has_the_routers_address() -> None:
    steps, _ = run(FakeNet(("e", "o", "f")))
    assert [s.address for s in steps if isinstance(s, Ping) and s.what == "gateway"] == [None]


UNCLASSED = tuple(
    replace(one, foreign=None if one.url.startswith("https://f") else one.foreign) for one in SITES
)


@pytest.mark.parametrize("up", [("o",), ("e", "o"), ("e", "o", "f")])
def test_anchors_without_a_class_hide_no_outage_abroad(up: tuple[str, ...]) -> None:
    _, verdict = run(FakeNet(up), UNCLASSED)
    assert (verdict.outcome, verdict.rules[0].id) == (Outcome.INCONCLUSIVE, "shutdown.unclear")
    assert "whose country is not known" in verdict.rules[0].reason
    assert "said in the configuration" in verdict.rules[0].reason


@pytest.mark.parametrize(
    ("country", "outcome"), [("DE", Outcome.BLOCKED), ("KZ", Outcome.INCONCLUSIVE)]
)
def test_a_table_of_networks_gives_anchors_the_class_of_their_address(
    country: str, outcome: Outcome
) -> None:
    async def country_of(address: str) -> str | None:
        return country if address == f"203.0.113.{ord('f')}" else None

    _, verdict = run(FakeNet(("e", "o")), UNCLASSED, country_of=country_of)
    assert verdict.outcome is outcome


def test_anchors_without_a_class_do_not_spoil_a_whole_line() -> None:
    net = FakeNet(("e", "o", "f", "198.51.100.5"))
    _, verdict = run(net, UNCLASSED)
    assert verdict.outcome is Outcome.OK
    assert net.paused == []


def test_where_nothing_answers_no_second_round_is_waited_for() -> None:
    for home in (True, False):
        net = FakeNet(("-",), home)
        steps, verdict = run(net)
        assert (verdict.outcome, net.paused) == (Outcome.INCONCLUSIVE, [])
        assert {s.try_ for s in steps if isinstance(s, Ping)} == {1}


def test_what_is_silent_is_waited_for_together() -> None:
    class Slow(FakeNet):
        """Counts how many operations wait at the same time; nothing is ever answered."""

        waiting, most = 0, 0

        async def tcp(self, connect: TcpConnect) -> Tcp:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            await asyncio.sleep(0)
            self.waiting -= 1
            return await super().tcp(connect)

        async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
            return list(await asyncio.gather(*asks))

    net = Slow(("-",))
    run(net)
    assert net.most == 4  # the ports of the own server; three resolvers before them
