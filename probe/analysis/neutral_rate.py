"""Compare the rate at the target's own address with the rate at a neutral server.

The two share the line alone. If both are equally fast, the line is the likely limit; if one is far
faster, the other server was slow itself.
"""

from probe.analysis.paired_test import SUSPECTED, Judgement, detectable, rate
from probe.model import Transfer


def beyond_limits(transfer: Transfer) -> bool:
    """The transfer was faster than any limit that an object of its size can show."""
    return (rate(transfer) or 0.0) >= detectable([transfer]) > 0


def outruns(own: Transfer, neutral: Judgement) -> bool:
    """The transfer was more than twice as fast as any from the neutral server."""
    return (rate(own) or 0.0) > _fastest(neutral) / SUSPECTED


def vouched_for(own: Transfer, neutral: Judgement) -> bool:
    """The target's own address is as fast as the neutral server, so it is not slowed.

    Also true above any limit that this object can show. A neutral server that is far slower than
    the target's was slow itself, so the comparison shows nothing.
    """
    if beyond_limits(own):
        return True
    seen = rate(own) or 0.0
    return seen > 0 and seen >= _fastest(neutral) * SUSPECTED and not outruns(own, neutral)


def _fastest(neutral: Judgement) -> float:
    return max((rate(t) or 0.0 for t in neutral.control), default=0.0)
