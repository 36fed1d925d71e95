"""Rules on services as a whole: for each an example where it holds and one where it does not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Authority, Line, Outcome, Record, Role, TrustReason
from tests.build import FORGED, HARMLESS, KNOWN, OTHER, tls
from tests.probe.rules.check import holds, verdict_on
from tests.probe.rules.service_records import (
    again,
    asked,
    beside,
    dialled,
    elsewhere,
    named,
    own,
    seen,
)

TIMEOUT, REFUSED = Failure.TIMEOUT, Failure.REFUSED
DEAD = Line(alive_before=False, alive_after=False, references=3, references_failed=3)
PORTAL = Line(portal=True, alive_before=True, alive_after=True)
PROVED = Authority(id="signal.2022", kind="service", proof="verified")
SERVICE = replace(FORGED, authority=PROVED)
CLAIMED = replace(FORGED, authority=replace(PROVED, proof="claimed"))
LOCAL = replace(FORGED, local=True)
OTHERS = replace(FORGED, issuer_key="theirs", leaf_key="theirs")
SELF = replace(OTHERS, reason=TrustReason.SELF_SIGNED)
THROWAWAY = "peer 1 with a throwaway key"
HELLO = tls(sni=HARMLESS)
DIALLED = again(dialled(OTHER, TIMEOUT))
SILENT = again(own("bridge 1", TIMEOUT))
BEHIND = own("peer 1", role=Role.HARMLESS)

TABLE = {
    "a name that proves itself": (
        "services.proven",
        seen(named()),
        True,
        "ok 0.97 by services.proven",
    ),
    "its own protocol": ("services.proven", seen(asked()), True, "ok 0.97 by services.proven"),
    "its own root": (
        "services.proven",
        seen(named(trust=SERVICE, own_key=True)),
        True,
        "ok 0.97 by services.proven",
    ),
    "a claim to its root": (
        "services.proven",
        seen(named(trust=CLAIMED, own_key=True)),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "one part of two": (
        "services.proven",
        seen(named(), dialled(part="calls")),
        False,
        "ok 0.85 by services.answers",
    ),
    "your own server": ("services.proven", seen(own()), True, "ok 0.97 by services.proven"),
    "an open port": ("services.answers", seen(dialled()), True, "ok 0.85 by services.answers"),
    "one endpoint of several": (
        "services.answers",
        seen(dialled(OTHER, TIMEOUT), dialled()),
        True,
        "ok 0.85 by services.answers",
    ),
    "no endpoint": (
        "services.answers",
        seen(dialled(OTHER, TIMEOUT)),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "a part is missing": (
        "services.answers",
        seen(dialled(), dialled(OTHER, TIMEOUT, part="calls")),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "the key that a control sees": (
        "services.answers",
        seen(named(trust=SELF, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        True,
        "ok 0.85 by services.answers",
    ),
    "a key that no control saw": (
        "services.answers",
        seen(named(trust=SELF, own_key=True)),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "nothing works": (
        "services.line_is_dead",
        seen(*again(dialled(OTHER, TIMEOUT)), line=DEAD),
        True,
        "inconclusive access.offline 0.95 by services.line_is_dead",
    ),
    "something works": (
        "services.line_is_dead",
        seen(dialled(), line=DEAD),
        False,
        "ok 0.85 by services.answers",
    ),
    "a portal": (
        "services.portal_answers",
        seen(dialled(), line=PORTAL),
        True,
        "inconclusive access.captive_portal 0.9 by services.portal_answers",
    ),
    "no portal": ("services.portal_answers", seen(dialled()), False, "ok 0.85 by services.answers"),
    "a product at home": (
        "services.everything_is_resigned",
        seen(named(trust=LOCAL)),
        True,
        "inconclusive access.local_interceptor 0.9 by services.everything_is_resigned",
    ),
    "no product": (
        "services.everything_is_resigned",
        seen(named()),
        False,
        "ok 0.97 by services.proven",
    ),
    "a known key": (
        "services.known_interception_key",
        seen(named(trust=KNOWN)),
        True,
        "intercepted tls.mitm 0.99 by services.known_interception_key",
    ),
    "an unknown key": (
        "services.known_interception_key",
        seen(named(trust=FORGED)),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "another key than the control's": (
        "services.forged_certificate",
        seen(named(trust=FORGED, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        True,
        "intercepted tls.mitm 0.93 by services.forged_certificate",
    ),
    "a harmless name is trusted there": (
        "services.forged_certificate",
        seen(named(trust=FORGED), beside(HELLO)),
        True,
        "intercepted tls.mitm 0.9 by services.forged_certificate",
    ),
    "the control's own key": (
        "services.forged_certificate",
        seen(named(trust=SELF, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        False,
        "ok 0.85 by services.answers",
    ),
    "everything is re-signed here": (
        "services.forged_certificate",
        seen(named(trust=FORGED), controls=(elsewhere(named()),), line=Line()),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "the service's own root": (
        "services.forged_certificate",
        seen(named(trust=SERVICE, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        False,
        "ok 0.97 by services.proven",
    ),
    "broken for the control too": (
        "services.down_everywhere",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named(TIMEOUT)),)),
        True,
        "down 0.92 by services.down_everywhere",
    ),
    "broken there in another way": (
        "services.down_everywhere",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named(REFUSED)),)),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "no control measurement": (
        "services.down_everywhere",
        seen(*again(named(TIMEOUT))),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "answered behind a preface alone": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", TIMEOUT, try_=2), BEHIND),
        True,
        "blocked 0.9 by services.protocol_stopped",
    ),
    "answered once as it is": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", try_=2), BEHIND),
        False,
        "ok 0.97 by services.proven",
    ),
    "another server answered": (
        "services.protocol_stopped",
        seen(
            own("peer 2", TIMEOUT),
            BEHIND,
            own("peer 2", TIMEOUT, try_=2),
            BEHIND,
        ),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "not answered after the last failure": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", TIMEOUT, try_=2)),
        False,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "your server is silent": (
        "services.own_server_silent",
        seen(*again(own("bridge 1", TIMEOUT))),
        True,
        "inconclusive 0.4 by services.nothing_fits",
    ),
    "your server answers": (
        "services.own_server_silent",
        seen(own("bridge 1")),
        False,
        "ok 0.97 by services.proven",
    ),
    "no key was given": (
        "services.own_server_wants_a_key",
        seen(own(THROWAWAY, TIMEOUT)),
        True,
        "inconclusive 0.5 by services.seen_once",
    ),
    "a key was given": (
        "services.own_server_wants_a_key",
        seen(own("peer 1", TIMEOUT)),
        False,
        "inconclusive 0.5 by services.seen_once",
    ),
    "tried once": (
        "services.seen_once",
        seen(named(TIMEOUT)),
        True,
        "inconclusive 0.5 by services.seen_once",
    ),
    "tried twice": (
        "services.seen_once",
        seen(*again(named(TIMEOUT))),
        False,
        "inconclusive 0.5 by services.no_control",
    ),
    "no control": (
        "services.no_control",
        seen(*again(named(TIMEOUT))),
        True,
        "inconclusive 0.5 by services.no_control",
    ),
    "a control": (
        "services.no_control",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named()),)),
        False,
        "blocked tls.timeout 0.94 by services.stopped_here_only",
    ),
    "nothing else": (
        "services.nothing_fits",
        seen(named(TIMEOUT)),
        True,
        "inconclusive 0.5 by services.seen_once",
    ),
}


@pytest.mark.parametrize(
    ("rule", "evidence", "expected", "verdict"), TABLE.values(), ids=list(TABLE)
)
def test_rule(rule: str, evidence: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, evidence) is expected
    assert verdict_on(evidence) == verdict


def test_a_silent_bridge_does_not_change_the_verdict_on_public_parts() -> None:
    verdict = judge(seen(dialled(), *again(own("bridge 1", TIMEOUT)), experiment="tor"))
    assert verdict.outcome is Outcome.OK
    assert "services.own_server_silent" in {hit.id for hit in verdict.rules}


def test_a_silent_own_server_is_inconclusive() -> None:
    verdict = judge(seen(*again(own("peer 1", TIMEOUT)), experiment="wireguard"))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.mechanisms == ()


def test_a_control_s_own_server_of_the_same_label_is_not_compared() -> None:
    evidence = seen(
        *again(own("peer 1", TIMEOUT)), controls=(elsewhere(own("peer 1")),), experiment="wireguard"
    )
    assert judge(evidence).outcome is Outcome.INCONCLUSIVE


def test_every_record_of_a_service_matches_a_rule() -> None:
    assert judge(seen()).outcome is Outcome.INCONCLUSIVE
