"""Innocent explanations that withdraw an accusation, and their counterparts that do not."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Line, Mechanism, Outcome, Record, Role, SharedOutcome, Step
from tests.build import (
    FORGED,
    GOOD,
    OTHER,
    PLAIN,
    UNRELATED,
    again,
    at_unrelated,
    control,
    dns,
    doh,
    fetched,
    harmless,
    nxdomain,
    page,
    record,
    reference,
    tcp,
    tls,
)

ELSEWHERE = control(dns(GOOD), *fetched())
ALIVE = Line(alive_before=True, alive_after=True)
REFUSED = (dns(GOOD), tcp(failure=Failure.REFUSED), *again(tcp(failure=Failure.REFUSED)))
AWAY = page(PLAIN, status=302, location="http://portal.example/")
OWN = control(dns(GOOD), tcp(port=80), page(PLAIN), age=60.0)


def on_line(made: Record, *shared: SharedOutcome) -> Record:
    return replace(made, line=replace(made.line or ALIVE, shared=shared))


def closed(port: int = 443) -> SharedOutcome:
    return SharedOutcome(op="tcp", port=port, family=4, sign="connection_refused", hosts=11, of=12)


def test_a_port_that_the_line_refuses_for_all_accuses_no_site() -> None:
    made = record(*REFUSED, controls=(ELSEWHERE,), line=ALIVE)
    assert judge(made).outcome is Outcome.BLOCKED
    verdict = judge(on_line(made, closed()))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.mechanisms == ()
    assert verdict.rules[0].id == "verdict.not_excluded"
    assert "11 of 12 other hosts" in verdict.rules[0].reason


def test_a_freeze_that_every_page_shows_accuses_no_site() -> None:
    frozen = replace(page(failure=Failure.TIMEOUT), received_bytes=9000, bytes_in=12_000)
    seen = (tcp(), tls(), frozen)
    there = control(dns(GOOD), tcp(), tls(), page(bytes_in=70_000), age=60.0)
    made = record(dns(GOOD), *seen, *again(*seen), controls=(there,), line=ALIVE)
    assert judge(made).outcome is Outcome.THROTTLED
    every = SharedOutcome(op="https", port=443, sign="generic_timeout_error", hosts=6, of=6)
    assert judge(on_line(made, every)).outcome is Outcome.INCONCLUSIVE


def test_what_the_line_does_at_another_port_excuses_nothing() -> None:
    made = record(*REFUSED, controls=(ELSEWHERE,), line=ALIVE)
    assert judge(on_line(made, closed(80))).outcome is Outcome.BLOCKED


def test_a_stronger_verdict_is_not_weakened() -> None:
    made = record(dns(GOOD), *fetched(), line=replace(ALIVE, shared=(closed(),)))
    assert judge(made).outcome is Outcome.OK


@pytest.mark.parametrize("other", [harmless, reference])
def test_a_redirect_that_comes_for_other_hosts_too_is_not_about_the_site(
    other: Callable[[Step], Step],
) -> None:
    steps = (dns(GOOD), tcp(port=80), AWAY, *again(tcp(port=80), AWAY), *again(*fetched()))
    steps = (*steps, at_unrelated(AWAY))
    made = record(*steps, url=PLAIN, controls=(OWN,), line=ALIVE)
    assert judge(made).outcome is Outcome.BLOCKED
    strange = replace(AWAY, host="www.harmless.example", url="http://www.harmless.example/")
    both = record(*steps, other(strange), url=PLAIN, controls=(OWN,), line=ALIVE)
    assert judge(both).outcome is Outcome.INCONCLUSIVE


def test_a_resolver_that_denies_every_reference_accuses_no_site() -> None:
    steps = (nxdomain(), nxdomain(), doh(GOOD), tcp(), tls())
    assert judge(record(*steps, controls=(ELSEWHERE,))).outcome is not Outcome.INCONCLUSIVE
    broken = reference(nxdomain(name="works.example"))
    failing = record(nxdomain(), nxdomain(), doh(GOOD), broken, controls=(ELSEWHERE,))
    assert Mechanism.DNS_NXDOMAIN not in judge(failing).mechanisms


def test_an_address_given_for_the_references_too_is_not_about_the_site() -> None:
    wrong = tls(OTHER, trust=None)
    base = (dns(OTHER), tcp(OTHER), wrong, *again(dns(OTHER), tcp(OTHER), wrong))
    other = reference(dns(OTHER, name="works.example"))
    assert judge(record(*base, other, controls=(ELSEWHERE,))).outcome is Outcome.INCONCLUSIVE


def test_a_route_that_this_machine_lacks_is_not_the_networks_doing() -> None:
    six = "2606:2800:220:1::1"
    lost = tcp(six, failure=Failure.NETWORK_UNREACHABLE)
    made = record(dns(GOOD), lost, *again(lost), controls=(control(tcp(six)),), line=ALIVE)
    assert judge(made).outcome is Outcome.INCONCLUSIVE


def test_a_failure_that_references_show_too_comes_and_goes() -> None:
    reset = tls(failure=Failure.RESET)
    other = (harmless(tcp()), harmless(tls(trust=None)))
    steps = (dns(GOOD), tcp(), reset, *other, *again(tcp(), reset), *other)
    assert judge(record(*steps, controls=(ELSEWHERE,))).outcome is Outcome.BLOCKED
    flaky = reference(tls(OTHER, sni="works.example", failure=Failure.RESET))
    verdict = judge(record(*steps, flaky, controls=(ELSEWHERE,)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "now and then" in verdict.rules[0].reason


def servfail(**more: object) -> Step:
    return dns(failure=Failure.DNS_SERVFAIL, rcode=2, **more)  # type: ignore[arg-type]


def test_a_name_whose_own_servers_fail_for_a_control_too_is_not_denied_here() -> None:
    too = (servfail(resolver="1.1.1.1"), servfail(resolver="9.9.9.9"))
    steps = (servfail(), servfail(), *too, doh(GOOD), tcp(), tls())
    works = reference(dns(GOOD, name="works.example"))
    theirs = control(dns(GOOD), *fetched(), age=60.0)
    mechanism = Mechanism.DNS_SERVFAIL
    assert mechanism in judge(record(*steps, works, controls=(theirs,))).mechanisms
    failing = control(servfail(), doh(GOOD), *fetched(), age=60.0)
    assert mechanism not in judge(record(*steps, works, controls=(failing,))).mechanisms


def test_a_public_resolver_that_fails_too_excuses_unless_its_encrypted_answer_is_there() -> None:
    steps = (servfail(), servfail(), servfail(resolver="9.9.9.9"), doh(GOOD), tcp(), tls())
    works = reference(dns(GOOD, name="works.example"))
    forged = record(*steps, servfail(resolver="1.1.1.1"), works)
    other = record(*steps, servfail(resolver="8.8.8.8"), works)
    assert Mechanism.DNS_SERVFAIL in judge(forged).mechanisms
    assert Mechanism.DNS_SERVFAIL not in judge(other).mechanisms


def test_a_redirect_over_an_untrusted_certificate_is_not_one_over_plain_http() -> None:
    away = page(status=302, location="http://portal.example/", proven=False)
    forged = (tcp(), tls(trust=FORGED), away)
    line = replace(ALIVE, portal_hosts=5, portal_sign="to portal.example")
    made = record(dns(GOOD), *forged, *again(*forged), controls=(ELSEWHERE,), line=line)
    assert Mechanism.HTTP_REDIRECTED not in judge(made).mechanisms


def test_a_key_that_signs_for_the_references_too_intercepts_no_single_site() -> None:
    forged = tls(trust=FORGED)
    theirs = control(dns(GOOD), *fetched(), age=60.0)
    steps = (dns(GOOD), tcp(), forged, *again(tcp(), forged))
    line = replace(ALIVE, trusted_names=5)
    assert judge(record(*steps, controls=(theirs,), line=line)).outcome is Outcome.INTERCEPTED
    portal = reference(tls(OTHER, sni="works.example", trust=FORGED))
    verdict = judge(record(*steps, portal, controls=(theirs,), line=line))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_the_sites_own_name_at_an_unrelated_server_is_no_unrelated_site() -> None:
    steps = (dns(GOOD), tcp(port=80), AWAY, *again(tcp(port=80), AWAY))
    host = replace(AWAY, host="site.example:8080")
    there = replace(AWAY, host="site.example", address=OTHER, role=Role.NEUTRAL)
    line = replace(ALIVE, portal_hosts=5, portal_sign="to portal.example")
    made = record(*(replace(s, host="site.example:8080") if s is AWAY else s for s in steps))
    assert host.host != there.host
    with_port = replace(made, steps=(*made.steps, replace(there, id=99, at=99.0)), line=line)
    assert all(hit.id != "verdict.not_excluded" for hit in judge(with_port).rules)


DROPPED = (dns(GOOD), tcp(failure=Failure.TIMEOUT), *again(tcp(failure=Failure.TIMEOUT)))


def beside(*, op: str = "tcp", sign: str = "generic_timeout_error") -> Line:
    one = SharedOutcome(op=op, port=443, family=4 * (op == "tcp"), sign=sign, hosts=4, of=4)
    return replace(ALIVE, hoster=(one,))


def test_the_silence_of_a_whole_hoster_accuses_no_site() -> None:
    assert judge(record(*DROPPED, controls=(ELSEWHERE,), line=ALIVE)).outcome is Outcome.BLOCKED
    verdict = judge(record(*DROPPED, controls=(ELSEWHERE,), line=beside()))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "All 4 other sites" in verdict.rules[0].reason


def test_refusals_at_one_hoster_are_no_silence() -> None:
    line = beside(sign="connection_refused")
    assert judge(record(*REFUSED, controls=(ELSEWHERE,), line=line)).outcome is Outcome.BLOCKED


def test_a_harmless_name_that_is_answered_there_excludes_the_hosters_outage() -> None:
    silent = tls(failure=Failure.TIMEOUT, acknowledged=False)
    line = beside(op="tls")
    own = (tcp(), silent)
    harmless_ones = (harmless(tcp()), harmless(tls()))
    steps = (dns(GOOD), *own, *harmless_ones, *again(*own), *harmless_ones)
    assert judge(record(*steps, controls=(ELSEWHERE,), line=line)).outcome is Outcome.BLOCKED
    alone = (dns(GOOD), *own, *again(*own))
    line = replace(line, trusted_names=3)
    usual = replace(line, hoster=())
    assert judge(record(*alone, controls=(ELSEWHERE,), line=usual)).outcome is Outcome.BLOCKED
    assert judge(record(*alone, controls=(ELSEWHERE,), line=line)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("resets", "outcome"),
    [(0.3, Outcome.INCONCLUSIVE), (0.05, Outcome.BLOCKED), (0.0, Outcome.BLOCKED)],
)
def test_resets_that_come_at_random_on_this_line_accuse_no_site(
    resets: float, outcome: Outcome
) -> None:
    cut = (tcp(), tls(failure=Failure.RESET))
    for controls in ((), (ELSEWHERE,)):
        around = (harmless(tls()), *again(*cut), harmless(tls()))
        made = record(dns(GOOD), *cut, *around, controls=controls, line=ALIVE)
        verdict = judge(replace(made, line=replace(ALIVE, resets=resets)))
        assert verdict.outcome is outcome
        if outcome is Outcome.INCONCLUSIVE:
            assert "30% of the connections to reference sites" in verdict.rules[0].reason


def test_a_front_that_shakes_hands_does_not_excuse_the_silence_of_its_pages() -> None:
    silent = page(failure=Failure.TIMEOUT)
    seen = (tcp(), tls(), silent)
    steps = (dns(GOOD), *seen, *again(*seen), harmless(tcp()), harmless(tls()))
    there = control(dns(GOOD), *fetched(), age=60.0)
    answered = harmless(page(address=UNRELATED, host="h", status=404))
    elsewhere = (answered, at_unrelated(silent), answered)
    usual = record(*steps, *elsewhere, controls=(there,), line=ALIVE)
    assert judge(usual).outcome is Outcome.BLOCKED
    one = SharedOutcome(op="https", port=443, sign="generic_timeout_error", hosts=4, of=4)
    line = replace(ALIVE, hoster=(one,))
    assert judge(replace(usual, line=line)).outcome is Outcome.INCONCLUSIVE
