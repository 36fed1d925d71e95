"""Whether a rule holds over a record, and the verdict on that record: what rule tests compare."""

from probe.analysis.evidence import Evidence
from probe.judge import judge
from probe.model import Record
from probe.rules import RULES

BY_ID = {rule.id: rule for rule in RULES}


def holds(rule_id: str, record: Record) -> bool:
    """Whether the rule of that id found a proof."""
    return BY_ID[rule_id].holds(Evidence(record)) is not None


def verdict_on(record: Record) -> str:
    """The outcome, the mechanisms, the confidence and the deciding rule, in one line."""
    verdict = judge(record)
    words = [verdict.outcome, *verdict.mechanisms, f"{verdict.confidence:g}"]
    return f"{' '.join(words)} by {verdict.rules[0].id}"
