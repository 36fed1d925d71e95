"""When independent probes agree: the same rule for metrics and for events. Pure.

Rule: one key has one vote on one target, and one origin has one vote (`collector/standing.py`). A
quorum is at least `quorum` of them, and more than half of those that could tell.
"""

from collections.abc import Mapping

from collector.places import UNKNOWN
from collector.store.measurements import CONCLUSIVE

# The kind of event that an outcome is a sign of.
KINDS = {"blocked": "blocking", "intercepted": "interception", "throttled": "throttling"}

TargetOnNetwork = tuple[str, str, int]  # target (empty: the line), country, ASN


def holds(agreeing: int, judging: int, quorum: int) -> bool:
    """Whether the agreeing keys are a quorum, and more than half of those judging."""
    return agreeing >= max(1, quorum) and 2 * agreeing > judging


def kinds_held(where: TargetOnNetwork, votes: Mapping[str, int], quorum: int) -> list[str]:
    """The kinds of interference that hold, from the number of independent keys by outcome."""
    judging = sum(votes.get(outcome, 0) for outcome in CONCLUSIVE)
    if where[1] == UNKNOWN[0]:
        return []
    return [
        kind for outcome, kind in KINDS.items() if holds(votes.get(outcome, 0), judging, quorum)
    ]
