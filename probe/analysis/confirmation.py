"""Seen again in a later run: what makes a suspicion a confirmed one, from one record alone.

A record carries what earlier runs on the same machine concluded of its target, newest first, back
to the first that found nothing wrong. A verdict is confirmed when one of them says the same: the
same outcome, by a mechanism in common. Slowness comes and goes with the evening, so for it they
must be at least half an hour apart; and what was merely suspected, at most two hours.
"""

from collections.abc import Iterator, Sequence

from probe.model import Earlier, Mechanism, Outcome, Record

INTERFERENCE = frozenset({Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED})
# Conclusions that end a chain: in between, nothing was wrong, or it was somebody else's fault.
ENDS = frozenset({Outcome.OK, Outcome.REFUSED, Outcome.DOWN})
WEEK = 7 * 86_400.0
SOONEST, LATEST = 30 * 60.0, 120 * 60.0
# The rule that says "slow in one run", and nothing more.
SUSPECTED_ONCE = "throttle.suspected_once"
SLOWNESS = "throttle"


def again(record: Record, outcome: Outcome, mechanisms: Sequence[Mechanism]) -> bool:
    """Whether an earlier run came to this outcome too, by one of these mechanisms."""
    if outcome not in INTERFERENCE:
        return False
    return any(
        one.outcome is outcome and _shared(one.mechanisms, mechanisms)
        for one in _since(record, WEEK)
    ) or (outcome is Outcome.THROTTLED and suspected_before(record))


def suspected_before(record: Record) -> bool:
    """Whether this was slow, or suspected of it, half an hour to two hours ago."""
    return any(
        one.outcome is Outcome.THROTTLED or one.rule == SUSPECTED_ONCE
        for one in _since(record, LATEST)
    )


def _since(record: Record, longest: float) -> Iterator[Earlier]:
    soonest = SOONEST if record.experiment == SLOWNESS else 0.0
    return (
        one for one in record.earlier if one.run != record.run and soonest <= -one.age <= longest
    )


def _shared(one: Sequence[Mechanism], other: Sequence[Mechanism]) -> bool:
    """A mechanism in common; or neither named any."""
    return bool(set(one) & set(other)) or not (one or other)
