"""Rules that clear a name of throttling, and say which limits could not have been seen."""

from probe.analysis.evidence import Evidence
from probe.analysis.neutral_rate import outruns
from probe.analysis.paired_test import Judgement, PairState
from probe.analysis.unseen_limits import unseen_limits
from probe.model import Outcome
from probe.rule import Finding, Tier, rule
from probe.rules.throttle import FINE, by_name, kbits, later, no_neutral, own_fine, there, transfers

EXPERIMENTS = ("throttle",)


@rule("throttle.not_this_name", Tier.LIKELY, Outcome.OK)
def not_this_name(e: Evidence) -> Finding | None:
    """At one neutral server this name is as fast as another name."""
    found, afterwards = by_name(e), later(e)
    if found.state not in FINE or afterwards.state.accuses or not own_fine(e, found):
        return None
    widest = afterwards if afterwards.state is PairState.OK else found
    limit, burst, size, seconds = _limits(widest)
    reason = (
        f"This name is as fast as another name; a limit above {limit} is not detectable, nor one "
        f"that lets {burst} through first, nor one that begins after {size} or {seconds} s of a "
        "connection."
    )
    if found.state is PairState.SLOW_BOTH:
        elsewhere = any(t.arm in {"C", "D"} and outruns(t, found) for t in transfers(e))
        slow = (
            "Both names are equally slow at the neutral server only: that server is slow."
            if elsewhere
            else "Both names are equally slow: the connection or that server is slow."
        )
        reason = f"{slow} {reason}"
    rests_on = {id(step): step for one in (found, widest) for step in (*one.tested, *one.control)}
    return Finding(tuple(rests_on.values()), 0.9, reason=reason)


@rule("throttle.not_this_name_there", Tier.LIKELY, Outcome.OK)
def not_this_name_there(e: Evidence) -> Finding | None:
    """At its own address this name is as fast as another name: weaker evidence."""
    found = there(e)
    if found.state is not PairState.OK or not no_neutral(e):
        return None
    limit, burst, size, seconds = _limits(found)
    reason = (
        f"At its own address this name is as fast as another name; a limit above {limit} is not "
        f"detectable, nor one that lets {burst} through first, nor one that begins after {size} or "
        f"{seconds} s of a connection, nor one on the address itself."
    )
    return Finding((*found.tested, *found.control), 0.7, reason=reason)


def _limits(found: Judgement) -> tuple[str, str, str, str]:
    """What could not have been seen: rate, burst, onset by bytes and by seconds."""
    unseen = unseen_limits(found)
    burst, size = (f"{round(number / 1000)} kB" for number in (unseen.burst, unseen.size))
    return kbits(unseen.rate), burst, size, f"{unseen.seconds:.2g}"
