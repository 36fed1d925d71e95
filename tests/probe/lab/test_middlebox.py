"""The iptables rules and traffic classes of the censor's interference, as text."""

from dataclasses import replace

import pytest

from probe.lab import addresses as plan, middlebox, topology as topology_module
from probe.lab.middlebox import classes, dead_server_rules, rules
from probe.lab.scenario import (
    WIRE,
    AddressBlock,
    DnsTampering,
    HttpFilter,
    Interference,
    LabSite,
    Scenario,
    SiteFirewall,
    SniFilter,
    Throttle,
    WholeLine,
)
from probe.lab.topology import Topology, build

SITE = LabSite("example-site.org", ipv6=True)


@pytest.fixture(autouse=True)
def _no_permanent_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology_module, "permanent_sites", list)


def topology_of(*interferences: Interference, site: LabSite = SITE) -> Topology:
    return build([Scenario("test", (site,), (), interferences)], WIRE)


def lines(topology: Topology, *, v6: bool = False) -> list[str]:
    fixed = rules(topology_of(), v6=v6).splitlines()
    return [line for line in rules(topology, v6=v6).splitlines() if line not in fixed]


def test_without_interference_there_are_no_filter_rules() -> None:
    assert "string" not in rules(topology_of())
    assert rules(topology_of()).count("COMMIT") == 3


def test_a_dropped_hello_is_matched_by_its_server_name() -> None:
    found = lines(topology_of(SniFilter(SITE.name, "drop")))
    assert any("|000010|example-site.org" in line and "-j DROP" in line for line in found)
    assert any(
        "|000010|example-site.org" in line
        for line in lines(topology_of(SniFilter(SITE.name, "drop")), v6=True)
    )


@pytest.mark.parametrize("how", ["fin", "alert", "mitm_2019", "mitm_2021", "mitm_anonymous"])
def test_what_the_kernel_cannot_do_is_redirected(how: str) -> None:
    topology = topology_of(replace(SniFilter(SITE.name, "fin"), how=how))  # type: ignore[arg-type]
    (line,) = lines(topology)
    assert topology.sites[SITE.name].v4[0] in line
    assert "REDIRECT --to-ports 7443" in line
    (six,) = lines(topology, v6=True)
    assert topology.sites[SITE.name].v6[0] in six


def test_a_connection_triggers_a_residual_block_once() -> None:
    found = lines(topology_of(SniFilter(SITE.name, "reset", residual=20)))
    (trigger,) = [line for line in found if "--set --rdest" in line or "--rdest --set" in line]
    assert "--mark 0" in trigger
    assert any("--rcheck --seconds 20 -j DROP" in line for line in found)


def test_an_address_block_of_one_port_leaves_the_others() -> None:
    (line,) = lines(topology_of(AddressBlock(SITE.name, "drop", port=443)))
    assert "--dport 443 -j DROP" in line


def test_dns_tampering_affects_the_given_resolvers() -> None:
    name = "|0c|example-site|03|org|00|"
    (every_resolver,) = lines(topology_of(DnsTampering(SITE.name, "nxdomain")))
    (provider,) = lines(topology_of(DnsTampering(SITE.name, "nxdomain", resolvers="system")))
    (others,) = lines(topology_of(DnsTampering(SITE.name, "nxdomain", resolvers="public")))
    assert name in every_resolver
    assert " -d 92.46.190.53 " in provider
    assert " ! -d 92.46.190.53 " in others
    assert lines(topology_of(DnsTampering(SITE.name, "nxdomain")), v6=True) == []


def test_a_shaped_name_has_a_class_and_a_policed_one_has_none() -> None:
    assert classes(topology_of(Throttle(SITE.name, "police", 16_000))) == []
    root, made_class, queue = classes(topology_of(Throttle(SITE.name, "shape", 16_000)))
    assert "htb" in root
    assert "rate 128000bit" in made_class
    assert "bfifo" in queue


def test_a_path_filter_matches_that_path_only() -> None:
    found = lines(topology_of(HttpFilter(SITE.name, "reset", path="/banned")))
    assert all('" /banned "' in line for line in found)


def test_an_outage_drops_everything_and_a_whitelist_does_not() -> None:
    assert lines(topology_of(WholeLine("outage"))) == ["-A FORWARD -j DROP"]
    whitelist = lines(topology_of(WholeLine("whitelist")))
    assert sum("-j ACCEPT" in line for line in whitelist) == 2
    assert lines(topology_of(WholeLine("whitelist")), v6=True) == ["-A FORWARD -j DROP"]
    assert middlebox.HOME in whitelist[-1]


def test_dead_servers_have_rules_on_the_internet_node() -> None:
    silent = dead_server_rules(topology_of(site=replace(SITE, server="silent")))
    refusing = dead_server_rules(topology_of(site=replace(SITE, server="refuses")))
    half = dead_server_rules(topology_of(site=replace(SITE, addresses=3, dead_addresses=1)))
    assert silent.count("-j DROP") == 1
    assert refusing.count("tcp-reset") == 1
    assert half.count("-j DROP") == 1


def test_a_name_that_the_proxy_cuts_is_cut_at_unrelated_servers_too() -> None:
    def redirected(spec: Interference) -> set[str]:
        guest = LabSite("guest.org", shares=SITE.name)
        sites = (SITE, guest, LabSite("unrelated.org"), LabSite("dead.org", server="refuses"))
        topology = build([Scenario("test", sites, (), (spec,))], WIRE)
        found = [line for line in lines(topology) if "REDIRECT" in line]
        assert len(found) == len(set(found))
        return {n for n in topology.sites if any(topology.sites[n].v4[0] in one for one in found)}

    shared = {SITE.name, "guest.org"}  # once, as one address
    assert redirected(SniFilter(SITE.name, "fin")) == {*shared, "unrelated.org"}
    assert redirected(HttpFilter(SITE.name, "truncate")) == {*shared, "unrelated.org"}
    assert redirected(SniFilter(SITE.name, "mitm_2021")) == shared


@pytest.mark.parametrize(("what", "found"), [("hello", "|000010|"), ("host", "|0d0a|host: ")])
def test_a_sites_own_firewall_turns_one_name_away_from_this_client(what: str, found: str) -> None:
    spec = SiteFirewall(SITE.name, what, "reset")  # type: ignore[arg-type]
    (line,) = [one for one in dead_server_rules(topology_of(spec)).splitlines() if found in one]
    assert SITE.name in line
    assert f"-s {plan.CLIENT}" in line
    assert "tcp-reset" in line
