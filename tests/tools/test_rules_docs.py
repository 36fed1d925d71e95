from pathlib import Path

from probe.rules import RULES
from tools.rules_docs import page

RULES_PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_of_rules_is_current() -> None:
    assert RULES_PAGE.read_text() == page(), "run: python -m tools.rules_docs > docs/rules.md"


def test_every_rule_is_documented() -> None:
    assert all(f"`{rule.id}`" in page() for rule in RULES)
