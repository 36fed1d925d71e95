"""The later half of a transfer, by bytes: what is left when slow start and bursts have passed.

Rates of transfers are compared over it: a policer first lets up to two seconds of its rate through,
which made a limit of 512 kbit/s look like 900. What began only within it is seen in part.
"""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from probe.model import Transfer
from probe.transfer_rate import arrivals

SHARE = 1 / 2


class LaterHalf(Struct, frozen=True):
    """Where it lies.

    Attributes:
        before: Bytes that came before it; of these, `burst` since the transfer read at full speed.
        size: Its own bytes.
        begins, ends: Seconds from the request.
    """

    before: float
    burst: float
    size: float
    begins: float
    ends: float


def later_half(transfer: Transfer) -> LaterHalf | None:
    """The later half of what came; None if the transfer failed or shows nothing."""
    if transfer.ended not in {"full", "cap", "stall"} or not transfer.samples:
        return None
    down = transfer.direction == "down"  # the kernel counts the segments that come, not those sent
    seen = arrivals(transfer.samples, transfer.segment_bytes if down else None)
    first, (end, came) = seen[0], seen[-1]
    first = next((point for point in seen if point[1] > first[1]), first)
    if came <= first[1]:  # all in one read, or nothing at all
        first = seen[0]
    middle = first[1] + SHARE * (came - first[1])
    held = max((had for at, had in seen if at <= transfer.held), default=0.0)
    return LaterHalf(middle, max(middle - held, 0.0), came - middle, _when(seen, middle), end)


def _when(seen: Sequence[tuple[float, float]], mark: float) -> float:
    """The time at which so many bytes had come, interpolated between two samples."""
    for (before, had), (after, has) in pairwise(seen):
        if had < mark <= has:
            return before + (after - before) * (mark - had) / (has - had)
    return seen[0][0]
