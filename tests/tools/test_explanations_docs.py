"""Every accusation excludes every innocent explanation of its kind, and the page says how."""

import pytest

from probe.ladder import CHECKS, needed
from probe.model import Mechanism
from probe.rule import Rule
from tools.explanations_docs import MEANINGS, PAGE, accusing, page


def families(rule: Rule) -> set[str]:
    """The mechanisms of a rule, or the family that its id names where the evidence chooses."""
    chosen = {mechanism.partition(".")[0] for mechanism in rule.mechanisms}
    return chosen or {rule.id.partition(".")[0]}


@pytest.mark.parametrize("rule", accusing(), ids=lambda rule: rule.id)
def test_an_accusation_excludes_every_explanation_of_its_kind(rule: Rule) -> None:
    kinds = families(rule)
    if rule.id in {"services.name_denied", "services.name_misdirected"}:
        kinds = {"dns"}
    checked = {check.explanation for check in CHECKS if kinds.intersection(check.families)}
    assert needed(kinds) - checked - set(rule.excludes) == set()


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make generated"


def test_every_explanation_has_a_meaning_and_every_check_a_sentence() -> None:
    assert set(MEANINGS) == set(needed({"dns"}) | needed({"tls"}))
    known = {mechanism.partition(".")[0] for mechanism in Mechanism}
    for check in CHECKS:
        assert check.sentence.endswith(".")
        assert set(check.families) <= known
