"""Which resolvers `dns` asks, and what follows from the answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from probe.experiments import dns
from probe.experiments.interface import Resolver, Task
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.judge import judge
from probe.model import (
    Dns,
    Line,
    Mechanism,
    Outcome,
    Ping,
    Steps,
    Tls,
    Trust,
    TrustReason,
    Verdict,
)
from probe.reference_data import unused_addresses, whoami_names
from tests.build import (
    GOOD,
    HARMLESS,
    HOST,
    OTHER,
    SINK,
    URL,
    VALID,
    control,
    dns as dns_step,
    record,
)
from tests.fake_net import FakeNet

SYSTEM = Resolver("system", "192.0.2.53")
PLAIN = Resolver("8.8.8.8", "8.8.8.8")
ENCRYPTED = Resolver("8.8.8.8", "8.8.8.8", 443, "doh", "dns.google")
TASK = Task(URL, seed=0, harmless=(HARMLESS,))
(UNUSED,) = unused_addresses()
(WHOAMI,) = whoami_names()
WRONG = replace(VALID, valid=False, reason=TrustReason.HOSTNAME, named=False)

Answer = tuple[str, ...] | Failure


@dataclass
class Ways(FakeNet):
    """(transport, name) beats (resolver, name); `hops`: IP time to live by (transport, name).

    With `forges_below`, what forges an address for the host does so for all names below it, which
    do not exist.
    """

    resolvers: Sequence[Resolver] = (SYSTEM, PLAIN, ENCRYPTED)
    ways: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    hops: dict[tuple[str, str], int] = field(default_factory=dict)
    forges_below: bool = False

    async def dns(self, query: DnsQuery) -> Dns:
        resolver, name = query.resolver, query.name
        way = (resolver.label, resolver.transport, name)
        usual: Answer = Failure.TIMEOUT if resolver.label == UNUSED else (GOOD,)
        if name.endswith(f".{HOST}"):
            forged = self.ways.get((resolver.label, resolver.transport, HOST))
            does = self.forges_below and isinstance(forged, tuple)
            usual = forged if does and forged is not None else Failure.DNS_NXDOMAIN
        self.names = {(resolver.label, name): self.ways.get(way, usual)}
        step = await super().dns(query)
        ttl = self.hops.get((resolver.label, name), 57)
        ip_ttl = ttl if resolver.transport == "udp" else None
        replies = tuple(replace(reply, ip_ttl=ip_ttl) for reply in step.replies)
        return replace(step, replies=replies)


def measured(net: Ways, task: Task = TASK) -> Steps:
    async def run() -> Steps:
        steps = await dns.measure(task, net)
        return await dns.confirm(task, net, steps) if dns.needs_confirmation(task, steps) else steps

    return asyncio.run(run())


def verdict(steps: Steps) -> Verdict:
    line = Line(alive_before=True, alive_after=True)
    return judge(replace(record(url=URL, experiment="dns", line=line), steps=steps))


def reasons(found: Verdict) -> dict[str, str]:
    return {hit.id: hit.reason for hit in found.rules}


def test_every_way_is_asked_a_harmless_name_first() -> None:
    steps = [s for s in measured(Ways()) if isinstance(s, Dns) and s.resolver != UNUSED]
    asked = {(s.resolver, s.transport) for s in steps}
    udp, tcp = ("8.8.8.8", "udp"), ("8.8.8.8", "tcp")
    assert asked == {("system", "udp"), udp, tcp, ("8.8.8.8", "doh"), ("8.8.8.8", "dot")}
    assert [s.name for s in steps] == [HARMLESS, HOST] * 5
    assert {(w.transport, w.port) for w in dns.ways((ENCRYPTED,))} == {("doh", 443), ("dot", 853)}


def test_the_same_answer_over_every_way_is_ok_without_confirmation() -> None:
    steps = measured(Ways())
    assert max(s.try_ for s in steps) == 1
    found = verdict(steps)
    assert (found.outcome, found.mechanisms) == (Outcome.OK, ())


def test_whoami_answers_are_compared_and_never_recorded() -> None:
    secret = "198.51.100.77"
    ways: dict[tuple[str, str, str], Answer] = {
        ("system", "udp", WHOAMI): (secret,),
        ("8.8.8.8", "udp", WHOAMI): (secret,),
        ("8.8.8.8", "doh", WHOAMI): ("172.253.1.1",),
    }
    steps = measured(Ways(ways=ways))
    assert [s.what for s in steps if isinstance(s, Ping)] == ["whoami system"]
    assert secret not in repr(steps)
    found = verdict(steps)
    assert (found.outcome, found.mechanisms) == (Outcome.OK, (Mechanism.DNS_INJECTED,))


@pytest.mark.parametrize(
    ("system", "plain", "encrypted", "expected"),
    [
        ("92.46.1.1", "92.46.1.9", "172.253.1.1", "system"),
        ("92.46.1.1", "172.253.9.1", "172.253.1.1", "own"),
        ("92.46.1.1", "74.125.1.1", "172.253.1.1", "other"),
        ("172.253.2.1", "172.253.2.1", "172.253.1.1", "unknown"),
        ("", "172.253.2.1", "172.253.1.1", "unknown"),
        ("2a00::1", "2a00::2", "172.253.1.1", "system"),
    ],
)
def test_which_resolver_answers_for_another(
    system: str, plain: str, encrypted: str, expected: str
) -> None:
    net = FakeNet(names={(who, "w"): (who,) for who in (system, plain, encrypted) if who})

    async def ask() -> list[Dns]:
        return [await net.dns(DnsQuery("w", Resolver(a, a))) for a in (system, plain, encrypted)]

    assert dns.who(asyncio.run(ask())) == expected


def test_an_answer_from_an_unused_address_is_reported() -> None:
    steps = measured(Ways(ways={(UNUSED, "udp", HARMLESS): (GOOD,)}))
    assert "dns.answered_where_nobody_lives" in reasons(verdict(steps))


def test_nxdomain_from_the_system_resolver_alone_is_blocked() -> None:
    net = Ways(ways={("system", "udp", HOST): Failure.DNS_NXDOMAIN})
    found = verdict(measured(net))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, (Mechanism.DNS_NXDOMAIN,))


def test_a_wrong_address_from_the_system_resolver_is_blocked() -> None:
    sink: dict[tuple[str, str, str], Answer] = {("system", "udp", HOST): (SINK,)}
    shown: dict[tuple[str, str | None], Failure | Trust] = {(SINK, HOST): WRONG}
    found = verdict(measured(Ways(ways=sink, handshakes=shown, forges_below=True)))
    assert found.outcome is Outcome.BLOCKED
    assert Mechanism.DNS_WRONG_ADDRESS in found.mechanisms
    # It may be outdated, or another node of the site, where names that do not exist have none.
    found = verdict(measured(Ways(ways=sink, handshakes=shown)))
    assert found.outcome is Outcome.INCONCLUSIVE


IN_THE_CLEAR = (SYSTEM, PLAIN, Resolver("9.9.9.9", "9.9.9.9"))


def test_without_encrypted_answers_a_certificate_proves_plain_ones() -> None:
    for answer in (Failure.DNS_NXDOMAIN, (SINK,)):
        ways: dict[tuple[str, str, str], Answer] = {("system", "udp", HOST): answer}
        shown: dict[tuple[str, str | None], Failure | Trust] = {(SINK, HOST): WRONG}
        steps = measured(
            Ways(resolvers=IN_THE_CLEAR, ways=ways, handshakes=shown, forges_below=True)
        )
        assert max(s.try_ for s in steps) == 3
        assert verdict(steps).outcome is Outcome.BLOCKED


def test_a_controls_address_is_verified_before_one_from_a_plain_answer() -> None:
    ways: dict[tuple[str, str, str], Answer] = {
        (way.label, transport, HOST): (SINK,)
        for way in IN_THE_CLEAR
        for transport in ("udp", "tcp")
    }
    net = Ways(resolvers=IN_THE_CLEAR, ways=ways, handshakes={(SINK, HOST): WRONG})
    task = replace(TASK, controls=(control(dns_step(GOOD)),))
    steps = measured(net, task)
    assert {s.address for s in steps if isinstance(s, Tls) and s.trust and s.trust.valid} == {GOOD}


def test_unproven_addresses_are_inconclusive_without_encrypted_answers() -> None:
    ways: dict[tuple[str, str, str], Answer] = {("system", "udp", HOST): (SINK,)}
    shown: dict[tuple[str, str | None], Failure | Trust] = {
        (SINK, HOST): Failure.TIMEOUT,
        (GOOD, HOST): Failure.TIMEOUT,
    }
    found = verdict(measured(Ways(resolvers=IN_THE_CLEAR, ways=ways, handshakes=shown)))
    assert found.outcome is Outcome.INCONCLUSIVE


def test_an_answer_with_another_ttl_that_no_other_resolver_gives_is_forged() -> None:
    net = Ways(
        ways={("8.8.8.8", "udp", HOST): (SINK,)},
        hops={("8.8.8.8", HOST): 41},
    )
    found = verdict(measured(net))
    assert found.outcome is Outcome.OK
    assert found.mechanisms == (Mechanism.DNS_INJECTED,)
    assert {"dns.forged_on_the_way", "dns.came_another_way"} <= set(reasons(found))


def test_another_ttl_alone_is_reported_and_proves_nothing() -> None:
    net = Ways(ways={("8.8.8.8", "tcp", HOST): Failure.RESET}, hops={("8.8.8.8", HOST): 41})
    found = verdict(measured(net))
    assert (found.outcome, found.mechanisms) == (Outcome.OK, ())
    assert "8.8.8.8 over udp" in reasons(found)["dns.came_another_way"]
    assert "8.8.8.8 over tcp" in reasons(found)["dns.way_stopped_for_this_name"]


def test_a_way_that_is_blocked_for_every_name_proves_nothing_about_this_one() -> None:
    stopped: dict[tuple[str, str, str], Answer] = {
        ("8.8.8.8", "dot", name): Failure.TIMEOUT for name in (HOST, HARMLESS)
    }
    found = verdict(measured(Ways(ways=stopped)))
    assert (found.outcome, found.mechanisms) == (Outcome.OK, ())
    assert "8.8.8.8 over dot" in reasons(found)["dns.way_stopped_for_every_name"]


def test_a_dead_name_is_down() -> None:
    everywhere = [("system", "udp"), *[("8.8.8.8", t) for t in ("udp", "tcp", "doh", "dot")]]
    net = Ways(ways={(*way, HOST): Failure.DNS_NXDOMAIN for way in everywhere})
    assert verdict(measured(net)).outcome is Outcome.DOWN


def test_a_large_site_is_answered_differently_and_fine() -> None:
    found = verdict(measured(Ways(ways={("8.8.8.8", "udp", HOST): (OTHER,)})))
    assert (found.outcome, found.mechanisms) == (Outcome.OK, ())


def test_an_address_is_not_asked_for() -> None:
    task = replace(TASK, url=f"https://{GOOD}/")
    assert asyncio.run(dns.measure(task, Ways())) == ()
