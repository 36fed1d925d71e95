"""The catalogue as data: complete, unique, and nothing in it can leave the lab by accident."""

from collections import Counter
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from probe.lab import addresses as plan
from probe.lab.catalogue import catalogue
from probe.lab.quic_server import is_here
from probe.lab.scenario import WIRE, Expect, Lie, Nation, Scenario, Slow
from probe.lab.topology import build, standing
from probe.model import Mechanism, Outcome

EVERY = catalogue()
SHARED = [each for each in EVERY if not each.apart]


def test_there_are_enough_scenarios_of_both_kinds() -> None:
    assert len(EVERY) >= 90
    outcomes = Counter(expect.outcome for each in EVERY for expect in each.expect)
    assert set(outcomes) == set(Outcome)
    assert outcomes[Outcome.BLOCKED] >= 60
    assert outcomes[Outcome.OK] + outcomes[Outcome.DOWN] >= 60
    assert sum(each.street for each in EVERY) >= 20


def test_names_are_unique() -> None:
    assert len({each.name for each in EVERY}) == len(EVERY)
    sites = [site.name for each in SHARED for site in each.sites]
    assert len(set(sites)) == len(sites)
    assert set(sites).isdisjoint(site.name for site in standing())
    urls = [expect.url for each in SHARED for expect in each.expect]
    assert len(set(urls)) == len(urls)


def test_a_country_of_its_own_plays_each_service_once() -> None:
    apart = [each for each in EVERY if each.apart]
    assert {each.apart for each in apart} == {str(each.climate).split(", ")[2] for each in apart}
    for name in {each.apart for each in apart}:
        inside = [each for each in apart if each.apart == name]
        assert len({each.climate for each in inside}) == 1
        inputs = [expect.url for each in inside for expect in each.expect]
        assert len(set(inputs)) == len(inputs)
        assert all(each.expect[0].url == f"service:{each.experiments[0]}" for each in inside)


@pytest.mark.parametrize("scenario", EVERY, ids=lambda each: each.name)
def test_a_scenario_is_about_its_own_sites(scenario: Scenario) -> None:
    names = {site.name for site in scenario.sites}
    assert scenario.expect
    if not scenario.apart:
        assert {urlsplit(expect.url).hostname for expect in scenario.expect} <= names
    acts = [act for act in scenario.censor if not isinstance(act, Nation)]
    assert {act.name for act in acts} <= names
    assert all(expect.why.endswith(".") for expect in scenario.expect)


def test_every_mechanism_that_can_be_played_is_expected_somewhere() -> None:
    named = {
        mechanism
        for each in EVERY
        for expect in each.expect
        for mechanism in (*expect.mechanisms, *expect.any_of)
    }
    quic = {Mechanism.QUIC_TIMEOUT, Mechanism.QUIC_REFUSED}
    assert set(Mechanism) - named == (set() if is_here() else quic)


def test_throttling_is_asked_of_the_experiment_that_can_see_it() -> None:
    slowed = [each for each in EVERY if any(isinstance(act, Slow) for act in each.censor)]
    assert slowed
    assert all("throttle" in each.experiments for each in slowed)


def test_no_address_of_the_world_is_a_bogon_by_accident() -> None:
    world = build(SHARED, WIRE)
    assert all(ip_address(address).is_global for address in world.at)
    resolvers = [plan.SYSTEM_RESOLVER, *plan.PUBLIC_RESOLVERS, *plan.PUBLIC_RESOLVERS6]
    places = [plan.CLIENT, plan.CLIENT6, plan.ABROAD, plan.ABROAD6, plan.COLLECTOR]
    assert all(ip_address(address).is_global for address in (*resolvers, *places))
    assert not ip_address(plan.BOGON).is_global


def test_no_two_sites_share_an_address_unless_they_say_so() -> None:
    world = build(SHARED, WIRE)
    shared = {address: names for address, names in world.at.items() if len(names) > 1}
    assert all(any(world.places[name].site.shares for name in names) for names in shared.values())
    mirrored = [act for each in EVERY for act in each.censor if isinstance(act, Lie)]
    assert all(world.mirrors[act.name] in world.at for act in mirrored if act.how == "mirror")


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


def test_only_an_accusation_where_none_is_due_is_a_false_one() -> None:
    assert OK_OR_DOWN.accuses_falsely("blocked")
    assert OK_OR_DOWN.accuses_falsely("intercepted")
    assert not OK_OR_DOWN.accuses_falsely("inconclusive")
    assert not BLOCKED.accuses_falsely("blocked")
    assert not BLOCKED.accuses_falsely("throttled")
