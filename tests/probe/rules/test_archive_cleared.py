"""Rules that clear an archived measurement: where they hold, and what only looks like it."""

import pytest
from msgspec.structs import replace

from probe.rule import rules_of
from probe.rules import archive_cleared
from tests.probe.rules.test_archive import ids, record

PAIRS = {
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


def test_every_rule_has_its_pair() -> None:
    assert set(PAIRS) == {rule.id for rule in rules_of(archive_cleared)}


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
    assert rule not in ids(replace(record(PAIRS[rule][0]), origin=None))
