"""The catalogue as data: complete, unique, and with addresses of the plan only."""

from collections import Counter
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from probe.lab import addresses as plan
from probe.lab.catalogue import catalogue
from probe.lab.quic_server import is_here
from probe.lab.scenario import (
    WIRE,
    DnsTampering,
    Expect,
    PathShape,
    Scenario,
    Throttle,
    WholeLine,
)
from probe.lab.topology import build, permanent_sites
from probe.model import Mechanism, Outcome

SCENARIOS = catalogue()
UNGROUPED = [each for each in SCENARIOS if not each.group]


def test_there_are_enough_scenarios_of_both_kinds() -> None:
    assert len(SCENARIOS) >= 90
    outcomes = Counter(expect.outcome for each in SCENARIOS for expect in each.expect)
    assert set(outcomes) == set(Outcome)
    assert outcomes[Outcome.BLOCKED] >= 60
    assert outcomes[Outcome.OK] + outcomes[Outcome.DOWN] >= 60
    assert sum(each.loopback for each in SCENARIOS) >= 20


def test_names_are_unique() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
    sites = [site.name for each in UNGROUPED for site in each.sites]
    assert len(set(sites)) == len(sites)
    assert set(sites).isdisjoint(site.name for site in permanent_sites())
    urls = [expect.url for each in UNGROUPED for expect in each.expect]
    assert len(set(urls)) == len(urls)


def test_a_group_has_one_scenario_of_each_service() -> None:
    group = [each for each in SCENARIOS if each.group]
    assert {each.group for each in group} == {
        str(each.environment).split(", ")[2] for each in group
    }
    for name in {each.group for each in group}:
        inside = [each for each in group if each.group == name]
        assert len({each.environment for each in inside}) == 1
        inputs = [expect.url for each in inside for expect in each.expect]
        assert len(set(inputs)) == len(inputs)
        assert all(each.expect[0].url == f"service:{each.experiments[0]}" for each in inside)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_scenario_refers_to_its_own_sites(scenario: Scenario) -> None:
    names = {site.name for site in scenario.sites}
    assert scenario.expect
    if not scenario.group:
        assert {urlsplit(expect.url).hostname for expect in scenario.expect} <= names
    interferences = [
        interference
        for interference in scenario.censor
        if not isinstance(interference, WholeLine | PathShape)
    ]
    assert {interference.name for interference in interferences} <= names
    assert all(expect.why.endswith(".") for expect in scenario.expect)


def test_every_mechanism_is_expected_in_some_scenario() -> None:
    named = {
        mechanism
        for each in SCENARIOS
        for expect in each.expect
        for mechanism in (*expect.mechanisms, *expect.any_of)
    }
    quic = {Mechanism.QUIC_TIMEOUT, Mechanism.QUIC_REFUSED}
    assert set(Mechanism) - named == (set() if is_here() else quic)


def test_throttled_scenarios_run_the_throttle_experiment() -> None:
    """`web` alone shows a freeze, and no other slowness."""
    slowed = [
        each
        for each in SCENARIOS
        if any(isinstance(one, Throttle) and one.how != "freeze" for one in each.censor)
    ]
    assert slowed
    assert all("throttle" in each.experiments for each in slowed)


def test_no_address_is_a_bogon_by_accident() -> None:
    topology = build(UNGROUPED, WIRE)
    assert all(ip_address(address).is_global for address in topology.names_at)
    resolvers = [plan.SYSTEM_RESOLVER, *plan.PUBLIC_RESOLVERS, *plan.PUBLIC_RESOLVERS6]
    sites = [plan.CLIENT, plan.CLIENT6, plan.ABROAD, plan.ABROAD6, plan.COLLECTOR]
    assert all(ip_address(address).is_global for address in (*resolvers, *sites))
    assert not ip_address(plan.BOGON).is_global


def test_two_sites_share_an_address_only_if_declared() -> None:
    topology = build(UNGROUPED, WIRE)
    shared = {address: names for address, names in topology.names_at.items() if len(names) > 1}
    assert all(any(topology.sites[name].site.shares for name in names) for names in shared.values())
    mirrored = [
        interference
        for each in SCENARIOS
        for interference in each.censor
        if isinstance(interference, DnsTampering)
    ]
    assert all(
        topology.mirrors[interference.name] in topology.names_at
        for interference in mirrored
        if interference.how == "mirror"
    )


OK_OR_DOWN = Expect("https://a.org/", Outcome.OK, "Why.", also_acceptable=(Outcome.DOWN,))
BLOCKED = Expect(
    "https://b.org/",
    Outcome.BLOCKED,
    "Why.",
    mechanisms=(Mechanism.DNS_NXDOMAIN,),
    any_of=(Mechanism.TLS_RESET, Mechanism.TCP_RESET),
    also_acceptable=(Mechanism.TCP_TIMEOUT, Outcome.INCONCLUSIVE),
)


@pytest.mark.parametrize(
    ("expect", "outcome", "mechanisms", "right"),
    [
        (OK_OR_DOWN, "ok", (), True),
        (OK_OR_DOWN, "down", (), True),
        (OK_OR_DOWN, "ok", ("tls.reset",), False),
        (OK_OR_DOWN, "blocked", (), False),
        (BLOCKED, "blocked", ("dns.nxdomain", "tls.reset"), True),
        (BLOCKED, "blocked", ("dns.nxdomain", "tcp.reset", "tcp.timeout"), True),
        (BLOCKED, "blocked", ("dns.nxdomain",), False),
        (BLOCKED, "blocked", ("tls.reset",), False),
        (BLOCKED, "blocked", ("dns.nxdomain", "tls.reset", "tls.mitm"), False),
        (BLOCKED, "inconclusive", (), True),
    ],
)
def test_a_verdict_is_right(
    expect: Expect, outcome: str, mechanisms: tuple[str, ...], *, right: bool
) -> None:
    assert expect.accepts(outcome, mechanisms) is right


def test_a_false_positive_reports_interference_where_there_is_none() -> None:
    assert OK_OR_DOWN.is_false_positive("blocked")
    assert OK_OR_DOWN.is_false_positive("intercepted")
    assert not OK_OR_DOWN.is_false_positive("inconclusive")
    assert not BLOCKED.is_false_positive("blocked")
    assert not BLOCKED.is_false_positive("throttled")
