"""Where packets are stopped confirms or withdraws an accusation, and never makes one."""

from collections import Counter
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from probe.analysis.silence_place import ttl_of
from probe.failure import Failure
from probe.judge import judge
from probe.ladder import HIDDEN
from probe.model import (
    Line,
    Mechanism,
    Outcome,
    Ping,
    Record,
    Role,
    Step,
    StopPlace,
    Tcp,
    Tls,
    Travel,
)
from tests.build import GOOD, HARMLESS, HOST, OTHER, again, control, dns, fetched, record, tcp, tls

ALIVE = Line(alive_before=True, alive_after=True, trusted_names=3)
WORKS = control(dns(GOOD), *fetched(), age=60.0)
EXPIRED = (Failure.HOST_UNREACHABLE, True)
SILENT = (Failure.TIMEOUT, False)
RESET = (Failure.RESET, False)
Met = tuple[Failure | None, bool]
MARGIN = 2


def syn(ttl: int, met: Met = EXPIRED, address: str = GOOD, role: Role = Role.TARGET) -> Tcp:
    travel = Travel(ttl=ttl, expired=met[1])
    return Tcp(address=address, port=443, failure=met[0], travel=travel, role=role)


def hello(ttl: int, met: Met, sni: str = HOST) -> Tls:
    step = tls(sni=sni, failure=met[0], travel=Travel(ttl=ttl, expired=met[1]))
    return replace(step, role=Role.TARGET if sni == HOST else Role.HARMLESS)


def router(ttl: int, role: Role = Role.TARGET, *, expired: bool = True) -> Ping:
    failure = None if expired else Failure.TIMEOUT
    travel = Travel(ttl=ttl, expired=True if expired else None)
    return Ping(what="router", failure=failure, travel=travel, role=role)


def timed(steps: Sequence[Step]) -> tuple[Step, ...]:
    return tuple(replace(step, at=float(index)) for index, step in enumerate(steps, 1))


def in_flows(limited: Sequence[Step]) -> tuple[Step, ...]:
    """Each packet of a kind and a distance in a flow of its own."""
    flows: Counter[object] = Counter()
    found = []
    for step in limited:
        kind = (type(step), step.role, ttl_of(step))
        flows[kind] += 1
        found.append(replace(step, try_=flows[kind]))
    return tuple(found)


def with_place(seen: Sequence[Step], *limited: Step, controlled: bool = True) -> Record:
    steps = timed((*seen, *in_flows(limited)))
    return record(*steps, controls=(WORKS,) if controlled else (), line=ALIVE)


def names(far: int, own: Met, server: int = 8) -> tuple[Step, ...]:
    """Both names in four flows at one distance, the harmless one before and after."""
    other = [hello(far, EXPIRED, HARMLESS)] * 4
    mine = [hello(far, own)] * 4
    return (syn(server, (None, False)), syn(server - 1), *other, *mine, *other)


def small(sni: str = HARMLESS) -> Step:
    return replace(tls(sni=sni), role=Role.HARMLESS)


BLOCKED_NAME = (
    dns(GOOD),
    tcp(),
    tls(failure=Failure.TIMEOUT),
    small(),
    *again(tcp(), tls(failure=Failure.TIMEOUT)),
    small(),
)
ANSWERED_ELSEWHERE = (
    replace(tls(OTHER, sni=HARMLESS), role=Role.HARMLESS),
    replace(tls(OTHER), role=Role.NEUTRAL),
)
BLOCKED_ADDRESS = (
    dns(GOOD),
    tcp(failure=Failure.TIMEOUT),
    replace(tls(OTHER, sni="works.example"), role=Role.REFERENCE),
    *again(tcp(failure=Failure.TIMEOUT)),
    replace(tls(OTHER, sni="works.example"), role=Role.REFERENCE),
)


@pytest.mark.parametrize("own", [SILENT, RESET])
def test_packets_stopped_on_the_way_raise_the_confidence(own: Met) -> None:
    before = judge(with_place(BLOCKED_NAME))
    after = judge(with_place(BLOCKED_NAME, *names(6, own)))
    assert before.outcome is after.outcome is Outcome.BLOCKED
    assert after.mechanisms == before.mechanisms == (Mechanism.TLS_TIMEOUT,)
    assert (before.confidence, after.confidence) == (0.93, 0.99)
    assert after.rules[0].id == "place.before_the_server"
    assert "before hop 6, and the server is at hop 8" in after.rules[0].reason


def test_packets_stopped_on_the_way_outweigh_an_unrelated_server_that_answers() -> None:
    seen = (*BLOCKED_NAME, *ANSWERED_ELSEWHERE)
    assert judge(with_place(seen)).rules[0].id == "verdict.not_excluded"
    verdict = judge(with_place(seen, *names(6, RESET)))
    assert (verdict.outcome, verdict.confidence) == (Outcome.BLOCKED, 0.99)
    server = judge(with_place(seen, *names(6, EXPIRED)))
    assert server.outcome is Outcome.INCONCLUSIVE


