import pytest
from msgspec.structs import replace

from probe.analysis.evidence import Evidence
from probe.failure import Failure
from probe.model import Line, Record, Role, Step, TrustReason
from probe.rules.access import line_is_dead
from tests.build import (
    CLAIMED,
    EXPIRED,
    FORGED,
    GOOD,
    KNOWN,
    OTHER,
    PLAIN,
    VALID,
    again,
    at_unrelated,
    dns,
    doh,
    fetched,
    harmless,
    page,
    record,
    reference,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

SERVFAIL = Failure.DNS_SERVFAIL
TIMEOUT = Failure.TIMEOUT
DEAD = Line(alive_before=False, alive_after=False, references=3, references_failed=3)
CUT = Line(alive_before=True, alive_after=True, foreign_alive=0.0, domestic_alive=0.0)
RESIGNED = Line(resigned_by="forger", resigned_names=4)
ROUTER = replace(FORGED, named=False, reason=TrustReason.SELF_SIGNED)
RESEALED = record(dns(GOOD), tcp(), tls(trust=FORGED), line=RESIGNED)
PORTAL = Line(portal=True, portal_hosts=3)

TABLE = {
    "dead: nothing answered": (
        "access.line_is_dead",
        record(dns(failure=TIMEOUT), line=DEAD),
        True,
        "inconclusive access.offline 0.95 by access.line_is_dead",
    ),
    "dead: no references, and no way out": (
        "access.line_is_dead",
        record(dns(failure=Failure.NETWORK_UNREACHABLE), line=Line()),
        True,
        "inconclusive access.offline 0.95 by access.line_is_dead",
    ),
    "dead: another resolver answered": (
        "access.line_is_dead",
        record(dns(failure=TIMEOUT), doh(GOOD), line=DEAD),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "dead: a reference worked": (
        "access.line_is_dead",
        record(dns(failure=TIMEOUT), line=replace(DEAD, alive_after=True)),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "no names: a harmless one neither, though sites answer at addresses that others gave": (
        "access.no_names",
        record(
            dns(failure=TIMEOUT),
            *again(dns(failure=TIMEOUT)),
            replace(dns(failure=TIMEOUT), role=Role.HARMLESS),
            line=Line(trusted_names=6),
        ),
        True,
        "inconclusive access.offline 0.85 by access.no_names",
    ),
    "no names: silent over UDP, answered over TCP": (
        "access.no_names",
        record(
            dns(failure=TIMEOUT),
            *again(dns(failure=TIMEOUT), dns(failure=TIMEOUT, transport="tcp")),
            reference(dns(OTHER, name="ref.example", transport="tcp")),
            line=Line(),
        ),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "over TCP: noted": (
        "access.names_over_tcp",
        record(dns(failure=TIMEOUT), *again(dns(GOOD, transport="tcp"))),
        True,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "over TCP: silent there too": (
        "access.names_over_tcp",
        record(dns(failure=TIMEOUT), *again(dns(failure=TIMEOUT, transport="tcp"))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "over TCP: another's resolver": (
        "access.names_over_tcp",
        record(dns(GOOD), dns(GOOD, resolver="8.8.8.8", transport="tcp")),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "cut: nothing abroad, and this site not either": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=TIMEOUT), line=replace(CUT, domestic_alive=1.0)),
        True,
        "inconclusive access.foreign_cut 0.85 by access.line_is_cut",
    ),
    "cut: a few sites at home": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(), tls(failure=TIMEOUT), line=replace(CUT, domestic_alive=0.5)),
        True,
        "inconclusive access.whitelist 0.85 by access.line_is_cut",
    ),
    "cut: no site at all": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=Failure.REFUSED), line=CUT),
        True,
        "inconclusive access.offline 0.9 by access.line_is_cut",
    ),
    "cut: no anchor, but other sites": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=TIMEOUT), line=replace(CUT, trusted_names=2)),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "cut: a portal says why": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=Failure.REFUSED), line=replace(CUT, portal=True)),
        False,
        "inconclusive access.captive_portal 0.9 by access.portal_answers",
    ),
    "cut: a harmless name is answered there": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(), tls(failure=TIMEOUT), harmless(tls()), line=CUT),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "cut: some site abroad answers": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=TIMEOUT), line=replace(CUT, foreign_alive=0.2)),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "cut: no anchor was tried": (
        "access.line_is_cut",
        record(dns(GOOD), tcp(failure=TIMEOUT), line=replace(CUT, domestic_alive=None)),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "no names: for any name": (
        "access.no_names",
        record(dns(failure=TIMEOUT), *again(dns(failure=TIMEOUT)), line=Line()),
        True,
        "inconclusive access.offline 0.95 by access.line_is_dead",
    ),
    "no names: an error for every name": (
        "access.no_names",
        record(
            dns(failure=SERVFAIL),
            *again(dns(failure=SERVFAIL)),
            reference(dns(name="ref.example", failure=SERVFAIL)),
            line=Line(),
        ),
        True,
        "inconclusive access.offline 0.85 by access.no_names",
    ),
    "no names: an error, and nothing else was asked for": (
        "access.no_names",
        record(dns(failure=SERVFAIL), *again(dns(failure=SERVFAIL)), line=Line()),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "no names: for this one": (
        "access.no_names",
        record(
            dns(failure=TIMEOUT),
            *again(dns(failure=TIMEOUT)),
            reference(dns(OTHER, name="ref.example")),
            line=Line(),
        ),
        False,
        "inconclusive 0.5 by unclear.line_not_shown_to_work",
    ),
    "portal: for all": (
        "access.portal_answers",
        record(dns(GOOD), tcp(port=80), page(PLAIN), url=PLAIN, line=PORTAL),
        True,
        "inconclusive access.captive_portal 0.9 by access.portal_answers",
    ),
    "portal: others were proven": (
        "access.portal_answers",
        record(dns(GOOD), tcp(port=80), page(PLAIN), line=replace(PORTAL, trusted_names=2)),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "one certificate: a router's page": (
        "access.one_certificate_for_all",
        record(dns(GOOD), tcp(), tls(trust=ROUTER), line=RESIGNED),
        True,
        "inconclusive access.captive_portal 0.9 by access.one_certificate_for_all",
    ),
    "one certificate: a router's page is no product that re-signs": (
        "access.everything_is_resigned",
        record(dns(GOOD), tcp(), tls(trust=ROUTER), line=RESIGNED),
        False,
        "inconclusive access.captive_portal 0.9 by access.one_certificate_for_all",
    ),
    "one certificate: made for the name": (
        "access.one_certificate_for_all",
        RESEALED,
        False,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "one certificate: others are proven": (
        "access.one_certificate_for_all",
        record(dns(GOOD), tcp(), tls(trust=ROUTER), line=replace(RESIGNED, trusted_names=3)),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "re-signed: everything": (
        "access.everything_is_resigned",
        RESEALED,
        True,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "re-signed: installed on this machine": (
        "access.everything_is_resigned",
        record(dns(GOOD), tcp(), tls(trust=replace(FORGED, local=True)), line=Line()),
        True,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "re-signed: others were left alone": (
        "access.everything_is_resigned",
        replace(
            RESEALED,
            steps=(*RESEALED.steps, at_unrelated(tls(trust=FORGED))),
            line=replace(RESIGNED, trusted_names=1),
        ),
        False,
        "intercepted tls.mitm 0.85 by tls.one_key_for_unrelated_names",
    ),
    "re-signed: nearly everything, a harmless name too": (
        "access.everything_is_resigned",
        replace(
            RESEALED,
            steps=(*RESEALED.steps, harmless(tls(trust=FORGED))),
            line=replace(RESIGNED, trusted_names=1),
        ),
        True,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "re-signed: a harmless name at this address is not": (
        "access.everything_is_resigned",
        replace(
            RESEALED,
            steps=(*RESEALED.steps, harmless(tls(trust=VALID)), at_unrelated(tls(trust=FORGED))),
            line=replace(RESIGNED, trusted_names=1),
        ),
        False,
        "intercepted tls.mitm 0.85 by tls.one_key_for_unrelated_names",
    ),
    "re-signed: this harmless name is spared, others are not": (
        "access.everything_is_resigned",
        replace(
            RESEALED,
            steps=(*RESEALED.steps, harmless(tls(trust=VALID))),
            line=replace(RESIGNED, trusted_names=1, resigned_harmless=1),
        ),
        True,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "re-signed: a harmless name too, but others seldom": (
        "access.everything_is_resigned",
        replace(
            RESEALED,
            steps=(*RESEALED.steps, harmless(tls(trust=FORGED))),
            line=replace(RESIGNED, trusted_names=4),
        ),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "re-signed: by a known authority's name": (
        "access.everything_is_resigned",
        record(dns(GOOD), tcp(), tls(trust=CLAIMED), line=RESIGNED),
        False,
        "intercepted tls.mitm 0.9 by tls.claims_interception_authority",
    ),
    "re-signed: by a known state key": (
        "access.everything_is_resigned",
        record(dns(GOOD), tcp(), tls(trust=KNOWN), line=RESIGNED),
        False,
        "intercepted tls.mitm 0.99 by tls.known_interception_key",
    ),
    "clock: two days off": (
        "access.clock_is_wrong",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED), line=Line(clock_offset=2 * 86400.0)),
        True,
        "inconclusive 0.9 by access.clock_is_wrong",
    ),
    "clock: a minute off": (
        "access.clock_is_wrong",
        record(dns(GOOD), tcp(), tls(trust=EXPIRED), line=Line(clock_offset=60.0)),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "one page: for many": (
        "access.one_page_for_many",
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, sha256="same"),
            url=PLAIN,
            line=Line(portal_hosts=2, portal_sign="same"),
        ),
        True,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "one page: a proven one": (
        "access.one_page_for_many",
        record(dns(GOOD), *fetched(), line=Line(portal_hosts=2)),
        False,
        "ok 0.99 by ok.proven",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((dns(failure=TIMEOUT),), None),
        ((dns(GOOD), tcp(failure=Failure.NETWORK_UNREACHABLE)), "no route beyond its own network"),
        ((dns(GOOD), tcp(failure=TIMEOUT)), "no site can be reached"),
    ],
)
def test_a_resolver_that_answers_is_not_nothing(steps: tuple[Step, ...], said: str | None) -> None:
    found = line_is_dead.holds(Evidence(record(*steps, line=DEAD)))
    assert found is not None
    assert (found.reason is None) == (said is None)
    assert (said or "") in (found.reason or "")
