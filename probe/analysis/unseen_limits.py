"""Which limits a comparison that found no difference could not have seen, by kind."""

from collections.abc import Iterable

from msgspec import Struct

from probe.analysis.later_half import LaterHalf, later_half
from probe.analysis.paired_test import SUSPECTED, Judgement, Pair, rate


class UnseenLimits(Struct, frozen=True):
    """Beyond these numbers nothing would have shown.

    Attributes:
        rate: The fastest limit, bytes a second.
        burst: Bytes that a limiter lets through before it limits, however old the connection.
        size, seconds: What came, and the time that passed, before a limit begins.
    """

    rate: float
    burst: float
    size: float
    seconds: float


def unseen_limits(found: Judgement) -> UnseenLimits:
    """By the objects' sizes, by half of the control's rate, and by where the rates were taken.

    An object that came incomplete has no size to go by, and a transfer that failed has no rate.
    """
    comparable = [pair for pair in found.pairs if pair.ratio is not None]
    halves = [SUSPECTED * (rate(pair.control) or 0.0) for pair in comparable]
    seen = tuple(_later_halves(comparable))
    return UnseenLimits(
        min([found.detectable, *halves] if found.detectable else halves, default=0.0),
        min((half.burst for half in seen), default=0.0),
        min((half.before for half in seen), default=0.0),
        min((half.begins for half in seen), default=0.0),
    )


def _later_halves(pairs: Iterable[Pair]) -> Iterable[LaterHalf]:
    return (half for pair in pairs if (half := later_half(pair.tested)) is not None)
