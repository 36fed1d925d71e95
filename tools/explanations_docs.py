"""Write `docs/explanations.md`: which innocent explanations each accusation excludes, and how.

Run as `python -m tools.explanations_docs`; with `--check` it only says whether the page is current.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from probe.ladder import CHECKS
from probe.rule import InnocentExplanation, Rule, Tier
from probe.rules import RULES

PAGE = Path(__file__).parents[1] / "docs" / "explanations.md"
MEANINGS = {
    InnocentExplanation.LINE: "The connection does this to every server of the kind.",
    InnocentExplanation.RESOLVER: "The resolver answers so for many names.",
    InnocentExplanation.SERVER: "The server does it to every client, or to this name by itself.",
    InnocentExplanation.MEANS: "This machine lacks a route, a family, a parser or the time.",
    InnocentExplanation.CHANCE: "A packet was lost, a server restarted.",
}
OPENING = """# What an accusation excludes first

Made from the code by `python -m tools.explanations_docs`. Do not edit.

Before a verdict accuses the network, the innocent explanations of its kind are tested. Each rule
excludes some by its own logic; checks that all rules share test the others on the record. If an
explanation is not excluded, the verdict is `inconclusive`; its first rule, `verdict.not_excluded`,
gives that explanation as the reason.

| explanation | means |
|---|---|
"""


def page() -> str:
    """The whole page."""
    meanings = "".join(f"| {one} | {text} |\n" for one, text in MEANINGS.items())
    return OPENING + meanings + "".join(_checks()) + "".join(map(_rule, accusing()))


def accusing() -> list[Rule]:
    """The rules that accuse."""
    return [rule for rule in RULES if rule.tier is Tier.ACCUSED]


def _checks() -> Iterator[str]:
    yield "\n## Checks for all rules\n\n"
    yield "| explanation | mechanisms | excluded when |\n|---|---|---|\n"
    for check in CHECKS:
        kinds = ", ".join(f"`{family}.*`" for family in check.families)
        yield f"| {check.explanation} | {kinds} | {check.sentence} |\n"
    yield "\n## Rules\n"


def _rule(rule: Rule) -> str:
    rows = "".join(f"| {one} | {how} |\n" for one, how in rule.excludes.items())
    return f"\n### `{rule.id}`\n\n{rule.sentence}\n\n| excludes | because |\n|---|---|\n{rows}"


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
