"""What a neutral server's rate says of the target's own address, and when it says nothing.

The two share the line and nothing else. Where they come alike, the line is the likeliest reason;
where one is far quicker, the other was slow itself.
"""

from probe.analysis.paired_test import SUSPECTED, Judgement, detectable, rate
from probe.model import Transfer


def beyond_limits(transfer: Transfer) -> bool:
    """It came faster than any limit that an object of its size could show."""
    return (rate(transfer) or 0.0) >= detectable([transfer]) > 0


def outruns(own: Transfer, neutral: Judgement) -> bool:
    """It came more than twice as fast as anything from the neutral server, by the same line."""
    return (rate(own) or 0.0) > _fastest(neutral) / SUSPECTED


def vouched_for(own: Transfer, neutral: Judgement) -> bool:
    """At the target's own address it came as fast as names do at the neutral server.

    Or faster than any limit that this object could show. A neutral server that the target's own
    outruns was slow itself, and not the line: it vouches for nothing.
    """
    if beyond_limits(own):
        return True
    seen = rate(own) or 0.0
    return seen > 0 and seen >= _fastest(neutral) * SUSPECTED and not outruns(own, neutral)


def _fastest(neutral: Judgement) -> float:
    return max((rate(t) or 0.0 for t in neutral.control), default=0.0)
