"""Rules that compare DNS transports: each where it matches and where it must not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Dns, Ping, Record, Reply, Role, Step
from probe.reference_data import unused_addresses
from tests.build import GOOD, HARMLESS, OTHER, SINK, dns, doh, record, tls
from tests.probe.rules.check import holds, verdict_on

TIMEOUT, RESET, NXDOMAIN = Failure.TIMEOUT, Failure.RESET, Failure.DNS_NXDOMAIN
(UNUSED,) = unused_addresses()


def public(*answers: str, ttl: int | None = 57, failure: Failure | None = None) -> Dns:
    """A public resolver's answer in the clear."""
    rcode = 3 if failure is NXDOMAIN else 0
    replies = () if failure in {TIMEOUT, RESET} else (Reply(at=0.1, rcode=rcode, answers=answers),)
    step = dns(*answers, resolver="8.8.8.8", failure=failure)
    return replace(step, replies=tuple(replace(reply, ip_ttl=ttl) for reply in replies))


def other(step: Dns) -> Dns:
    return replace(step, name=HARMLESS, role=Role.HARMLESS)


def asked(mine: Dns, harmless: Dns | None = None, times: int = 2) -> list[Step]:
    return [step for _ in range(times) for step in (other(harmless or public(GOOD)), mine)]


def to_unused_address(*answers: str, failure: Failure | None = None) -> Dns:
    step = dns(*answers, resolver=UNUSED, failure=failure, name=HARMLESS)
    return replace(step, role=Role.NEUTRAL)


def whoami(answerer: str) -> Ping:
    return Ping(what=f"whoami {answerer}", address="8.8.8.8", port=53, role=Role.NEUTRAL)


def made(*steps: Step) -> Record:
    return record(*steps, experiment="dns")


TABLE = {
    "proven": (
        "dns.leads_to_the_site",
        made(dns(GOOD), tls(GOOD)),
        True,
        "ok 0.95 by dns.leads_to_the_site",
    ),
    "proven elsewhere": (
        "dns.leads_to_the_site",
        made(dns(SINK), tls(GOOD)),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "as others": (
        "dns.as_others_say",
        made(dns(GOOD), doh(GOOD)),
        True,
        "ok 0.85 by dns.as_others_say",
    ),
    "unlike others": (
        "dns.as_others_say",
        made(dns(GOOD), doh(OTHER)),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "no others": (
        "dns.as_others_say",
        made(dns(GOOD), public(GOOD)),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "an answer from an unused address": (
        "dns.answered_where_nobody_lives",
        made(to_unused_address(GOOD)),
        True,
        "inconclusive dns.injected 0.4 by dns.ways_do_not_decide",
    ),
    "no answer from an unused address": (
        "dns.answered_where_nobody_lives",
        made(to_unused_address(failure=TIMEOUT)),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "at home": (
        "dns.public_resolver_answered_at_home",
        made(whoami("system")),
        True,
        "inconclusive dns.injected 0.4 by dns.ways_do_not_decide",
    ),
    "by itself": (
        "dns.public_resolver_answered_at_home",
        made(whoami("own")),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "forged": (
        "dns.forged_on_the_way",
        made(doh(GOOD), *asked(public(SINK, ttl=41))),
        True,
        "inconclusive dns.injected 0.4 by dns.ways_do_not_decide",
    ),
    "forged denial": (
        "dns.forged_on_the_way",
        made(doh(GOOD), *asked(public(failure=NXDOMAIN, ttl=41))),
        True,
        "inconclusive dns.injected 0.4 by dns.ways_do_not_decide",
    ),
    "the truth by another way": (
        "dns.forged_on_the_way",
        made(doh(GOOD), *asked(public(GOOD, ttl=41))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "another answer by the same way": (
        "dns.forged_on_the_way",
        made(doh(GOOD), *asked(public(SINK))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "it leads to the site": (
        "dns.forged_on_the_way",
        made(doh(GOOD), tls(OTHER), *asked(public(OTHER, ttl=41))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "another way": (
        "dns.came_another_way",
        made(*asked(public(GOOD, ttl=41))),
        True,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "seen once": (
        "dns.came_another_way",
        made(*asked(public(GOOD, ttl=41), times=1)),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "one router more": (
        "dns.came_another_way",
        made(*asked(public(GOOD, ttl=56))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "many machines": (
        "dns.came_another_way",
        made(*asked(public(GOOD, ttl=41)), other(public(GOOD, ttl=50))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "not known": (
        "dns.came_another_way",
        made(*asked(public(GOOD, ttl=None))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "this name": (
        "dns.way_stopped_for_this_name",
        made(*asked(public(failure=TIMEOUT))),
        True,
        "inconclusive dns.timeout 0.4 by dns.ways_do_not_decide",
    ),
    "this name, reset": (
        "dns.way_stopped_for_this_name",
        made(*asked(public(failure=RESET))),
        True,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "denied": (
        "dns.way_stopped_for_this_name",
        made(*asked(public(failure=NXDOMAIN))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "every name": (
        "dns.way_stopped_for_this_name",
        made(*asked(public(failure=TIMEOUT), public(failure=TIMEOUT))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "every name, others live": (
        "dns.way_stopped_for_every_name",
        made(other(doh(GOOD)), *asked(public(failure=TIMEOUT), public(failure=TIMEOUT))),
        True,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "every way": (
        "dns.way_stopped_for_every_name",
        made(*asked(public(failure=TIMEOUT), public(failure=TIMEOUT))),
        False,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
    "undecided": (
        "dns.ways_do_not_decide",
        made(public(GOOD)),
        True,
        "inconclusive 0.4 by dns.ways_do_not_decide",
    ),
}


@pytest.mark.parametrize(
    ("rule_id", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule_id: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule_id, seen) is expected
    assert verdict_on(seen) == verdict
