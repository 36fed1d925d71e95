"""How a trace walks: harmless name first, nearest first, and no farther when one is punished."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe.analysis import trace_analysis
from probe.experiments.interface import Resolver, Task, TtlProber
from probe.experiments.trace import measure
from probe.failure import Failure
from probe.judge import judge
from probe.lab.cases import read
from probe.model import Dns, Http, Mechanism, Outcome, Ping, Role, Steps, Tcp, Tls
from tests.fake_net import FakeNet
from tests.probe.wayfarer import ADDRESS, look, router

CASES = Path(__file__).parents[2] / "cases" / "trace"
SITE = "site.example"
FAR = 6


@dataclass
class FakeWay(FakeNet):
    """A way of six hops; from `box` on, the target's name over TLS meets `fate`.

    Attributes:
        punish: So many harmless looks fail after each offer.
    """

    box: int | None = None
    fate: str = "r"
    punish: int = 0
    dead: set[str] = field(default_factory=set)
    raw: str | None = "no CAP_NET_RAW"
    looks: list[tuple[str, int | None]] = field(default_factory=list)
    owed: int = 0
    kept: bool | None = None

    @asynccontextmanager
    async def ttl_prober(
        self, addresses: Sequence[str], *, keep: bool = False
    ) -> AsyncIterator[TtlProber]:
        self.kept = keep
        assert list(addresses) == [ADDRESS]
        yield self

    def _letter(self, name: str, ttl: int | None) -> str:
        self.looks.append((name, ttl))
        if name == SITE and self.box is not None and (ttl or 99) >= self.box:
            self.owed = self.punish
            return self.fate
        return "a" if ttl is None or ttl >= FAR else "x"

    async def hello(
        self, address: str, port: int, sni: str, ttl: int | None
    ) -> tuple[Tcp, Tls | None]:
        self.clock += 0.1
        if sni != SITE and ttl is None and self.owed:
            self.owed -= 1
            return Tcp(address=address, port=port, failure=Failure.TIMEOUT, at=self.clock), None
        tcp, tls = look("tls", self._letter(sni, ttl), ttl)
        assert isinstance(tcp, Tcp)
        assert isinstance(tls, Tls)
        return replace(tcp, at=self.clock), replace(tls, at=self.clock)

    async def request(self, url: str, address: str, host: str, ttl: int | None) -> Steps:
        _, http = look("http", "a" if ttl is None or ttl >= FAR else "x", ttl)
        assert isinstance(http, Http)
        return Tcp(address=address, port=80), http

    async def query(self, name: str, resolver: Resolver, ttl: int) -> Dns:
        (step,) = look("dns", "a" if ttl >= FAR else "x", ttl)
        assert isinstance(step, Dns)
        return step

    async def routers(self, address: str, hops: int, tries: int) -> Sequence[Ping]:
        return [router(1, None), router(2)]


def walked(way: FakeWay, **options: object) -> Steps:
    way.names = {(r.label, SITE): (ADDRESS,) for r in way.resolvers}
    task = Task(f"https://{SITE}/", harmless=("harmless.example",), options=options)
    return asyncio.run(measure(task, way))


def test_the_harmless_name_goes_first_and_the_target_no_farther_than_needed() -> None:
    way = FakeWay(box=4)
    steps = walked(way, max_hops=12, tries=2)
    first = next(i for i, (name, _) in enumerate(way.looks) if name == SITE)
    assert {ttl for _, ttl in way.looks[:first]} == {None, *range(1, 9)}
    offered = [ttl for name, ttl in way.looks if name == SITE]
    assert offered == [ttl for ttl in range(1, FAR + 1) for _ in range(2)]
    found = trace_analysis.locate(steps, "tls")
    assert found is not None
    assert (found.after, found.by, found.server) == (3, 4, FAR)
    assert trace_analysis.locate(steps, "http") is trace_analysis.locate(steps, "dns") is None


def test_raw_packets_that_can_not_be_seen_are_said() -> None:
    steps = walked(FakeWay(), keep=True)
    assert [s.detail for s in steps if isinstance(s, Ping) and s.what == "raw"] == [
        "no CAP_NET_RAW"
    ]
    seen = FakeWay(raw=None)
    assert not [s for s in walked(seen) if isinstance(s, Ping) and s.what == "raw"]
    assert seen.kept is False


def test_a_punished_address_is_left_alone_unless_somebody_waits() -> None:
    way = FakeWay(box=3, punish=5)
    steps = walked(way)
    assert [ttl for name, ttl in way.looks if name == SITE].count(3) == 1
    assert max(ttl or 0 for name, ttl in way.looks if name == SITE) == 3
    assert trace_analysis.locate(steps, "tls") is None, "seen once"


def test_who_waits_learns_how_long() -> None:
    way = FakeWay(box=3, punish=5)
    steps = walked(way, residual=60, tries=2)
    assert [ttl for name, ttl in way.looks if name == SITE].count(3) == 2
    assert max(ttl or 0 for name, ttl in way.looks if name == SITE) == 3
    found = trace_analysis.residual(steps, "tls")
    assert found is not None
    assert found.most is not None
    assert 0 < found.least < found.most
    located = trace_analysis.locate(steps, "tls")
    assert located is not None
    assert located.by == 3


def test_without_an_answer_to_the_harmless_name_nothing_is_compared() -> None:
    way = FakeWay(punish=10**6, owed=10**6)
    steps = walked(way)
    assert not trace_analysis.hops(steps, "tls")
    assert [hop.ttl for hop in trace_analysis.hops(steps, "http")][-1] >= FAR


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
