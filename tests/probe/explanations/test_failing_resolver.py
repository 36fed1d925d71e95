"""A resolver that fails for a name may not reach the name's own servers."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Dns, Outcome, Role, Step
from probe.reference_data import unused_addresses
from tests.build import GOOD, HARMLESS, OTHER, control, dns, doh, fetched, record, reference
from tests.probe.rules.dns_answers import LINE, REFUSED, SERVFAIL, saying

SILENT = replace(dns(failure=Failure.TIMEOUT), elapsed=5.0)
WORKS = reference(dns(OTHER, name="works.example"))
ELSEWHERE = control(dns(GOOD), *fetched(), age=60.0)
(UNUSED,) = unused_addresses()


def at(resolver: str, step: Dns) -> Dns:
    return replace(step, resolver=resolver)


def other(step: Dns, role: Role) -> Dns:
    return replace(step, role=role)


def verdict(failing: Dns, *more: Step, controlled: bool = True) -> Outcome:
    steps = (failing, replace(failing, try_=2), doh(GOOD), *fetched(), WORKS, *more)
    controls = (ELSEWHERE,) if controlled else ()
    return judge(record(*steps, line=LINE, controls=controls)).outcome


@pytest.mark.parametrize("controlled", [True, False])
@pytest.mark.parametrize("failing", [SERVFAIL, REFUSED, SILENT])
def test_the_system_resolver_alone_that_fails_accuses_nobody(
    failing: Dns, *, controlled: bool
) -> None:
    assert verdict(failing, controlled=controlled) is Outcome.INCONCLUSIVE
    honest = (at("8.8.8.8", dns(GOOD)), at("9.9.9.9", dns(GOOD)))
    assert verdict(failing, *honest, controlled=controlled) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("failing", [SERVFAIL, REFUSED])
def test_public_resolvers_that_fail_alike_in_the_clear_show_interference(failing: Dns) -> None:
    one, two = at("1.1.1.1", failing), at("9.9.9.9", failing)
    assert verdict(failing, one) is Outcome.INCONCLUSIVE
    assert verdict(failing, one, two) is Outcome.BLOCKED
    assert verdict(failing, two, at("8.8.8.8", failing)) is Outcome.INCONCLUSIVE, "not encrypted"


def test_their_silence_counts_where_one_of_them_answers_another_name() -> None:
    silent = (at("1.1.1.1", SILENT), at("9.9.9.9", SILENT))
    assert verdict(SILENT, *silent) is Outcome.INCONCLUSIVE
    heard = other(dns(OTHER, name=HARMLESS, resolver="9.9.9.9"), Role.HARMLESS)
    assert verdict(SILENT, *silent, heard) is Outcome.BLOCKED


def test_they_show_nothing_where_one_resolver_answers_for_all() -> None:
    alike = (at("1.1.1.1", SERVFAIL), at("9.9.9.9", SERVFAIL))
    answered = other(dns(OTHER, name=HARMLESS, resolver=UNUSED), Role.NEUTRAL)
    assert verdict(SERVFAIL, *alike, answered) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("failure", [Failure.DNS_NXDOMAIN, Failure.DNS_SERVFAIL])
def test_that_it_answers_for_names_below_excludes_no_fault(failure: Failure) -> None:
    below = dns(name="invented.site.example", failure=failure)
    assert verdict(SERVFAIL, other(below, Role.NEUTRAL)) is Outcome.INCONCLUSIVE


def test_the_resolvers_own_words_need_no_more() -> None:
    assert verdict(saying(SERVFAIL, 16)) is Outcome.BLOCKED
