"""Rules that accuse the network of blocking a service: each where it matches and where not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Line, Mechanism, Outcome, Record, Reply, Role, Step
from tests.build import GOOD, HARMLESS, OTHER, SINK, VALID, dns, doh, tcp, tls
from tests.probe.rules.check import holds, verdict_on
from tests.probe.rules.service_records import (
    NAME,
    StepChain,
    again,
    asked,
    beside,
    denied,
    dialled,
    elsewhere,
    named,
    seen,
)

TIMEOUT, RESET, REFUSED = Failure.TIMEOUT, Failure.RESET, Failure.REFUSED
HELLO = beside(tcp(), tls(sni=HARMLESS))
MUTE = beside(tcp(), tls(sni=HARMLESS, failure=TIMEOUT))
REFERENCE = beside(tcp(SINK), tls(SINK, sni="r"), role=Role.REFERENCE)
THREE = (GOOD, OTHER, "93.184.216.1")
FOUR = ("93.184.216.2", "93.184.216.3", "93.184.216.4")
UNKNOWN_LINE = Line()


def stopped(*between: StepChain, failure: Failure = TIMEOUT) -> tuple[StepChain, ...]:
    return (named(failure), *between, named(failure, try_=2), *between)


def silent(*addresses: str, failure: Failure = TIMEOUT) -> tuple[StepChain, ...]:
    return (REFERENCE, *again(*(dialled(one, failure) for one in addresses)), REFERENCE)


def answered(*addresses: str) -> tuple[StepChain, ...]:
    return tuple(dialled(one) for one in addresses)


def queries(*steps: Step, role: Role = Role.TARGET) -> StepChain:
    return beside(*steps, role=role)


ELSEWHERE = queries(doh(OTHER, name=NAME), dns(OTHER, name=NAME, resolver="8.8.8.8"))
PROVES = beside(tcp(OTHER), tls(OTHER, sni=NAME), role=Role.NEUTRAL)
ANOTHER = beside(dns(SINK, name="r.example"), role=Role.REFERENCE)
TRUNCATED = dns(name=NAME, replies=(Reply(at=0.01, rcode=0, truncated=True),))
CUT_OFF = StepChain((replace(TRUNCATED, failure=Failure.REFUSED),), "messages", Failure.REFUSED)
PARKED = VALID.__class__(valid=False, anchored=True, named=False)

TABLE = {
    "this name alone": (
        "services.name_stopped",
        seen(*stopped(HELLO)),
        True,
        "blocked tls.timeout 0.92 by services.name_stopped",
    ),
    "no name at all": (
        "services.name_stopped",
        seen(*stopped(MUTE)),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "the name once": (
        "services.name_stopped",
        seen(HELLO, named(TIMEOUT), HELLO),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "a success in between": (
        "services.name_stopped",
        seen(named(TIMEOUT), HELLO, named(try_=2), HELLO),
        False,
        "ok 0.97 by services.proven",
    ),
    "harmless before alone": (
        "services.name_stopped",
        seen(named(TIMEOUT), HELLO, named(TIMEOUT, try_=2)),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "the control connects there": (
        "services.stopped_here_only",
        seen(*silent(GOOD), controls=(elsewhere(dialled(GOOD)),)),
        True,
        "blocked tcp.timeout 0.94 by services.stopped_here_only",
    ),
    "its protocol is stopped here": (
        "services.stopped_here_only",
        seen(REFERENCE, *again(asked(GOOD, RESET)), REFERENCE, controls=(elsewhere(asked(GOOD)),)),
        True,
        "blocked tcp.reset 0.94 by services.stopped_here_only",
    ),
    "the control connects elsewhere": (
        "services.stopped_here_only",
        seen(*silent(GOOD), controls=(elsewhere(dialled(OTHER)),)),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "the control failed there as well": (
        "services.stopped_here_only",
        seen(*silent(GOOD), controls=(elsewhere(dialled(GOOD)), elsewhere(dialled(GOOD, TIMEOUT)))),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "another endpoint answers": (
        "services.stopped_here_only",
        seen(*silent(GOOD), dialled(OTHER), controls=(elsewhere(dialled(GOOD)),)),
        False,
        "ok tcp.timeout 0.85 by services.answers",
    ),
    "the line is not shown to live": (
        "services.stopped_here_only",
        seen(
            *again(dialled(GOOD, TIMEOUT)),
            controls=(elsewhere(dialled(GOOD)),),
            line=UNKNOWN_LINE,
        ),
        False,
        "inconclusive access.offline 0.95 by services.line_is_dead",
    ),
    "an old control": (
        "services.stopped_here_only",
        seen(*silent(GOOD), controls=(elsewhere(dialled(GOOD), age=-4000),)),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "all of many, and others there": (
        "services.all_silent_here",
        seen(*silent(*THREE), controls=(elsewhere(*answered(*FOUR)),)),
        True,
        "blocked tcp.timeout 0.85 by services.all_silent_here",
    ),
    "too few": (
        "services.all_silent_here",
        seen(*silent(*THREE[:2]), controls=(elsewhere(*answered(*FOUR)),)),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "no such port answers": (
        "services.all_silent_here",
        seen(
            *again(*(dialled(one, TIMEOUT) for one in THREE)),
            controls=(elsewhere(*answered(*FOUR)),),
        ),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "it fails there as well": (
        "services.all_silent_here",
        seen(*silent(*THREE), controls=(elsewhere(*answered(*FOUR), dialled(SINK, TIMEOUT)),)),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "some endpoints": (
        "services.some_places_stopped",
        seen(*silent(GOOD), dialled(OTHER), controls=(elsewhere(dialled(GOOD)),)),
        True,
        "ok tcp.timeout 0.85 by services.answers",
    ),
    "some endpoints for the control as well": (
        "services.some_places_stopped",
        seen(*silent(GOOD), dialled(OTHER), controls=(elsewhere(dialled(GOOD, TIMEOUT)),)),
        False,
        "ok 0.85 by services.answers",
    ),
    "denied, and proven elsewhere": (
        "services.name_denied",
        seen(*again(denied()), PROVES),
        True,
        "blocked dns.nxdomain 0.95 by services.name_denied",
    ),
    "a truncated reply, and no TCP": (
        "services.name_denied",
        seen(*again(CUT_OFF), PROVES, ANOTHER),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "denied, and known to two others": (
        "services.name_denied",
        seen(*again(denied()), ELSEWHERE),
        True,
        "blocked dns.nxdomain 0.8 by services.name_denied",
    ),
    "denied by every resolver": (
        "services.name_denied",
        seen(*again(denied())),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "denied once": (
        "services.name_denied",
        seen(denied(), PROVES),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "silence, and no other name was asked": (
        "services.name_denied",
        seen(*again(denied(TIMEOUT)), PROVES),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "silence for this name": (
        "services.name_denied",
        seen(*again(denied(TIMEOUT)), PROVES, ANOTHER),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "another server's address": (
        "services.name_misdirected",
        seen(*again(named(trust=PARKED)), PROVES),
        True,
        "blocked dns.wrong_address 0.9 by services.name_misdirected",
    ),
    "a bad certificate of its own": (
        "services.name_misdirected",
        seen(*again(named(trust=PARKED))),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "an address that cannot be": (
        "services.name_misdirected",
        seen(*again(named(TIMEOUT, address="10.1.2.3")), PROVES),
        True,
        "blocked dns.bogon 0.9 by services.name_misdirected",
    ),
}


@pytest.mark.parametrize(
    ("rule", "evidence", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule: str, evidence: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, evidence) is expected
    assert verdict_on(evidence) == verdict


def test_the_reason_names_the_part_and_those_that_work() -> None:
    verdict = judge(seen(*stopped(HELLO, failure=RESET), dialled(OTHER, part="calls")))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.mechanisms == (Mechanism.TLS_RESET,)
    reason = verdict.rules[0].reason
    assert "messages" in reason
    assert reason.endswith(" These parts answer: calls.")


def test_a_service_that_works_through_other_endpoints_is_ok_with_a_mechanism() -> None:
    evidence = seen(*silent(GOOD), dialled(OTHER), controls=(elsewhere(dialled(GOOD)),))
    verdict = judge(evidence)
    assert verdict.outcome is Outcome.OK
    assert verdict.mechanisms == (Mechanism.TCP_TIMEOUT,)


def test_refusals_and_silence_have_different_mechanisms() -> None:
    evidence = seen(*silent(GOOD, failure=REFUSED), controls=(elsewhere(dialled(GOOD)),))
    assert judge(evidence).mechanisms == (Mechanism.TCP_REFUSED,)
