"""The order of a trace: harmless name first, nearest hop first, and where it ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe.analysis import trace_analysis, trace_hops
from probe.experiments.interface import Resolver, Task, TtlProber
from probe.experiments.trace import measure
from probe.failure import Failure
from probe.judge import judge
from probe.lab.cases import read
from probe.model import Dns, Http, Mechanism, Outcome, Ping, Role, Steps, Tcp, Tls, Travel
from tests.fake_net import FakeNet
from tests.probe.rules.test_trace import record as record_of
from tests.probe.wayfarer import ADDRESS, look, router

CASES = Path(__file__).parents[2] / "cases" / "trace"
SITE = "site.example"
FAR = 6


@dataclass
class FakePath(FakeNet):
    """A path of six hops; from `box` on, the target's name over TLS meets `fate`.

    Attributes:
        punish: How many harmless offers fail after each offer of the target's name.
        longer: By how many routers every second way is longer.
        named_longer: By how many the ways of all packets with a name are longer than those of SYNs.
        flows: The names sent with each TTL in each flow.
    """

    box: int | None = None
    fate: str = "r"
    punish: int = 0
    dead: set[str] = field(default_factory=set)
    raw: str | None = "no CAP_NET_RAW"
    probes: list[tuple[str, int | None]] = field(default_factory=list)
    owed: int = 0
    kept: bool | None = None
    longer: int = 0
    named_longer: int = 0
    flows: dict[tuple[int | None, int | None], list[str]] = field(default_factory=dict)

    @asynccontextmanager
    async def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AsyncIterator[TtlProber]:
        self.kept = keep
        assert list(addresses) == [ADDRESS]
        yield self

    def _letter(self, name: str, ttl: int | None) -> str:
        self.probes.append((name, ttl))
        if name == SITE and self.box is not None and (ttl or 99) >= self.box:
            self.owed = self.punish
            return self.fate
        return "a" if ttl is None or ttl >= FAR + self.named_longer else "x"

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        far = FAR + (self.longer if flow % 2 else 0)
        failure = None if ttl >= far else Failure.HOST_UNREACHABLE
        travel = Travel(ttl=ttl, expired=failure is not None)
        return Tcp(address=address, port=port, failure=failure, travel=travel, at=self.clock)

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None, flow: int | None = None
    ) -> tuple[Tcp, Tls | None]:
        self.clock += 0.1
        self.flows.setdefault((ttl, flow), []).append(sni)
        if sni != SITE and ttl is None and self.owed:
            self.owed -= 1
            return Tcp(address=address, port=port, failure=Failure.TIMEOUT, at=self.clock), None
        tcp, tls = look("tls", self._letter(sni, ttl), ttl)
        assert isinstance(tcp, Tcp)
        assert isinstance(tls, Tls)
        return replace(tcp, at=self.clock), replace(tls, at=self.clock)

    async def request(
        self, url: str, address: str, host: str, ttl: int | None, flow: int | None = None
    ) -> Steps:
        _, http = look("http", "a" if ttl is None or ttl >= FAR else "x", ttl)
        assert isinstance(http, Http)
        return Tcp(address=address, port=80), http

    async def query(self, name: str, resolver: Resolver, ttl: int, flow: int | None = None) -> Dns:
        (step,) = look("dns", "a" if ttl >= FAR else "x", ttl)
        assert isinstance(step, Dns)
        return step

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        return [router(1, None), router(2)]


def traced(path: FakePath, **options: object) -> Steps:
    names = (SITE, "harmless.example")
    path.names = {(r.label, name): (ADDRESS,) for r in path.resolvers for name in names}
    task = Task(f"https://{SITE}/", harmless=("harmless.example",), options=options)
    return asyncio.run(measure(task, path))


def test_the_harmless_name_goes_first_in_each_flow_and_no_farther_than_needed() -> None:
    path = FakePath(box=4)
    steps = traced(path, max_hops=12, tries=2)
    offered = [ttl for name, ttl in path.probes if name == SITE]
    assert offered == [ttl for ttl in range(1, FAR + 1) for _ in range(2)]
    assert {ttl for name, ttl in path.probes if name != SITE} == {None, *range(1, 9)}
    shared = {flow: names for flow, names in path.flows.items() if SITE in names}
    assert all(names == ["harmless.example", SITE] for names in shared.values())
    assert len({port for _, port in shared}) == len(shared) == 2 * FAR
    found = trace_analysis.locate(steps, "tls")
    assert found is not None
    assert (found.after, found.by, found.server, found.early) == (3, 4, FAR, True)
    assert trace_analysis.locate(steps, "http") is trace_analysis.locate(steps, "dns") is None


def test_the_nearest_of_several_ways_is_the_servers_distance() -> None:
    for longer in (0, 1, 3):
        steps = traced(FakePath(longer=longer), tries=2)
        assert trace_hops.server_at(steps, "tls") == FAR
        assert trace_hops.spread(steps, "tls") == longer
        ways = {(s.port, s.role) for s in steps if isinstance(s, Tcp) and s.travel is not None}
        assert ways == {(443, Role.NEUTRAL), (80, Role.NEUTRAL)}


@pytest.mark.parametrize(("longer", "beyond"), [(0, 0), (2, 2), (6, 6)])
def test_names_are_compared_as_far_as_the_server_answers_one(longer: int, beyond: int) -> None:
    """By chance, SYNs of other ports may all take a shorter way than the names."""
    path = FakePath(box=FAR + beyond, fate="s", named_longer=longer)
    steps = traced(path)
    assert max(ttl or 0 for name, ttl in path.probes if name == SITE) == FAR + beyond
    said = judge(record_of(steps))
    assert said.outcome is Outcome.INCONCLUSIVE
    assert said.rules[0].id == "path.differs_at_the_server"


def test_without_an_answer_to_any_limited_name_the_trace_ends_near_the_server() -> None:
    path = FakePath(named_longer=50)
    traced(path)
    assert FAR < max(ttl or 0 for _, ttl in path.probes) < FAR + 12


@pytest.mark.parametrize("harmless", ["", SITE])
def test_without_a_name_to_compare_with_nothing_is_sent(harmless: str) -> None:
    path = FakePath()
    path.names = {(r.label, SITE): (ADDRESS,) for r in path.resolvers}
    task = Task(f"https://{SITE}/", harmless=(harmless,) if harmless else ())
    steps = asyncio.run(measure(task, path))
    assert not path.probes
    assert {hit.id for hit in judge(record_of(steps)).rules} == {"path.nothing_was_sent"}


def test_a_harmless_name_without_address_is_not_compared_over_dns() -> None:
    path = FakePath()
    path.names = {(r.label, SITE): (ADDRESS,) for r in path.resolvers}
    task = Task(f"https://{SITE}/", harmless=("harmless.example",))
    steps = asyncio.run(measure(task, path))
    assert not trace_hops.hops(steps, "dns")
    assert trace_hops.hops(steps, "tls")


def test_the_address_of_an_encrypted_resolver_is_traced_rather_than_a_forged_one() -> None:
    path = FakePath()
    path.names = {
        (r.label, SITE): (ADDRESS if r.transport == "doh" else "203.0.113.66",)
        for r in path.resolvers
    }
    assert any(r.transport == "doh" for r in path.resolvers)
    asyncio.run(measure(Task(f"https://{SITE}/", harmless=("harmless.example",)), path))
    assert path.probes  # `ttl_prober` refuses any other address


def test_the_record_says_why_packets_are_not_captured() -> None:
    steps = traced(FakePath(), keep=True)
    assert [s.detail for s in steps if isinstance(s, Ping) and s.what == "raw"] == [
        "no CAP_NET_RAW"
    ]
    seen = FakePath(raw=None)
    assert not [s for s in traced(seen) if isinstance(s, Ping) and s.what == "raw"]
    assert seen.kept is False


def test_a_blocked_address_ends_the_trace_without_the_option_residual() -> None:
    path = FakePath(box=3, punish=5)
    steps = traced(path)
    assert [ttl for name, ttl in path.probes if name == SITE].count(3) == 1
    assert max(ttl or 0 for name, ttl in path.probes if name == SITE) == 3
    assert trace_analysis.locate(steps, "tls") is None, "seen once"


def test_with_the_option_residual_the_duration_is_measured() -> None:
    path = FakePath(box=3, punish=5)
    steps = traced(path, residual=60, tries=2)
    assert [ttl for name, ttl in path.probes if name == SITE].count(3) == 2
    assert max(ttl or 0 for name, ttl in path.probes if name == SITE) == 3
    found = trace_analysis.residual(steps, "tls")
    assert found is not None
    assert found.most is not None
    assert 0 < found.least < found.most
    located = trace_analysis.locate(steps, "tls")
    assert located is not None
    assert located.by == 3


def test_without_an_answer_to_the_harmless_name_nothing_is_compared() -> None:
    path = FakePath(punish=10**6, owed=10**6)
    steps = traced(path)
    assert not trace_hops.hops(steps, "tls")
    assert [hop.ttl for hop in trace_hops.hops(steps, "http")][-1] >= FAR


@pytest.mark.parametrize(
    ("name", "mechanism", "stands"),
    [("on_path", Mechanism.TLS_RESET, "on"), ("in_path", Mechanism.TLS_TIMEOUT, "in")],
)
def test_what_was_traced_in_the_lab_is_judged_again(
    name: str, mechanism: Mechanism, stands: str
) -> None:
    record = read(CASES / f"{name}.json").record
    verdict = judge(record)
    assert (verdict.outcome, verdict.mechanisms) == (Outcome.BLOCKED, (mechanism,))
    found = trace_analysis.locate(record.steps, "tls")
    assert found is not None
    assert found.position == stands
    assert {step.role for step in found.steps} == {Role.TARGET}
