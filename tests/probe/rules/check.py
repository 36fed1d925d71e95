"""Does one rule hold over one record? Every rule's test asks for a yes and for a no."""

from probe.analysis.evidence import Evidence
from probe.model import Record
from probe.rules import RULES

BY_ID = {rule.id: rule for rule in RULES}


def holds(rule_id: str, record: Record) -> bool:
    """Whether the rule of that id found a proof."""
    return BY_ID[rule_id].holds(Evidence(record)) is not None
