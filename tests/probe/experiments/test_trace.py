"""The order of a trace: harmless name first, nearest hop first, and where it ends."""

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
class FakePath(FakeNet):
    """A path of six hops; from `box` on, the target's name over TLS meets `fate`.

    Attributes:
        punish: How many harmless offers fail after each offer of the target's name.
    """

    box: int | None = None
    fate: str = "r"
    punish: int = 0
    dead: set[str] = field(default_factory=set)
    raw: str | None = "no CAP_NET_RAW"
    probes: list[tuple[str, int | None]] = field(default_factory=list)
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
        self.probes.append((name, ttl))
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


def traced(path: FakePath, **options: object) -> Steps:
    path.names = {(r.label, SITE): (ADDRESS,) for r in path.resolvers}
    task = Task(f"https://{SITE}/", harmless=("harmless.example",), options=options)
    return asyncio.run(measure(task, path))


def test_the_harmless_name_goes_first_and_the_target_no_farther_than_needed() -> None:
    path = FakePath(box=4)
    steps = traced(path, max_hops=12, tries=2)
    first = next(i for i, (name, _) in enumerate(path.probes) if name == SITE)
    assert {ttl for _, ttl in path.probes[:first]} == {None, *range(1, 9)}
    offered = [ttl for name, ttl in path.probes if name == SITE]
    assert offered == [ttl for ttl in range(1, FAR + 1) for _ in range(2)]
    found = trace_analysis.locate(steps, "tls")
    assert found is not None
    assert (found.after, found.by, found.server) == (3, 4, FAR)
    assert trace_analysis.locate(steps, "http") is trace_analysis.locate(steps, "dns") is None


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