OWNERS = {4: (9198, "KZ"), 5: (9198, "KZ"), 6: (1299, "SE"), 7: (64500, "DE")}


def named(owners: dict[int, tuple[int, str]]) -> tuple[Ping, ...]:
    """The routers on the way with their networks, and the server's."""
    found = [
        replace(router(ttl, Role.NEUTRAL), address=f"198.51.100.{ttl}", asn=asn, country=country)
        for ttl, (asn, country) in owners.items()
    ]
    own = Ping(what="server", address=GOOD, failure=Failure.TIMEOUT, asn=64500, country="DE")
    return (*found, own)


def in_kazakhstan(record: Record) -> Record:
    return replace(record, vantage=replace(record.vantage, country="KZ"))


@pytest.mark.parametrize("limited", [names(6, SILENT), names(6, RESET)])
def test_the_place_is_told_with_its_country_and_network(limited: Sequence[Step]) -> None:
    alike = (hello(5, EXPIRED), hello(5, EXPIRED, HARMLESS))
    made = with_place(BLOCKED_NAME, *limited, *alike, *named(OWNERS))
    verdict = judge(in_kazakhstan(made))
    assert verdict.outcome is Outcome.BLOCKED
    assert "at the border of the country (KZ AS9198)" in verdict.rules[0].reason
    place = StopPlace(
        by="network", where="border", after=5, before=6, server=8, asn=9198, country="KZ"
    )
    assert verdict.place == place


@pytest.mark.parametrize("accused", ["name", "address"])
def test_in_the_servers_own_network_it_is_the_servers_doing(accused: str) -> None:
    own = named({**OWNERS, 5: (64500, "DE"), 6: (64500, "DE")})
    alike = (hello(5, EXPIRED), hello(5, EXPIRED, HARMLESS))
    if accused == "name":
        made = with_place(BLOCKED_NAME, *names(6, SILENT), *alike, *own)
    else:
        made = with_place(BLOCKED_ADDRESS, *connections(6, SILENT), syn(5), *own)
    verdict = judge(in_kazakhstan(made))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "verdict.not_excluded"
    assert "behind hop 5, in the server's own network" in verdict.rules[0].reason
    assert verdict.place is not None
    assert (verdict.place.by, verdict.place.where) == ("server", "server")


def test_at_the_edge_of_the_servers_network_nothing_is_added() -> None:
    edge = named({**OWNERS, 6: (64500, "DE")})
    alike = (hello(5, EXPIRED), hello(5, EXPIRED, HARMLESS))
    plain = judge(with_place(BLOCKED_NAME))
    verdict = judge(with_place(BLOCKED_NAME, *names(6, SILENT), *alike, *edge))
    assert (verdict.outcome, verdict.confidence) == (plain.outcome, plain.confidence)
    assert verdict.place is not None
    assert verdict.place.by is None


def test_on_ways_of_different_length_a_place_needs_one_country() -> None:
    alike = (hello(5, EXPIRED), hello(5, EXPIRED, HARMLESS))
    longer = (*alike, syn(8), syn(9, (None, False)))
    made = with_place(BLOCKED_NAME, *names(6, SILENT), *longer, *named(OWNERS))
    verdict = judge(in_kazakhstan(made))
    assert verdict.place is not None
    # Hop 6 of the packets may be the router of hop 6 or of hop 7 here, in two countries.
    assert (verdict.place.where, verdict.place.asn) == ("inside_or_border", None)


