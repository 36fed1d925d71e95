"""Who still answers, when a collector does not."""

import asyncio

import pytest

from probe.experiments.interface import Reference
from probe.failure import Failure
from probe.heartbeat.reachability import check_reachability
from probe.model import Trust
from tests.fake_net import FakeNet

ABROAD = [Reference(f"https://abroad{n}.example/", foreign=True) for n in range(3)]
HOME = [Reference(f"https://home{n}.example/", foreign=False) for n in range(3)]
FORGED = Trust(valid=False, anchored=False, named=True, issuer_key="x", leaf_key="y")


def world() -> FakeNet:
    sites = {"abroad": 1, "home": 2}
    return FakeNet(
        names={
            ("system", f"{kind}{n}.example"): (f"203.0.{third}.{n}",)
            for kind, third in sites.items()
            for n in range(3)
        }
    )


def look(net: FakeNet, turn: int = 0) -> str:
    return asyncio.run(check_reachability(net, [*ABROAD, *HOME], turn))


def test_one_site_abroad_is_enough_and_the_rest_is_not_asked() -> None:
    net = world()
    assert look(net) == "abroad"
    assert [one for one in net.asked if "dns" in one] == ["dns system abroad0.example"]
    assert look(net, turn=4) == "abroad"
    assert "tcp 203.0.1.1:443" in net.asked


def test_one_dead_site_is_no_foreign_cut() -> None:
    net = world()
    net.dead = {"203.0.1.0"}
    assert look(net) == "abroad"


@pytest.mark.parametrize("dark", ["dead", "forged"])
def test_a_cut_border_and_a_portal_are_not_the_world(dark: str) -> None:
    net = world()
    if dark == "dead":
        net.dead = {f"203.0.1.{n}" for n in range(3)}
    else:
        net.handshakes = {(f"203.0.1.{n}", f"abroad{n}.example"): FORGED for n in range(3)}
    assert look(net) == "home"
    net.dead = {f"203.0.{third}.{n}" for third in (1, 2) for n in range(3)}
    assert look(net) == "nothing"


def test_a_silent_resolver_is_passed_over_for_another() -> None:
    net = world()
    net.names[("system", "abroad0.example")] = Failure.TIMEOUT
    net.names[("8.8.8.8", "abroad0.example")] = ("203.0.1.0",)
    assert look(net) == "abroad"
    net.names = {}
    assert look(net) == "nothing"
