"""Rules on the speed test: the line has a measured rate, or the rate is missing and why."""

from probe.analysis.cross_traffic import crowded
from probe.analysis.evidence import Evidence
from probe.analysis.line_speed import speed
from probe.analysis.paired_test import sane
from probe.model import Outcome, Transfer
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("speed",)


@rule("speed.measured", Tier.LIKELY, Outcome.OK)
def measured(e: Evidence) -> Finding | None:
    """The speed of the connection was measured in at least one direction."""
    moved = [s for s in e.steps if isinstance(s, Transfer) and speed(s) is not None]
    return Finding(tuple(moved), 0.9) if moved else None


@rule("speed.no_number", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_number(e: Evidence) -> Finding | None:
    """The speed test failed, had no server or shared the connection, so the speed is unknown."""
    every = [s for s in e.steps if isinstance(s, Transfer)]
    if any(speed(s) is not None for s in every):
        return None
    shared = any(sane(s) and crowded(s) for s in every)
    reason = "Other traffic of this machine disturbed the speed test." if shared else None
    return Finding(e.steps[-1:], 0.3, reason=reason)
