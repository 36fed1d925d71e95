"""The search for who stops the packets, on paths of every shape: never the network for a server."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from probe.analysis import silence_place
from probe.analysis.silence_place import Place
from probe.experiments.browse import UrlHop
from probe.experiments.interface import FlowProber, Reference, Task
from probe.experiments.place_of_silence import find_place
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Ping, Role, Step, Tcp, Tls, Travel
from tests.build import GOOD, HARMLESS, HOST, URL, control, tcp, tls
from tests.fake_net import FakeNet

ABROAD = "45.9.9.9"
NAME = (
    tcp(),
    tls(failure=Failure.TIMEOUT),
    replace(tls(sni=HARMLESS), role=Role.HARMLESS),
    tls(failure=Failure.TIMEOUT),
)
SILENT = (tcp(failure=Failure.TIMEOUT), tcp(failure=Failure.TIMEOUT))
REFUSED = (tcp(failure=Failure.REFUSED), tcp(failure=Failure.REFUSED))


@dataclass
class FakePath(FakeNet):
    """A path with the server at a distance of nine routers and one.

    Attributes:
        lengths: The server's distance for each flow.
        box: The least TTL of a packet that meets the middlebox; None: there is none.
        kind: What the box, or the server, stops: `hello`, `tcp` or `all`.
        fate: `timeout`, or a reset.
        server: The server itself stops it.
        rewritten: The router that sets the TTL of TCP to 64.
        mute: Routers that report nothing.
        punish: After the first stopped hello, the box stops all hellos.
        budget: How many ICMP errors a router sends for each second, after four at first.
        ways: The flows that pass the box; None: all.
        edge: The first router of the server's own network.
        named: The table of networks knows the routers.
        deeper: How much farther than the server the addresses beside it are.
        crowd: The box stops the addresses beside the server's too.
        loss: The share of packets that is lost, or whose answer is.
        seed: Which ways a load balancer chooses.
    """

    lengths: Sequence[int] = (10,) * 4
    box: int | None = None
    kind: str = "hello"
    fate: Failure = Failure.TIMEOUT
    server: bool = False
    rewritten: int | None = None
    mute: frozenset[int] = frozenset()
    punish: bool = False
    limited: float | None = None
    ways: frozenset[int] | None = None
    edge: int = 9
    named: bool = True
    deeper: int = 0
    crowd: bool = False
    loss: float = 0.0
    seed: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    given: bool = True
    sent: list[str] = field(default_factory=list)
    _punished: bool = False
    _tokens: dict[int, tuple[float, float]] = field(default_factory=dict)

    def flow_prober(self) -> FlowProber | None:
        return self if self.given else None

    def _stopped(self, kind: str, name: str | None, ttl: int, flow: int) -> bool:
        """Whether the box stops the packet, if its TTL reaches it."""
        if self.box is None or (self.ways is not None and flow not in self.ways):
            return False
        if self._punished and kind == "hello":
            return ttl >= self.box
        if self.kind == "hello" and (kind != "hello" or name != HOST):
            return False
        if self.kind == "tcp" and kind == "udp":
            return False
        if ttl >= self.box:
            self._punished = self.punish
            return True
        return False

    def _reported(self, ttl: int, *, packets: int) -> bool:
        """Whether the router reports one of the packets as expired."""
        if ttl in self.mute:
            return False
        if self.limited is None:
            return True
        tokens, since = self._tokens.get(ttl, (4.0, self.clock))
        tokens = min(tokens + (self.clock - since) * self.limited, 4.0)
        used = min(tokens, 1.0 if tokens >= 1 else 0.0)
        self._tokens[ttl] = (tokens - used, self.clock)
        return used >= 1 or (packets > 1 and self.limited * 0.9 >= 1)

    def _meet(
        self, kind: str, address: str, name: str | None, ttl: int, flow: int
    ) -> tuple[Failure | None, bool]:
        assert 1 <= ttl <= 255, "the kernel refuses it"
        self.sent.append(f"{kind} {ttl}")
        self.clock += 0.01
        if self.chance.random() < self.loss:
            return Failure.TIMEOUT, False
        here = address == GOOD
        beside = address.startswith(GOOD.rpartition(".")[0]) and not here
        length = self.lengths[flow % len(self.lengths)] + (self.deeper if beside else 0)
        if (
            (here or (beside and self.crowd))
            and not self.server
            and self._stopped(kind, name, ttl, flow)
        ):
            return self.fate, False
        reach = 64 if self.rewritten and kind != "udp" and ttl >= self.rewritten else ttl
        if reach < length:
            packets = 3 if kind == "hello" else 1
            seen = self._reported(ttl, packets=packets)
            return (Failure.HOST_UNREACHABLE, True) if seen else (Failure.TIMEOUT, False)
        if here and self.server and (kind in {"hello", "udp"} or self.kind != "hello"):
            stops = {"hello": {"hello"}, "tcp": {"tcp"}, "all": {"tcp", "udp"}}[self.kind]
            if kind in stops and (kind != "hello" or name == HOST):
                return self.fate, False
        return None, False

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        failure, expired = self._meet("tcp", address, None, ttl, flow)
        travel = Travel(ttl=ttl, expired=expired)
        return Tcp(address=address, port=port, failure=failure, at=self.clock, travel=travel)

    async def hello(self, address: str, port: int, sni: str, ttl: int, flow: int) -> Tls | None:
        failure, expired = self._meet("hello", address, sni, ttl, flow)
        size = 0 if failure else 3000
        step = Tls(address=address, port=port, sni=sni, failure=failure, at=self.clock)
        travel = Travel(ttl=ttl, expired=expired)
        return replace(step, bytes_out=517, bytes_in=size, travel=travel)

    async def datagram(self, address: str, ttl: int, flow: int) -> Ping:
        failure, expired = self._meet("udp", address, None, ttl, flow)
        silent = failure is Failure.TIMEOUT
        return Ping(
            what="router" if silent or expired else "server",
            failure=Failure.TIMEOUT if silent else None,
            at=self.clock,
            travel=Travel(ttl=ttl, expired=None if silent else expired),
        )

    async def routers(self, address: str, hops: int) -> Sequence[Ping]:
        found: list[Ping] = []
        for ttl in range(1, hops + 1):
            step = await self.datagram(address, ttl, ttl)
            known = self.named and step.failure is None
            found.append(
                replace(step, asn=(64500 if ttl >= self.edge else 1299) if known else None)
            )
            if step.what == "server":
                return found
        server = Ping(what="server", failure=Failure.TIMEOUT, asn=64500 if self.named else None)
        return [*found, server]


def search(path: FakePath, seen: Sequence[Step] = NAME, **changes: object) -> Place | None:
    log = StepLog()
    for step in seen:
        log.add(replace(step, at=path.clock), role=step.role)
        path.clock += 1.0
    made = Task(
        URL,
        harmless=(HARMLESS,),
        controls=(control(tcp(), tls()),),
        references=(Reference("https://abroad.example/", ABROAD, foreign=True),),
    )
    task = replace_task(made, **changes)
    asyncio.run(find_place(task, path, log, UrlHop(URL), GOOD))
    return silence_place.place(log.steps)


def replace_task(task: Task, **changes: object) -> Task:
    return replace(task, **changes)


@pytest.mark.parametrize("fate", [Failure.TIMEOUT, Failure.RESET])
@pytest.mark.parametrize("box", range(2, 9))
def test_a_box_on_the_way_is_found_at_its_hop(box: int, fate: Failure) -> None:
    found = search(FakePath(box=box, fate=fate))
    assert found is not None
    assert (found.by, found.after, found.before, found.server) == ("network", box - 1, box, 10)


@pytest.mark.parametrize("box", [9, 10])
def test_the_last_two_routers_may_be_the_sites_own(box: int) -> None:
    found = search(FakePath(box=box))
    assert found is not None
    assert (found.by, found.after) == ("server", 8)


@pytest.mark.parametrize("kind", ["tcp", "all"])
@pytest.mark.parametrize("box", range(3, 8))
def test_an_address_that_is_stopped_on_the_way(box: int, kind: str) -> None:
    found = search(FakePath(box=box, kind=kind), SILENT)
    assert found is not None
    assert (found.by, found.after, found.before) == ("network", box - 1, box)


@pytest.mark.parametrize(
    "path",
    [
        FakePath(box=8, kind="all"),
        FakePath(box=1, kind="all"),
        FakePath(box=4, kind="all", edge=4),
        FakePath(box=4, kind="all", named=False),
        FakePath(box=4, kind="all", crowd=True),
        FakePath(box=4, kind="all", mute=frozenset({6})),
        FakePath(box=4, kind="all", limited=0.0),
        FakePath(box=4, kind="all", fate=Failure.RESET),
        FakePath(lengths=(5,) * 4, server=True, kind="all", deeper=5, edge=5),
        FakePath(lengths=(5,) * 4, server=True, kind="all", deeper=5, named=False),
        FakePath(lengths=(5,) * 4, server=True, kind="all", mute=frozenset({4}), deeper=5, edge=5),
    ],
    ids=[
        "too near the server",
        "at home",
        "in the server's network",
        "no table of networks",
        "all addresses beside it too",
        "a silent router",
        "slow routers",
        "refused",
        "a server at the edge of its network",
        "the same without a table",
        "the same behind a silent router",
    ],
)
def test_an_address_of_which_nothing_arrives_is_not_always_stopped_on_the_way(
    path: FakePath,
) -> None:
    found = search(path, SILENT)
    assert found is None or found.by == "server"


@pytest.mark.parametrize("fate", [Failure.TIMEOUT, Failure.REFUSED])
def test_connections_stopped_before_ways_of_different_length(fate: Failure) -> None:
    path = FakePath(box=4, kind="tcp", fate=fate, lengths=(10, 7, 10, 7))
    found = search(path, SILENT if fate is Failure.TIMEOUT else REFUSED)
    assert found is not None
    assert (found.by, found.after, found.before) == ("network", 3, 4)


@pytest.mark.parametrize(("seen", "kind"), [(NAME, "hello"), (SILENT, "tcp"), (SILENT, "all")])
def test_flows_that_all_take_the_shorter_way_are_no_rewritten_ttl(
    seen: Sequence[Step], kind: str
) -> None:
    """Datagrams of the same numbers take the longer way."""

    class Unlucky(FakePath):
        async def datagram(self, address: str, ttl: int, flow: int) -> Ping:
            return await super().datagram(address, ttl, flow + 4)

    found = search(Unlucky(lengths=(7,) * 4 + (10,) * 4, server=True, kind=kind), seen)
    assert found is not None
    assert found.by == "server"


def test_a_box_beside_slow_routers_is_not_taken_for_the_server() -> None:
    """Datagrams are seldom reported, so nothing is shown at the distance before the server."""
    found = search(FakePath(box=8, kind="tcp", mute=frozenset({8})), SILENT)
    assert found is None or found.by == "network"


def test_a_refusal_from_nearer_than_the_routers_is_no_servers() -> None:
    found = search(FakePath(box=4, kind="tcp", fate=Failure.REFUSED), REFUSED)
    assert found is not None
    assert (found.by, found.after, found.before) == ("network", 3, 4)


WAYS: dict[str, Callable[[], FakePath]] = {
    "one way": FakePath,
    "two ways": lambda: FakePath(lengths=(10, 8, 10, 8)),
    "far ways": lambda: FakePath(lengths=(10, 7, 10, 7)),
    "one short way": lambda: FakePath(lengths=(10, 10, 10, 7)),
    "rewritten at the provider": lambda: FakePath(rewritten=2),
    "rewritten in the middle": lambda: FakePath(rewritten=6),
    "rewritten before the site": lambda: FakePath(rewritten=9),
    "silent routers": lambda: FakePath(mute=frozenset({3, 4, 7})),
    "silent before the server": lambda: FakePath(mute=frozenset({7, 8, 9})),
    "slow routers": lambda: FakePath(limited=0.5),
    "very slow routers": lambda: FakePath(limited=0.0),
    "near": lambda: FakePath(lengths=(3,) * 4),
    "on this network": lambda: FakePath(lengths=(1,) * 4),
    "very far": lambda: FakePath(lengths=(33,) * 4),
}
SERVERS = [
    (NAME, "hello", Failure.TIMEOUT),
    (NAME, "hello", Failure.RESET),
    (SILENT, "tcp", Failure.TIMEOUT),
    (SILENT, "all", Failure.TIMEOUT),
    (REFUSED, "tcp", Failure.REFUSED),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("seen", "kind", "fate"), SERVERS)
def test_no_path_makes_a_server_the_network(
    way: str, seen: Sequence[Step], kind: str, fate: Failure
) -> None:
    path = replace_path(WAYS[way](), server=True, kind=kind, fate=fate)
    found = search(path, seen)
    assert found is None or found.by == "server"
    if way in {"one way", "two ways", "far ways", "one short way"}:
        assert found is not None
    if way in {
        "rewritten at the provider",
        "rewritten in the middle",
        "near",
        "on this network",
        "very far",
        "very slow routers",
    }:
        assert found is None


def replace_path(path: FakePath, **changes: object) -> FakePath:
    for name, value in changes.items():
        setattr(path, name, value)
    return path


@pytest.mark.parametrize(
    "path",
    [
        FakePath(box=5, rewritten=2),
        FakePath(box=5, punish=True),
        FakePath(box=5, limited=0.0),
        FakePath(box=5, ways=frozenset({0, 1})),
        FakePath(box=5, mute=frozenset({6, 7, 8})),
        FakePath(box=5, given=False),
    ],
    ids=["rewritten", "punishing", "slow routers", "on one of two ways", "silent", "refused"],
)
def test_what_cannot_be_compared_says_nothing(path: FakePath) -> None:
    assert search(path) is None


def test_a_box_before_the_router_that_rewrites_is_still_the_networks() -> None:
    found = search(FakePath(box=3, rewritten=6))
    assert found is not None
    assert (found.by, found.before) == ("network", 3)


def test_a_silent_router_two_before_the_server_is_passed_over() -> None:
    found = search(FakePath(box=4, mute=frozenset({8})))
    assert found is not None
    assert (found.by, found.before) == ("network", 4)


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        (NAME, {"harmless": ()}),
        (NAME[:3], {}),
        ((*NAME, tls()), {}),
        ((NAME[0], NAME[1], NAME[3]), {}),
        (SILENT, {"references": ()}),
        (SILENT, {"references": (Reference("https://here.example/", ABROAD, foreign=False),)}),
        (SILENT, {"controls": (control(tcp(failure=Failure.TIMEOUT)),)}),
        (SILENT[:1], {}),
        ((*SILENT, tcp()), {}),
    ],
)
def test_nothing_is_sent_where_nothing_is_open_or_comparable(
    seen: Sequence[Step], changes: dict[str, object]
) -> None:
    path = FakePath(box=4)
    assert search(path, seen, **changes) is None
    assert path.sent == []


def test_the_cost_is_bounded() -> None:
    for seen, kind in ((NAME, "hello"), (SILENT, "tcp"), (REFUSED, "tcp"), (SILENT, "all")):
        for box in (None, 3, 5, 8):
            path = FakePath(box=box, kind=kind, server=box is None)
            search(path, seen)
            assert sum(not each.startswith("udp") for each in path.sent) <= 44
            most = 64 if kind == "all" else 32
            assert sum(each.startswith("udp") for each in path.sent) <= most


LOSSY = range(20)
LENGTHS = [(10,) * 4, (10, 10, 10, 7), (10, 7, 10, 7)]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("seen", "kind", "fate"), SERVERS)
def test_a_firewall_of_the_site_is_told_where_packets_are_lost(
    seen: Sequence[Step], kind: str, fate: Failure, lengths: tuple[int, ...]
) -> None:
    made = {"server": True, "kind": kind, "fate": fate, "lengths": lengths, "loss": 0.03}
    for seed in LOSSY:
        found = search(replace_path(FakePath(), chance=random.Random(seed), **made), seen)
        assert found is not None, seed
        assert found.by == "server"


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("seen", "kind", "fate"), SERVERS)
def test_a_box_is_found_at_its_hop_where_packets_are_lost(
    seen: Sequence[Step], kind: str, fate: Failure, lengths: tuple[int, ...]
) -> None:
    made = {"box": 4, "kind": kind, "fate": fate, "lengths": lengths, "loss": 0.03}
    paths = [replace_path(FakePath(), chance=random.Random(seed), **made) for seed in LOSSY]
    found = [place for path in paths if (place := search(path, seen)) is not None]
    assert {place.by for place in found} == {"network"}
    assert sum(place.before == 4 for place in found) >= len(LOSSY) - 2


class HashedWays(FakePath):
    """A load balancer chooses one of two ways by protocol and flow; one is two routers shorter."""

    def _meet(
        self, kind: str, address: str, name: str | None, ttl: int, flow: int
    ) -> tuple[Failure | None, bool]:
        way = random.Random(f"{self.seed} {'udp' if kind == 'udp' else 'tcp'} {address} {flow}")
        self.lengths = (way.choice((7, 9)),)
        return super()._meet(kind, address, name, ttl, flow)


@pytest.mark.parametrize(("seen", "kind", "fate"), SERVERS)
def test_a_firewall_of_the_site_is_told_behind_a_load_balancer(
    seen: Sequence[Step], kind: str, fate: Failure
) -> None:
    made = {"server": True, "kind": kind, "fate": fate}
    found = [search(replace_path(HashedWays(seed=n), **made), seen) for n in range(100)]
    assert all(place is None or place.by == "server" for place in found)
    assert found.count(None) <= 2


@pytest.mark.parametrize(("seen", "kind", "fate"), SERVERS)
def test_a_box_is_found_behind_a_load_balancer(
    seen: Sequence[Step], kind: str, fate: Failure
) -> None:
    made = {"box": 3, "kind": kind, "fate": fate, "edge": 7}
    found = [search(replace_path(HashedWays(seed=n), **made), seen) for n in range(100)]
    hops = [(place.by, place.before) for place in found if place is not None]
    assert set(hops) == {("network", 3)}
    assert len(hops) >= 95


def test_a_shorter_way_to_a_firewall_that_refuses_is_no_box() -> None:
    """One flow in four takes it, and is refused two routers before the others' server."""
    path = FakePath(lengths=(10, 10, 10, 8), server=True, kind="tcp", fate=Failure.REFUSED)
    found = search(path, REFUSED)
    assert found is not None
    assert found.by == "server"
