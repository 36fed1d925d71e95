"""What a line test says: a number, or that there is none."""

from probe.analysis.cross_traffic import crowded
from probe.analysis.evidence import Evidence
from probe.analysis.line_speed import speed
from probe.analysis.paired_test import sane
from probe.model import Outcome, Transfer
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("speed",)


@rule("speed.measured", Tier.LIKELY, Outcome.OK)
def measured(e: Evidence) -> Finding | None:
    """The line was measured, at least one way."""
    moved = [s for s in e.steps if isinstance(s, Transfer) and speed(s) is not None]
    return Finding(tuple(moved), 0.9) if moved else None


@rule("speed.no_number", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_number(e: Evidence) -> Finding | None:
    """The line test failed, had no server, or was not alone: no number, which is not zero."""
    every = [s for s in e.steps if isinstance(s, Transfer)]
    if any(speed(s) is not None for s in every):
        return None
    alone = not any(sane(s) and crowded(s) for s in every)
    reason = (
        None if alone else "This machine used the line for something else meanwhile: no number."
    )
    return Finding(e.steps[-1:], 0.3, reason=reason)
