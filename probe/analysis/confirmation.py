"""Whether an earlier run confirms a verdict, from one record alone.

A record carries the conclusions of earlier runs on the same machine about its target, newest first,
back to the first that found nothing wrong. A verdict is confirmed when one of them has the same
outcome and a mechanism in common. Slowness varies with the time of day, so for it the runs must be
at least half an hour apart, and after a mere suspicion at most two hours.
"""

from collections.abc import Iterator, Sequence

from probe.model import Earlier, Mechanism, Outcome, Record

INTERFERENCE = frozenset({Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED})
# Outcomes that end a series of suspicions: the network was not at fault.
ENDS = frozenset({Outcome.OK, Outcome.REFUSED, Outcome.DOWN})
WEEK = 7 * 86_400.0
SOONEST, LATEST = 30 * 60.0, 120 * 60.0
# The rule for "slow in one run".
SUSPECTED_ONCE = "throttle.suspected_once"
SLOWNESS = "throttle"


def again(record: Record, outcome: Outcome, mechanisms: Sequence[Mechanism]) -> bool:
    """Whether an earlier run had the same outcome and a mechanism in common, or neither had one."""
    if outcome not in INTERFERENCE:
        return False
    return any(
        one.outcome is outcome
        and (bool(set(one.mechanisms) & set(mechanisms)) or not (one.mechanisms or mechanisms))
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
