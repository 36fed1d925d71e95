"""One bracket from the brackets of several probes, robust against a stray one."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import NamedTuple

from collector.events.model import Bracket


class Agreement(NamedTuple):
    """The interval that most brackets contain, and how many of them."""

    bracket: Bracket
    probes: int


def common(brackets: Sequence[Bracket]) -> Agreement:
    """The narrowest interval on which most brackets agree.

    This is Marzullo's algorithm (K. Marzullo and S. Owicki, "Maintaining the Time in a Distributed
    System", 1983): every correct bracket contains the instant of the change, so the interval that
    the most brackets cover does, as long as most brackets are correct. Of several intervals covered
    by equally many the newest is taken: the change was complete only then.

    Args:
        brackets: At least one.
    """
    starts = [-inf if one.after is None else one.after for one in brackets]
    edges = sorted({*starts, *(one.by for one in brackets)})
    covered = [
        (sum(a <= low and high <= b.by for a, b in zip(starts, brackets, strict=True)), low, high)
        for low, high in pairwise(edges)
    ]
    most = max((count for count, _, _ in covered), default=0)
    if not most:  # each of them is a single instant
        newest = max(brackets, key=lambda one: one.by)
        return Agreement(newest, sum(one == newest for one in brackets))
    low, high = [(low, high) for count, low, high in covered if count == most][-1]
    return Agreement(Bracket(None if low == -inf else low, high), most)
