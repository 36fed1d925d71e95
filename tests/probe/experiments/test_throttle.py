"""The throttle experiment over a fake net: which transfers it makes, and what follows from them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.api_types import BulkReply
from probe.experiments.interface import Net, Resolver, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TcpConnect, TransferRequest
from probe.experiments.throttle import control_name, measure
from probe.experiments.throughput import ServerHealth
from probe.failure import Failure
from probe.judge import judge
from probe.model import (
    Dns,
    Earlier,
    Http,
    Mechanism,
    Outcome,
    Record,
    Reply,
    Sample,
    Stage,
    Steps,
    Tcp,
    Tls,
    Transfer,
    Vantage,
    Verdict,
)
from probe.runner.daily_quota import DailyQuota, QuotaUsage

BULK = BulkReply(address="198.51.100.7", port=4443, spki_sha256="ab" * 32)
HOME = "203.0.113.5"
URL = "https://slow.example/"

Speed = Callable[[str, str | None, int], float | None]  # address, name, how often -> kbit/s


@dataclass
class FakeNet:
    """Transfers at the speed that a function says; None is a reset, 0 a freeze."""

    speed: Speed
    page: Http | None = None
    status: int = 200
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    resolvers: tuple[Resolver, ...] = (Resolver("system", "192.0.2.53"),)
    ipv6: bool = False
    silent: frozenset[str] = frozenset()
    connects: list[str] = field(default_factory=list)
    clock: float = 0.0

    async def tcp(self, connect: TcpConnect) -> Tcp:
        address, port = connect.address, connect.port
        self.connects.append(address)
        failure = Failure.TIMEOUT if address in self.silent else None
        return Tcp(address=address, port=port, failure=failure)

    async def dns(self, query: DnsQuery) -> Dns:
        return Dns(
            name=query.name,
            resolver=query.resolver.label,
            replies=(Reply(at=0.01, rcode=0, answers=(HOME,)),),
        )

    async def http(self, request: HttpRequest) -> Steps:
        url, address = request.url, request.address
        page = self.page or Http(url=url, address=address, port=443, host="h", status=200)
        tcp = Tcp(address=address, port=443)
        return (tcp, Tls(address=address, port=443, sni="slow.example", bytes_in=3000), page)

    def safe(self, address: str) -> bool:
        return not address.startswith("10.")

    async def pause(self, seconds: float) -> None:
        self.clock += seconds

    async def transfer(self, request: TransferRequest) -> Transfer:
        address, sni, size = request.address, request.sni, request.size
        times = sum(a == address and s == sni for a, s, _ in self.asked)
        self.asked.append((address, sni, size))
        return self.step(request, self.speed(address, sni, times))

    def step(self, request: TransferRequest, kbits: float | None) -> Transfer:
        size, cap = request.size, request.cap
        common = Transfer(
            address=request.address,
            port=443,
            sni=request.sni,
            arm="L",
            pair=1,
            host=request.host,
            status=self.status,
            asked_bytes=size,
            segment_bytes=1448,
            connect_seconds=0.04,
            failure=None,
        )
        if kbits is None:
            return wire_replace(common, ended="reset", failure="connection_reset")
        if request.hold:
            return self.late_step(request, common, kbits)
        if kbits == 0:
            frozen = (
                Sample(at=0.0, wire=3000),
                Sample(at=0.1, wire=13_648),
                Sample(at=cap, wire=13_648),
            )
            return wire_replace(
                common,
                ended="stall",
                handshake_seconds=0.1,
                longest_gap=cap - 0.1,
                stalled_at=13_648,
                samples=frozen,
                wire_bytes=13_648,
            )
        seconds = min(size * 8 / (kbits * 1000), cap)
        got = min(int(kbits * 125 * seconds), size)
        samples = tuple(
            Sample(
                at=seconds * n / 20,
                wire=3000 + got * n // 20,
                segments=(3000 + got * n // 20) // 1448,
                out_of_order=0,
                rcv_rtt=0.05,
                min_rtt=0.04,
            )
            for n in range(21)
        )
        return wire_replace(
            common,
            ended="full" if got >= size * 0.999 else "cap",
            handshake_seconds=0.1,
            received_bytes=got,
            wire_bytes=got + 3000,
            samples=samples,
            elapsed=seconds,
        )

    def late_step(self, request: TransferRequest, common: Transfer, kbits: float) -> Transfer:
        """A hundred kilobytes while it is held, then everything at one speed."""
        held, size, early = request.hold, request.size, 100_000
        seconds = min((size - early) * 8 / (kbits * 1000), request.cap - held)
        got = early + int(kbits * 125 * seconds)
        counts = [(0.0, 3000), (0.1, 5000), (held, early)]
        counts += [(held + seconds * n / 9, early + (got - early) * n // 9) for n in range(1, 10)]
        return wire_replace(
            common,
            ended="full" if got >= size * 0.999 else "cap",
            handshake_seconds=0.1,
            held=held,
            received_bytes=got,
            wire_bytes=got + 3000,
            samples=tuple(Sample(at=at, wire=wire) for at, wire in counts),
            elapsed=held + seconds,
        )


def wire_replace(step: Transfer, **changes: object) -> Transfer:
    from msgspec.structs import replace

    return replace(step, **changes)


def task(**options: object) -> Task:
    return Task(url=URL, seed=7, harmless=("harmless.example",), options=options)


def run(net: FakeNet, chosen: Task, *earlier: Earlier) -> tuple[Steps, Verdict]:
    steps = asyncio.run(measure(chosen, cast("Net", net)))
    record = Record(
        id="1",
        run="2",
        experiment="throttle",
        input=chosen.url,
        started_at="2026-11-21T21:00:00.000Z",
        elapsed=9.0,
        vantage=Vantage(),
        steps=steps,
        earlier=earlier,
    )
    again = codec.decode(codec.encode(record))  # from the record alone
    verdict = judge(again)
    assert verdict == judge(record)
    return steps, verdict


def arms(steps: Steps) -> str:
    return " ".join(f"{s.arm}{s.pair}" for s in steps if isinstance(s, Transfer))


def by_name(slow: str, kbits: float | None, otherwise: float = 20_000) -> Speed:
    return lambda _address, sni, _times: kbits if sni == slow else otherwise


def test_an_open_line_costs_two_transfers_and_one_from_the_site_itself() -> None:
    steps, verdict = run(FakeNet(by_name("none", 0)), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 C0"
    assert verdict.outcome is Outcome.OK
    assert "is not detectable" in verdict.rules[0].reason


def test_where_bytes_are_expensive_two_transfers_are_all() -> None:
    net = FakeNet(by_name("none", 0))
    steps, verdict = run(net, task(bulk=(BULK,), tier="metered"))
    assert arms(steps) == "B1 A1"
    assert [size for _, _, size in net.asked] == [65536, 65536]
    assert verdict.outcome is Outcome.OK


def test_a_slow_name_is_compared_in_five_pairs_and_then_transferred_longer() -> None:
    steps, verdict = run(FakeNet(by_name("slow.example", 128)), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 A2 B2 B3 A3 A4 B4 B5 A5 A0"
    assert verdict.outcome is Outcome.THROTTLED
    assert verdict.mechanisms == (Mechanism.THROTTLE_SLOW,)
    assert verdict.rules[0].id == "throttle.this_name_is_slow"
    assert "not confirmed yet" in verdict.rules[0].reason
    assert 0.7 < verdict.confidence < 0.95


def test_half_the_rate_in_one_run_is_a_suspicion_only() -> None:
    steps, verdict = run(FakeNet(by_name("slow.example", 4500)), task(bulk=(BULK,)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.suspected_once"
    assert arms(steps).count("A") == 6


def before(verdict: Verdict, *, minutes: float) -> Earlier:
    return Earlier(
        run="1",
        age=-minutes * 60,
        outcome=verdict.outcome,
        mechanisms=verdict.mechanisms,
        rule=verdict.rules[0].id,
    )


@pytest.mark.parametrize(("minutes", "counts"), [(10, False), (45, True), (300, False)])
def test_suspected_again_within_two_hours_is_throttled(minutes: float, counts: bool) -> None:  # noqa: FBT001 - a table
    net, chosen = FakeNet(by_name("slow.example", 4500)), task(bulk=(BULK,))
    _, first = run(net, chosen)
    _, second = run(net, chosen, before(first, minutes=minutes))
    if counts:
        assert (second.outcome, second.stage) == (Outcome.THROTTLED, Stage.CONFIRMED)
        assert second.rules[0].id == "throttle.suspected_again"
    else:
        assert (second.outcome, second.stage) == (Outcome.INCONCLUSIVE, Stage.SUSPECTED)


def test_strong_twice_is_confirmed_with_more_confidence() -> None:
    net, chosen = FakeNet(by_name("slow.example", 128)), task(bulk=(BULK,))
    _, first = run(net, chosen)
    _, second = run(net, chosen, before(first, minutes=60 * 6))
    assert (first.stage, second.stage) == (Stage.SUSPECTED, Stage.CONFIRMED)
    assert second.confidence > first.confidence
    assert "as in an earlier run" in second.rules[0].reason


def test_a_freeze_is_named_with_the_bytes_that_came() -> None:
    steps, verdict = run(FakeNet(by_name("slow.example", 0)), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 A2 B2"
    assert verdict.outcome is Outcome.THROTTLED
    assert verdict.mechanisms == (Mechanism.THROTTLE_FROZEN,)
    assert "13648" in verdict.rules[0].reason


def test_errors_on_the_name_alone_are_blocking() -> None:
    _, verdict = run(FakeNet(by_name("slow.example", None)), task(bulk=(BULK,)))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.mechanisms == (Mechanism.TLS_RESET,)


class LimitingNet(FakeNet):
    """The bulk server keeps what was cut on the way for ten seconds, of four connections."""

    left_open: tuple[float, ...] = ()

    async def transfer(self, request: TransferRequest) -> Transfer:
        self.clock += 0.3
        self.left_open = tuple(at for at in self.left_open if at > self.clock - 10.0)
        if request.address == BULK.address and len(self.left_open) >= 4:
            return self.step(request, None)
        step = await super().transfer(request)
        if step.ended == "reset":
            self.left_open += (self.clock,)
        return step


def test_connections_that_were_cut_on_the_way_do_not_fill_the_servers_limit() -> None:
    steps, verdict = run(LimitingNet(by_name("slow.example", None)), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 A2 B2 B3 A3 A4 B4"
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.mechanisms == (Mechanism.TLS_RESET,)


def test_a_line_that_is_slow_for_both_names_is_not_throttled() -> None:
    steps, verdict = run(FakeNet(lambda *_: 200), task(bulk=(BULK,)))
    assert verdict.outcome is Outcome.OK
    assert "the connection or that server is slow" in verdict.rules[0].reason
    assert "above 100 kbit/s is not detectable" in verdict.rules[0].reason
    assert len(steps) <= 8


def test_a_slow_neutral_server_does_not_clear_the_name() -> None:
    def speed(address: str, _sni: str | None, _times: int) -> float:
        return 450 if address == HOME else 100

    steps, verdict = run(FakeNet(speed), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 C0 D0 D1 C1"
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.slow_but_not_by_name"


def test_a_slow_name_is_found_though_the_neutral_server_is_slower() -> None:
    def speed(address: str, sni: str | None, _times: int) -> float:
        return 100 if address != HOME else 450 if sni == "slow.example" else 20_000

    _, verdict = run(FakeNet(speed), task(bulk=(BULK,)))
    assert verdict.outcome is Outcome.THROTTLED
    assert verdict.rules[0].id == "throttle.this_name_is_slow_there"


def test_a_slow_neutral_server_is_not_taken_for_a_slow_line() -> None:
    steps, verdict = run(FakeNet(lambda a, *_: 20_000 if a == HOME else 100), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 C0"
    assert verdict.outcome is Outcome.OK
    assert "that server" in verdict.rules[0].reason
    assert "the connection" not in verdict.rules[0].reason
    assert "above 50 kbit/s is not detectable" in verdict.rules[0].reason


def test_a_slow_address_is_not_called_throttled() -> None:
    def speed(address: str, _sni: str | None, _times: int) -> float:
        return 100 if address == HOME else 20_000

    steps, verdict = run(FakeNet(speed), task(bulk=(BULK,)))
    assert arms(steps) == "B1 A1 C0 D0 D1 C1"
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.slow_but_not_by_name"


def test_without_a_bulk_server_the_site_is_its_own_control() -> None:
    steps, verdict = run(FakeNet(by_name("slow.example", 128)), task())
    assert arms(steps).startswith("D0 D1 C1 C2 D2")
    assert verdict.outcome is Outcome.THROTTLED
    assert "weaker evidence" in verdict.rules[0].reason
    assert verdict.confidence <= 0.7
    _, fine = run(FakeNet(by_name("none", 0)), task())
    assert fine.outcome is Outcome.OK
    assert fine.confidence <= 0.7


@pytest.mark.parametrize("slow", [128, 20_000])
def test_an_unreachable_bulk_server_is_not_used(slow: float) -> None:
    def speed(address: str, sni: str | None, _times: int) -> float | None:
        return None if address != HOME else slow if sni == "slow.example" else 20_000

    steps, verdict = run(FakeNet(speed), task(bulk=(BULK,)))
    assert arms(steps).startswith("B1 A1 A2 B2 D0 D1 C1")
    assert verdict.outcome is (Outcome.THROTTLED if slow == 128 else Outcome.OK)
    assert "own address" in verdict.rules[0].reason


def test_a_silent_bulk_server_costs_one_connection_and_no_transfers() -> None:
    net = FakeNet(by_name("slow.example", 128), silent=frozenset({BULK.address}))
    steps, verdict = run(net, task(bulk=(BULK,)))
    assert arms(steps).startswith("D0 D1 C1")
    assert verdict.rules[0].id == "throttle.this_name_is_slow_there"
    assert BULK.address not in {address for address, _, _ in net.asked}


def test_a_bulk_server_that_was_unreachable_twice_is_given_up_for_the_run() -> None:
    net = FakeNet(by_name("none", 0), silent=frozenset({BULK.address}))
    chosen = task(bulk=(BULK,), standing=ServerHealth())
    for _ in range(4):
        steps, _ = run(net, chosen)
        assert arms(steps) == "D0 D1 C1"
    assert net.connects == [BULK.address] * 2


def test_one_failed_connection_does_not_give_up_a_bulk_server() -> None:
    net, chosen = FakeNet(by_name("none", 0)), task(bulk=(BULK,), standing=ServerHealth())
    net.silent = frozenset({BULK.address})
    run(net, chosen)
    net.silent = frozenset()
    for _ in range(2):
        steps, _ = run(net, chosen)
        assert arms(steps) == "B1 A1 C0"
    assert net.connects == [BULK.address] * 2  # what answers is not asked first again


def test_a_bulk_server_that_connects_and_never_serves_is_given_up_too() -> None:
    net = FakeNet(lambda address, *_: None if address == BULK.address else 20_000)
    chosen = task(bulk=(BULK,), standing=ServerHealth())
    seen = [arms(run(net, chosen)[0]) for _ in range(3)]
    assert seen == ["B1 A1 A2 B2 D0 D1 C1"] * 2 + ["D0 D1 C1"]


def test_a_second_bulk_server_is_used_where_the_first_is_silent() -> None:
    other = BulkReply(address="198.51.100.8", port=4443, spki_sha256="ab" * 32)
    net = FakeNet(by_name("none", 0), silent=frozenset({BULK.address}))
    steps, verdict = run(net, task(bulk=(BULK, other)))
    assert arms(steps) == "B1 A1 C0"
    assert {address for address, _, _ in net.asked} == {other.address, HOME}
    assert verdict.outcome is Outcome.OK


def test_a_bulk_server_with_another_key_is_not_used() -> None:
    class Between(FakeNet):
        async def transfer(self, request: TransferRequest) -> Transfer:
            step = await super().transfer(request)
            if request.address == HOME:
                return step
            return wire_replace(step, ended="error", failure=Failure.SSL_CERTIFICATE)

    steps, verdict = run(Between(by_name("slow.example", 128)), task(bulk=(BULK,)))
    assert arms(steps).startswith("B1 A1 D0 D1 C1")
    assert verdict.rules[0].id == "throttle.this_name_is_slow_there"


def test_slow_for_both_names_is_no_ok_where_no_neutral_server_clears_the_address() -> None:
    steps, verdict = run(FakeNet(lambda *_: 128), task())
    assert arms(steps) == "D0 D1 C1"
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.slow_for_both_there"
    assert "at most 128 kbit/s" in verdict.rules[0].reason


def test_a_site_that_serves_no_other_name_cannot_be_compared() -> None:
    net = FakeNet(lambda _a, sni, _t: 20_000 if sni == "slow.example" else None)
    steps, verdict = run(net, task())
    assert arms(steps) == "D0 D0"
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_reference_host_that_is_faster_is_weaker_than_the_same_host() -> None:
    class Picky(FakeNet):
        async def transfer(self, request: TransferRequest) -> Transfer:
            step = await super().transfer(request)
            fits = request.host == step.sni
            return step if fits else wire_replace(step, status=421, received_bytes=100)

    _, verdict = run(Picky(by_name("slow.example", 128)), task())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.other_host_is_faster"


def test_redirects_are_followed_within_the_site_only() -> None:
    away = Http(
        url=URL, address=HOME, port=443, host="h", status=302, location="https://other.example/"
    )
    steps, _ = run(FakeNet(by_name("none", 0), page=away), task())
    assert {s.host for s in steps if isinstance(s, Transfer)} == {"slow.example"}


def test_a_used_up_quota_stops_everything_and_is_the_reason() -> None:
    purse = DailyQuota(QuotaUsage(day="2026-11-21", spent=19_950_000))
    net = FakeNet(by_name("slow.example", 128))
    steps, verdict = run(net, task(bulk=(BULK,), budget=purse))
    assert net.asked == []
    assert next(s.ended for s in steps if isinstance(s, Transfer)) == "budget"
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "quota" in verdict.rules[0].reason


def test_the_quota_counts_bytes_on_the_wire() -> None:
    purse = DailyQuota(QuotaUsage(day="2026-11-21"))
    steps, _ = run(FakeNet(by_name("none", 0)), task(bulk=(BULK,), budget=purse, tier="metered"))
    assert purse.usage.spent == sum(s.wire_bytes for s in steps if isinstance(s, Transfer))


# --- later in a connection --------------------------------------------------------------------


def late_task(*, spent: int = 0, suspected: bool = False, **options: object) -> Task:
    quota = DailyQuota(QuotaUsage(day="2026-11-21", spent=spent))
    chosen = task(bulk=(BULK,), budget=quota, **options)
    return replace(chosen, suspected=suspected)


class LateNet(FakeNet):
    """The name is slow, or broken, only in transfers that are held first."""

    late: float | None = 512

    async def transfer(self, request: TransferRequest) -> Transfer:
        if request.hold and request.sni == "slow.example":
            self.asked.append((request.address, request.sni, request.size))
            return self.step(request, self.late)
        return await super().transfer(request)


def test_an_open_line_is_looked_at_later_in_a_connection_too() -> None:
    steps, verdict = run(FakeNet(by_name("none", 0)), late_task())
    assert arms(steps) == "B1 A1 C0 F1 E1"
    assert verdict.outcome is Outcome.OK
    reason = verdict.rules[0].reason
    assert "above 1.7 Mbit/s is not detectable" in reason
    assert "begins after 330 kB or 4." in reason


def test_a_limit_that_begins_late_is_throttling() -> None:
    steps, verdict = run(LateNet(by_name("none", 0)), late_task())
    assert arms(steps) == "B1 A1 C0 F1 E1 E2 F2 F3 E3 E4 F4 F5 E5"
    assert verdict.outcome is Outcome.THROTTLED
    assert verdict.rules[0].id == "throttle.this_name_is_slow_later"
    assert "settling at 512 kbit/s" in verdict.rules[0].reason


def test_a_slight_difference_later_is_no_acquittal() -> None:
    net = LateNet(by_name("none", 0))
    net.late = 7000
    _, verdict = run(net, late_task())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "throttle.suspected_once"


def test_a_name_that_breaks_only_later_is_blocked() -> None:
    net = LateNet(by_name("none", 0))
    net.late = None
    _, verdict = run(net, late_task())
    assert verdict.outcome is Outcome.BLOCKED


@pytest.mark.parametrize(
    ("chosen", "looks"),
    [
        (late_task(spent=2_500_000), True),
        (late_task(spent=5_000_000), False),  # the rest of the day is for other candidates
        (late_task(spent=5_000_000, suspected=True), True),
        (late_task(spent=18_900_000, suspected=True), False),
        (late_task(tier="metered"), False),
        (late_task(later=False), False),
        (late_task(spent=5_000_000, later=True), True),
        (task(bulk=(BULK,)), False),
    ],
)
def test_the_later_look_costs_only_what_can_be_spared(
    chosen: Task,
    looks: bool,  # noqa: FBT001 - a column of the table
) -> None:
    steps, _ = run(FakeNet(by_name("none", 0)), chosen)
    assert ("E1" in arms(steps)) is looks


def test_a_slow_line_is_not_looked_at_later() -> None:
    steps, verdict = run(FakeNet(lambda *_: 1500), late_task())
    assert "E1" not in arms(steps)
    assert "begins after" in verdict.rules[0].reason


def test_a_server_in_the_configuration_is_parsed() -> None:
    net = FakeNet(by_name("none", 0))
    run(net, task(bulk=f"198.51.100.9:443#{'cd' * 32}", tier="metered"))
    assert {address for address, _, _ in net.asked} == {"198.51.100.9"}


@pytest.mark.parametrize("name", ["t.co", "www.azattyq.org", "localhost"])
def test_the_control_name_has_the_length_and_shape_of_the_tested_one(name: str) -> None:
    control = control_name(name, 1)
    assert len(control) == len(name)
    assert [i for i, c in enumerate(control) if c == "."] == [
        i for i, c in enumerate(name) if c == "."
    ]
    assert control == control_name(name, 1)


@given(st.lists(st.sampled_from([None, 0, 50, 128, 900, 20_000]), min_size=20, max_size=20))
def test_every_sequence_ends_and_is_judged(speeds: list[float | None]) -> None:
    left = iter(speeds * 3)
    steps, verdict = run(FakeNet(lambda *_: next(left, 20_000)), task(bulk=(BULK,)))
    assert len(steps) < 50
    assert verdict.outcome in set(Outcome)