def test_packets_that_come_near_the_server_withdraw_the_accusation() -> None:
    verdict = judge(with_place(BLOCKED_NAME, *names(6, EXPIRED)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].id == "verdict.not_excluded"
    assert "the server or its own network stops them" in verdict.rules[0].reason


@pytest.mark.parametrize(
    "limited",
    [
        names(7, SILENT),  # the site's own routers
        names(1, SILENT),  # at home
        names(6, SILENT)[:-4],  # no harmless name after it
        (*names(6, SILENT)[:6], *names(6, SILENT)[7:]),  # three flows
        (*names(6, SILENT), hello(6, SILENT, HARMLESS)),
        (*names(6, SILENT), hello(6, EXPIRED)),
        (*names(6, EXPIRED), *[router(9)] * 4),
        names(6, SILENT)[2:],  # the server's distance is not known
    ],
)
def test_what_was_not_shown_changes_nothing(limited: Sequence[Step]) -> None:
    plain = judge(with_place(BLOCKED_NAME))
    found = judge(with_place(BLOCKED_NAME, *limited))
    assert (found.outcome, found.confidence) == (plain.outcome, plain.confidence)


def test_it_never_accuses_alone() -> None:
    fine = (dns(GOOD), *fetched())
    assert judge(with_place(fine, *names(6, SILENT))).outcome is Outcome.OK
    once = BLOCKED_NAME[:3]
    assert judge(with_place(once, *names(6, SILENT), controlled=False)).outcome not in {
        Outcome.BLOCKED,
        Outcome.INTERCEPTED,
    }


def connections(far: int, own: Met, *, known: int = 8) -> tuple[Step, ...]:
    """SYNs between datagrams at one distance, after those to a reference site."""
    abroad = [syn(ttl, EXPIRED, OTHER, Role.REFERENCE) for ttl in range(1, known)]
    routers = [router(ttl) for ttl in range(1, far + MARGIN)]
    mine = [syn(far, own)] * 4
    reached = syn(known, (None, False), OTHER, Role.REFERENCE)
    return (*abroad, reached, *routers, *mine, *[router(far)] * 4, *mine)


def test_connections_stopped_on_the_way_raise_the_confidence() -> None:
    before = judge(with_place(BLOCKED_ADDRESS))
    after = judge(with_place(BLOCKED_ADDRESS, *connections(6, SILENT), syn(3)))
    assert (before.outcome, before.mechanisms) == (Outcome.BLOCKED, (Mechanism.TCP_TIMEOUT,))
    assert (before.confidence, after.confidence) == (0.95, 0.975)
    assert "between hop 3 and hop 6" in after.rules[0].reason


@pytest.mark.parametrize(("lost", "confidence"), [(1, 0.975), (2, 0.95)])
def test_one_reset_of_several_may_be_lost(lost: int, confidence: float) -> None:
    limited = list(connections(6, RESET))
    for index in [i for i, s in enumerate(limited) if s == syn(6, RESET)][:lost]:
        limited[index] = syn(6, SILENT)
    assert judge(with_place(BLOCKED_ADDRESS, *limited, syn(3))).confidence == confidence


def everything(owner: int | None = 1299) -> tuple[Step, ...]:
    """All packets end before hop 4; those to addresses beside it go on to hop 6."""
    known = [syn(ttl, EXPIRED, OTHER, Role.REFERENCE) for ttl in range(1, 8)]
    reached = syn(8, (None, False), OTHER, Role.REFERENCE)
    walked = [router(ttl, expired=ttl < 4) for ttl in range(1, 12)]
    beside = [router(6, Role.HARMLESS)] * 4
    mine: list[Step] = [*[router(6, expired=False)] * 4, *[syn(6, SILENT)] * 4]
    narrowed = [router(4, Role.HARMLESS)] * 2
    owned = [replace(router(ttl, Role.HARMLESS), asn=owner) for ttl in range(4, 7)]
    server = Ping(what="server", address=GOOD, failure=Failure.TIMEOUT, asn=64500)
    return (*known, reached, *walked, server, *beside, *mine, *beside, *narrowed, *owned)


def test_an_address_of_which_nothing_goes_on_is_compared_with_those_beside_it() -> None:
    verdict = judge(with_place(BLOCKED_ADDRESS, *everything()))
    assert verdict.confidence == 0.975
    assert "between hop 3 and hop 4, and the server is at hop 7" in verdict.rules[0].reason


@pytest.mark.parametrize("owner", [None, 64500])
def test_before_an_unknown_network_or_the_servers_own_nothing_is_added(owner: int | None) -> None:
    assert judge(with_place(BLOCKED_ADDRESS, *everything(owner))).confidence == 0.95


def test_connections_that_come_as_far_as_a_foreign_server_is_withdraw_it() -> None:
    assert judge(with_place(BLOCKED_ADDRESS, *connections(6, EXPIRED))).outcome is (
        Outcome.INCONCLUSIVE
    )
    near = judge(with_place(BLOCKED_ADDRESS, *connections(4, EXPIRED)))
    assert near.outcome is Outcome.BLOCKED, "a network stops packets at such a distance"
    reached = Ping(what="server", role=Role.TARGET, travel=Travel(ttl=6, expired=False))
    there = (*connections(4, EXPIRED), reached)
    assert judge(with_place(BLOCKED_ADDRESS, *there)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("own", [SILENT, EXPIRED])
def test_a_rewritten_ttl_says_nothing_of_an_address(own: Met) -> None:
    beyond = [router(9, Role.REFERENCE)] * 4
    verdict = judge(with_place(BLOCKED_ADDRESS, *connections(6, own), *beyond))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rules[0].reason == HIDDEN


def test_a_syn_must_be_seen_to_go_farther_on_this_line() -> None:
    verdict = judge(with_place(BLOCKED_ADDRESS, *connections(6, SILENT, known=4), syn(3)))
    assert verdict.confidence == 0.95
