"""A trace accuses only for acts at a distance where the server cannot be the cause."""

import pytest
from msgspec.structs import replace

from probe.analysis.trace_hops import Layer
from probe.failure import Failure
from probe.judge import judge
from probe.model import (
    Mechanism,
    Outcome,
    Ping,
    Record,
    Role,
    Steps,
    StopPlace,
    Tls,
    Vantage,
)
from tests.probe.wayfarer import router, walk


def record(steps: Steps) -> Record:
    return Record(
        id="0",
        run="0",
        experiment="trace",
        input="https://n/",
        started_at="2026-11-22T00:00:00.000Z",
        elapsed=1.0,
        vantage=Vantage(),
        steps=steps,
    )


@pytest.mark.parametrize(
    ("layer", "target", "mechanism"),
    [
        ("tls", "xxrrr", Mechanism.TLS_RESET),
        ("tls", "xxsss", Mechanism.TLS_TIMEOUT),
        ("tls", "xxccc", Mechanism.TLS_EOF),
        ("tls", "xxaaa", Mechanism.TLS_ALERT),
        ("http", "xxrrr", Mechanism.HTTP_RESET),
        ("http", "xxsss", Mechanism.HTTP_TIMEOUT),
        ("http", "xxaaa", Mechanism.HTTP_INJECTED),
        ("dns", "xxaaa", Mechanism.DNS_INJECTED),
        ("dns", "xxsss", Mechanism.DNS_TIMEOUT),
    ],
)
def test_an_act_before_the_server_is_blocking(
    layer: Layer, target: str, mechanism: Mechanism
) -> None:
    verdict = judge(record(walk(layer, "xxxxa", target)))
    assert (verdict.outcome, verdict.mechanisms) == (Outcome.BLOCKED, (mechanism,))
    assert "between hop 2 and hop 3" in verdict.rules[0].reason
    place = StopPlace(by="network", after=2, before=3, server=5)
    assert verdict.place == place


def networks(*owners: tuple[int, str] | None, server: int) -> Steps:
    """A router a hop with its network and country; None: near, so without address."""
    seen = [
        replace(router(ttl, None if one is None else f"198.51.100.{ttl}"), id=900 + ttl)
        for ttl, one in enumerate(owners, 1)
    ]
    named = [
        step if one is None else replace(step, asn=one[0], country=one[1])
        for step, one in zip(seen, owners, strict=True)
    ]
    own = Ping(id=990, what="server", address="203.0.113.7", asn=server, failure=Failure.TIMEOUT)
    return (*named, own)


KZ, SE, OWN = (9198, "KZ"), (1299, "SE"), (64500, "SE")


@pytest.mark.parametrize(
    ("owners", "where", "asn"),
    [
        ((None, None, KZ, SE, SE, OWN), "border", 9198),
        ((None, None, KZ, KZ, SE, OWN), "inside", 9198),
        ((None, None, SE, SE, SE, OWN), "outside", 1299),
        ((None, None, None, SE, SE, OWN), "border", None),
        ((None, None, KZ, None, SE, OWN), "inside_or_border", 9198),  # a private address
    ],
)
def test_the_place_is_a_network_and_a_country(
    owners: tuple[tuple[int, str] | None, ...], where: str, asn: int | None
) -> None:
    steps = (*walk("tls", "xxxxxxa", "xxxrrrr"), *networks(*owners, server=64500))
    verdict = judge(replace(record(steps), vantage=Vantage(country="KZ")))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.place is not None
    assert (verdict.place.where, verdict.place.asn) == (where, asn)
    words = {
        "border": "at the border of the country (KZ",
        "inside": "inside the country (KZ AS9198)",
        "outside": "outside the country (SE AS1299)",
        "inside_or_border": "in the country or at its border (KZ AS9198)",
    }
    assert words[where] in verdict.rules[0].reason


@pytest.mark.parametrize(
    ("owners", "by"),
    [
        ((None, None, OWN, OWN, OWN, OWN), "server"),
        ((None, None, SE, OWN, OWN, OWN), None),  # before its network or in its first router
    ],
)
def test_the_servers_own_network_is_the_server(
    owners: tuple[tuple[int, str] | None, ...], by: str | None
) -> None:
    steps = (*walk("tls", "xxxxxxa", "xxxrrrr"), *networks(*owners, server=64500))
    verdict = judge(record(steps))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "path.acted_upon_in_the_servers_network"
    assert verdict.place is not None
    assert verdict.place.by == by


def test_an_answer_from_nearer_than_the_routers_shows_no_place() -> None:
    far = tuple(replace(router(ttl), id=900 + ttl) for ttl in range(1, 8))
    for target in ("xxrr", "xrrr", "xxss"):
        verdict = judge(record((*walk("tls", "xxxa", target), *far)))
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.rules[0].id == "path.answered_from_nearer"
        assert verdict.place is None


def test_one_of_two_ways_needs_several_flows() -> None:
    """In one flow of three: nothing is located; in two: the middlebox on one of two ways."""
    steps = walk("tls", "xxxxxa", "xxxxxa", tries=4)
    cut = [s for s in steps if isinstance(s, Tls) and s.role is Role.TARGET and _ttl(s) == 3]
    for flows, outcome in ((1, Outcome.INCONCLUSIVE), (2, Outcome.BLOCKED)):
        reset = {s.id for s in cut[:flows]}
        seen = tuple(replace(s, failure=Failure.RESET) if s.id in reset else s for s in steps)
        assert judge(record(seen)).outcome is outcome


def _ttl(step: Tls) -> int | None:
    return step.travel.ttl if step.travel is not None else None


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        (walk("tls", "xxxa", "xxxr"), "path.differs_at_the_server"),
        (walk("tls", "xxxa", "xxxa"), "path.both_names_fare_alike"),
        (walk("tls", "xxxa", "xxrr"), "path.differs_at_the_server"),
        (walk("tls", "xxxxxa", "rrrrrr"), "path.acted_upon_at_home"),
        (walk("tls", "xxxa", "xxr ", tries=1), "path.differed_once"),
        (walk("tls", "ssss", ""), "path.no_way_to_compare"),
        ((), "path.nothing_was_sent"),
    ],
)
def test_other_traces_are_inconclusive_and_never_ok(steps: Steps, rule: str) -> None:
    verdict = judge(record(steps))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert [hit.id for hit in verdict.rules] == [rule]
