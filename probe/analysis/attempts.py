"""Several attempts at one thing: whether they failed alike, at which address, and when."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TypeVar

from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Base

_ONE_PACKET = {Failure.RESET, Failure.EOF}
# No client tries more addresses of one site.
ADDRESSES = 32

S = TypeVar("S", bound=Base)


def count_between(times: Sequence[float], first: float, last: float) -> int:
    """How many of these moments, which are in order, lie between two."""
    return max(0, bisect_right(times, last) - bisect_left(times, first))


def failing(steps: Iterable[S]) -> list[S]:
    """The failed ones of these steps."""
    return [step for step in steps if step.failure is not None]


def consistently(steps: list[S]) -> S | None:
    """The last of at least two attempts that all failed in the same way; else None."""
    if len(steps) < 2 or any(step.failure is None for step in steps):
        return None
    same = all(same_failure(a.failure, b.failure) for a, b in pairwise(steps))
    return steps[-1] if same else None


def steadily(steps: list[S]) -> S | None:
    """Like `consistently`, but timeouts may stand among resets or closes, whose packet can be lost.

    Returns the last attempt that did not time out.
    """
    answered = [step for step in steps if step.failure is not Failure.TIMEOUT]
    alone = bool(answered) and all(step.failure in _ONE_PACKET for step in answered)
    if not alone or any(step.failure is not answered[0].failure for step in answered):
        return consistently(steps)
    return answered[-1] if len(steps) > 1 else None


def by_address(steps: Iterable[S]) -> Iterator[tuple[str, list[S]]]:
    """Steps grouped by the address they went to, of at most `ADDRESSES`."""
    groups: dict[str, list[S]] = {}
    for step in steps:
        groups.setdefault(getattr(step, "address", ""), []).append(step)
    return islice(groups.items(), ADDRESSES)
