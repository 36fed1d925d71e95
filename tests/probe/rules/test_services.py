"""Rules on services as a whole: for each an example where it holds and one where it does not."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Authority, Line, Outcome, Record, Role, TrustReason
from tests.build import FORGED, HARMLESS, KNOWN, OTHER, tls
from tests.probe.rules.check import holds
from tests.probe.rules.service_looks import (
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
    "a name that proves itself": ("services.proven", seen(named()), True),
    "its own protocol": ("services.proven", seen(asked()), True),
    "its own root": ("services.proven", seen(named(trust=SERVICE, own_key=True)), True),
    "a claim to its root": ("services.proven", seen(named(trust=CLAIMED, own_key=True)), False),
    "one part of two": ("services.proven", seen(named(), dialled(part="calls")), False),
    "your own server": ("services.proven", seen(own()), True),
    "an open port": ("services.answers", seen(dialled()), True),
    "one place of several": ("services.answers", seen(dialled(OTHER, TIMEOUT), dialled()), True),
    "no place": ("services.answers", seen(dialled(OTHER, TIMEOUT)), False),
    "a part is missing": (
        "services.answers",
        seen(dialled(), dialled(OTHER, TIMEOUT, part="calls")),
        False,
    ),
    "the key that a control sees": (
        "services.answers",
        seen(named(trust=SELF, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        True,
    ),
    "a key that nobody else saw": (
        "services.answers",
        seen(named(trust=SELF, own_key=True)),
        False,
    ),
    "nothing works": (
        "services.line_is_dead",
        seen(*again(dialled(OTHER, TIMEOUT)), line=DEAD),
        True,
    ),
    "something works": ("services.line_is_dead", seen(dialled(), line=DEAD), False),
    "a portal": ("services.portal_answers", seen(dialled(), line=PORTAL), True),
    "no portal": ("services.portal_answers", seen(dialled()), False),
    "a product at home": ("services.everything_is_resigned", seen(named(trust=LOCAL)), True),
    "no product": ("services.everything_is_resigned", seen(named()), False),
    "a known key": ("services.known_interception_key", seen(named(trust=KNOWN)), True),
    "an unknown key": ("services.known_interception_key", seen(named(trust=FORGED)), False),
    "another key than the control's": (
        "services.forged_certificate",
        seen(named(trust=FORGED, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        True,
    ),
    "a harmless name is trusted there": (
        "services.forged_certificate",
        seen(named(trust=FORGED), beside(HELLO)),
        True,
    ),
    "the control's own key": (
        "services.forged_certificate",
        seen(named(trust=SELF, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        False,
    ),
    "everything is re-signed here": (
        "services.forged_certificate",
        seen(named(trust=FORGED), controls=(elsewhere(named()),), line=Line()),
        False,
    ),
    "the service's own root": (
        "services.forged_certificate",
        seen(named(trust=SERVICE, own_key=True), controls=(elsewhere(named(trust=SELF)),)),
        False,
    ),
    "broken for the control too": (
        "services.down_everywhere",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named(TIMEOUT)),)),
        True,
    ),
    "broken there in another way": (
        "services.down_everywhere",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named(REFUSED)),)),
        False,
    ),
    "nobody else looked": ("services.down_everywhere", seen(*again(named(TIMEOUT))), False),
    "answered behind a preface alone": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", TIMEOUT, try_=2), BEHIND),
        True,
    ),
    "answered once as it is": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", try_=2), BEHIND),
        False,
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
    ),
    "not answered after the last failure": (
        "services.protocol_stopped",
        seen(own("peer 1", TIMEOUT), BEHIND, own("peer 1", TIMEOUT, try_=2)),
        False,
    ),
    "your server is silent": (
        "services.own_server_silent",
        seen(*again(own("bridge 1", TIMEOUT))),
        True,
    ),
    "your server answers": ("services.own_server_silent", seen(own("bridge 1")), False),
    "no key was given": ("services.own_server_wants_a_key", seen(own(THROWAWAY, TIMEOUT)), True),
    "a key was given": ("services.own_server_wants_a_key", seen(own("peer 1", TIMEOUT)), False),
    "looked at once": ("services.seen_once", seen(named(TIMEOUT)), True),
    "looked at twice": ("services.seen_once", seen(*again(named(TIMEOUT))), False),
    "no control": ("services.no_control", seen(*again(named(TIMEOUT))), True),
    "a control": (
        "services.no_control",
        seen(*again(named(TIMEOUT)), controls=(elsewhere(named()),)),
        False,
    ),
    "nothing else": ("services.nothing_fits", seen(named(TIMEOUT)), True),
}


@pytest.mark.parametrize(("rule", "evidence", "expected"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, evidence: Record, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert holds(rule, evidence) is expected


def test_a_bridge_that_is_silent_takes_nothing_from_the_authorities() -> None:
    verdict = judge(seen(dialled(), *again(own("bridge 1", TIMEOUT)), experiment="tor"))
    assert verdict.outcome is Outcome.OK
    assert "services.own_server_silent" in {hit.id for hit in verdict.rules}


def test_a_silent_server_of_ones_own_accuses_nobody() -> None:
    verdict = judge(seen(*again(own("peer 1", TIMEOUT)), experiment="wireguard"))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.mechanisms == ()


def test_a_control_that_knows_the_same_words_knows_not_the_same_server() -> None:
    evidence = seen(
        *again(own("peer 1", TIMEOUT)), controls=(elsewhere(own("peer 1")),), experiment="wireguard"
    )
    assert judge(evidence).outcome is Outcome.INCONCLUSIVE


def test_no_record_of_a_service_leaves_the_rules_speechless() -> None:
    assert judge(seen()).outcome is Outcome.INCONCLUSIVE
