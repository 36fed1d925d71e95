"""A public resolver that somebody chose follows its operator's policy; the provider's does not.

The other explanations of answers are tested in `test_ladder.py` and with the rules.
"""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Dns, Line, Role, Step
from probe.reference_data import is_public_resolver, unused_addresses
from tests.build import GOOD, SINK, again, control, dns, doh, fetched, nxdomain, record
from tests.probe.rules.check import verdict_on
from tests.probe.rules.dns_answers import saying

ELSEWHERE = control(dns(GOOD), *fetched())
ZERO = dns("0.0.0.0")
DEAD = dns(failure=Failure.DNS_SERVFAIL, rcode=2)
(UNUSED,) = unused_addresses()
OPEN = "inconclusive 0.5 by verdict.not_excluded"
DENIED = "blocked dns.nxdomain 0.97 by dns.name_denied_here"


def public(step: Dns) -> Dns:
    return replace(step, public=True)


def elsewhere(step: Dns, resolver: str) -> Dns:
    return replace(step, resolver=resolver)


def judged(step: Dns, *more: Step, line: Line | None = None) -> str:
    steps = (*again(step, step), doh(GOOD), *fetched(), *more)
    return verdict_on(record(*steps, controls=(ELSEWHERE,), line=line))


@pytest.mark.parametrize("denial", [nxdomain(), ZERO, DEAD, dns(SINK)])
def test_what_a_chosen_public_resolver_answers_is_its_operators_policy(denial: Dns) -> None:
    assert judged(public(denial), dns(name="ref.example", role=Role.REFERENCE)).startswith(
        "inconclusive"
    )


def test_the_reason_names_the_chosen_resolver() -> None:
    steps = (*again(public(nxdomain()), public(nxdomain())), doh(GOOD), *fetched())
    assert verdict_on(record(*steps, controls=(ELSEWHERE,))) == OPEN


def test_the_providers_resolver_is_accused_wherever_it_is() -> None:
    assert judged(nxdomain()) == DENIED
    assert judged(replace(nxdomain(), public=False)) == DENIED


def test_one_other_public_resolver_may_be_the_chosen_one_itself() -> None:
    assert judged(public(nxdomain()), elsewhere(nxdomain(), "9.9.9.9")) == OPEN


def test_several_public_resolvers_in_the_clear_are_made_to_deny() -> None:
    others = (elsewhere(nxdomain(), "9.9.9.9"), elsewhere(nxdomain(), "8.8.8.8"))
    assert judged(public(nxdomain()), *others) == DENIED


def test_a_provider_that_answers_every_query_is_accused() -> None:
    assert judged(public(nxdomain()), line=Line(hijacked_resolvers=(UNUSED,))) == DENIED
    answered = dns(GOOD, name="h.example", resolver=UNUSED, role=Role.NEUTRAL)
    assert judged(public(nxdomain()), answered) == DENIED


@pytest.mark.parametrize("code", [4, 15, 17])
def test_its_own_words_about_its_policy_accuse_nobody(code: int) -> None:
    assert judged(public(saying(nxdomain(), code))) == OPEN


def test_an_order_that_it_reports_is_believed_with_less_confidence() -> None:
    said = public(saying(nxdomain(), 16))
    assert judged(said) == "blocked dns.nxdomain 0.7 by dns.resolver_says_censored"


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("9.9.9.9", True),
        ("1.1.1.3", True),
        ("208.67.222.123", True),
        ("94.140.14.15", True),
        ("45.90.28.7", True),
        ("2620:fe::fe", True),
        ("92.47.10.1", False),
        ("192.168.1.1", False),
        ("127.0.0.53", False),
        ("fe80::1%eth0", False),
        ("not an address", False),
    ],
)
def test_which_resolvers_serve_everybody(address: str, *, known: bool) -> None:
    assert is_public_resolver(address) is known
