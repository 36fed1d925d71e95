"""Rules on archived measurements: what they say, and what is alike and something else."""

import pytest
from msgspec.structs import replace

from probe.certificates.roots import Roots
from probe.interop.ooni.incoming.to_record import to_record
from probe.judge import judge
from probe.model import Outcome, Record
from probe.rule import rules_of
from probe.rules import archive, archive_cleared
from tests.probe.interop.ooni.incoming.situations import SITUATIONS

ROOTS = Roots.mozilla()
# For each rule: where it decides, and what looks like it and is something else.
ACCUSING = {
    "archive.name_denied_here": (
        "NXDOMAIN here",
        ("NXDOMAIN everywhere", "SERVFAIL here", "no answer in time", "NXDOMAIN here, no control"),
    ),
    "archive.wrong_address_here": (
        "a wrong address with a notice",
        (
            "another node of the site, which proves its name",
            "a proxy that leads to the site",
            "an address elsewhere that does not answer, for the control either",
        ),
    ),
    "archive.connection_fails_here_only": (
        "the connection times out here",
        (
            "the connection times out everywhere",
            "a timeout here, a refusal for the control",
            "only IPv6 has an address, and no route",
            "one of two addresses fails, the page comes from the other",
        ),
    ),
    "archive.handshake_fails_here_only": (
        "a reset after the hello",
        (
            "a reset everywhere",
            "a reset, and the control never tried the address",
            "a reset at one address, the other one works",
            "an alert",
        ),
    ),
    "archive.request_fails_here_only": (
        "a reset after the request",
        (
            "a slow page over https",
            "a reset after the request, the control failed otherwise",
            "a reset after the request everywhere",
        ),
    ),
    "archive.notice_here": (
        "a notice",
        (
            "the server's own 403 with words of refusal",
            "a site that turns this country away itself",
            "another page without such words",
            "a notice, no control",
        ),
    ),
}
CLEARING = {
    "archive.same_page": (
        "a page without a title, of the same length",
        (
            "a page without a title, of another length",
            "https, and no handshake was recorded",
            "the same, no control",
        ),
    ),
    "archive.broken_for_the_helper_too": (
        "a reset everywhere",
        (
            "a reset here, a timeout for the control",
            "an unknown authority here, an expired certificate for the control",
        ),
    ),
    "archive.no_handshake_recorded": (
        "https, and no handshake was recorded",
        ("https works", "https works, no control"),
    ),
}
PAIRS = ACCUSING | CLEARING


def record(name: str) -> Record:
    return to_record(SITUATIONS[name].make(), roots=ROOTS)


def ids(made: Record) -> list[str]:
    return [hit.id for hit in judge(made).rules]


def test_every_rule_has_its_pair() -> None:
    assert set(ACCUSING) == {rule.id for rule in rules_of(archive)}
    assert set(CLEARING) == {rule.id for rule in rules_of(archive_cleared)}


@pytest.mark.parametrize("rule", PAIRS)
def test_it_decides_where_it_should(rule: str) -> None:
    assert ids(record(PAIRS[rule][0]))[0] == rule


@pytest.mark.parametrize(
    ("rule", "harmless"), [(rule, name) for rule, (_, names) in PAIRS.items() for name in names]
)
def test_it_is_silent_where_something_else_happened(rule: str, harmless: str) -> None:
    assert rule not in ids(record(harmless))


@pytest.mark.parametrize("rule", PAIRS)
def test_it_holds_for_no_record_of_a_probe(rule: str) -> None:
    ours = replace(record(PAIRS[rule][0]), origin=None)
    assert rule not in ids(ours)


@pytest.mark.parametrize("rule", ACCUSING)
def test_what_rests_on_one_look_is_never_sure(rule: str) -> None:
    verdict = judge(record(PAIRS[rule][0]))
    assert verdict.outcome is Outcome.BLOCKED
    assert verdict.confidence <= 0.8
    assert verdict.stage == "suspected"
