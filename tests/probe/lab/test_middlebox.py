"""What the censor's acts become in the kernel, as text."""

from dataclasses import replace

import pytest

from probe.lab import middlebox, topology as worlds
from probe.lab.middlebox import classes, dead_servers, rules
from probe.lab.scenario import (
    WIRE,
    Cut,
    Hello,
    Interference,
    Lie,
    Nation,
    Scenario,
    Site,
    Slow,
    Web,
)
from probe.lab.topology import Topology, build

SITE = Site("example-site.org", ipv6=True)


@pytest.fixture(autouse=True)
def _nothing_else_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "standing", list)


def made(*acts: Interference, site: Site = SITE) -> Topology:
    return build([Scenario("test", (site,), (), acts)], WIRE)


def lines(world: Topology, *, v6: bool = False) -> list[str]:
    fixed = rules(made(), v6=v6).splitlines()
    return [line for line in rules(world, v6=v6).splitlines() if line not in fixed]


def test_nothing_is_done_without_acts() -> None:
    assert "string" not in rules(made())
    assert rules(made()).count("COMMIT") == 3


def test_a_dropped_hello_is_found_by_its_server_name() -> None:
    found = lines(made(Hello(SITE.name, "drop")))
    assert any("|000010|example-site.org" in line and "-j DROP" in line for line in found)
    assert any(
        "|000010|example-site.org" in line
        for line in lines(made(Hello(SITE.name, "drop")), v6=True)
    )


@pytest.mark.parametrize("how", ["fin", "alert", "mitm_2019", "mitm_2021", "mitm_anonymous"])
def test_what_the_kernel_can_not_do_is_redirected(how: str) -> None:
    world = made(replace(Hello(SITE.name, "fin"), how=how))  # type: ignore[arg-type]
    (line,) = lines(world)
    assert world.places[SITE.name].v4[0] in line
    assert "REDIRECT --to-ports 7443" in line
    (six,) = lines(world, v6=True)
    assert world.places[SITE.name].v6[0] in six


def test_a_residual_block_is_set_once_by_a_connection() -> None:
    found = lines(made(Hello(SITE.name, "reset", residual=20)))
    (trigger,) = [line for line in found if "--set --rdest" in line or "--rdest --set" in line]
    assert "--mark 0" in trigger
    assert any("--rcheck --seconds 20 -j DROP" in line for line in found)


def test_a_cut_of_a_port_leaves_the_others() -> None:
    (line,) = lines(made(Cut(SITE.name, "drop", port=443)))
    assert "--dport 443 -j DROP" in line


def test_a_lie_is_told_to_whom_it_is_meant() -> None:
    name = "|0c|example-site|03|org|00|"
    (everybody,) = lines(made(Lie(SITE.name, "nxdomain")))
    (provider,) = lines(made(Lie(SITE.name, "nxdomain", whom="system")))
    (others,) = lines(made(Lie(SITE.name, "nxdomain", whom="public")))
    assert name in everybody
    assert " -d 92.46.190.53 " in provider
    assert " ! -d 92.46.190.53 " in others
    assert lines(made(Lie(SITE.name, "nxdomain")), v6=True) == []


def test_a_shaped_name_has_a_class_and_a_policed_one_has_none() -> None:
    assert classes(made(Slow(SITE.name, "police", 16_000))) == []
    root, made_class, queue = classes(made(Slow(SITE.name, "shape", 16_000)))
    assert "htb" in root
    assert "rate 128000bit" in made_class
    assert "bfifo" in queue


def test_a_request_for_one_path_is_told_from_others() -> None:
    found = lines(made(Web(SITE.name, "reset", path="/banned")))
    assert all('" /banned "' in line for line in found)


def test_an_outage_is_total_and_a_whitelist_is_not() -> None:
    assert lines(made(Nation("outage"))) == ["-A FORWARD -j DROP"]
    whitelist = lines(made(Nation("whitelist")))
    assert sum("-j ACCEPT" in line for line in whitelist) == 2
    assert lines(made(Nation("whitelist")), v6=True) == ["-A FORWARD -j DROP"]
    assert middlebox.HOME in whitelist[-1]


def test_dead_servers_are_dead_for_everybody() -> None:
    silent = dead_servers(made(site=replace(SITE, server="silent")))
    refusing = dead_servers(made(site=replace(SITE, server="refuses")))
    half = dead_servers(made(site=replace(SITE, addresses=3, dead_addresses=1)))
    assert silent.count("-j DROP") == 1
    assert refusing.count("tcp-reset") == 1
    assert half.count("-j DROP") == 1
