"""The rate a limiter settles at, the burst it lets through first, and the kind of limiter.

Everything is computed from the samples of finished transfers, so the record is enough to repeat it.
Counting segments (`TCP_INFO` data_segs_in) beats counting bytes: bytes are delivered in order, so
their count jumps whenever a retransmission fills a hole, and a policer makes many holes. Where
there is no `TCP_INFO` the ciphertext bytes are used, at lower precision.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from probe.model import Sample, Transfer
from probe.transfer_rate import SETTLING

# Ethernet's usual initial window, ten segments (RFC 6928): bursts below three of them do not count.
INITIAL_WINDOW = 14_600
# Thresholds of the receiver-side signature (docs: throttle.md).
POLICER_LOSS = 0.03
POLICER_DELAY = 0.040
SHAPER_DELAY = 0.100
# A sender whose packets are dropped pauses until its timer fires; behind a queue it never pauses.
# On a short path the pauses show a policer where the round trip, measured across them, does not.
STANDING = 0.4

Limiter = Literal["policer", "shaper", "unknown"]


def burst(samples: Sequence[Sample], rate: float | None) -> int | None:
    """Bytes let through before the plateau's line; None when no more than a few windows' worth."""
    if rate is None or not samples:
        return None
    start = samples[0]
    ahead = max(s.wire - start.wire - rate * (s.at - start.at) for s in samples)
    return round(ahead) if ahead > 3 * INITIAL_WINDOW else None


def reordered(transfers: Iterable[Transfer]) -> float | None:
    """Share of data segments that came out of order: the marks that drops leave at a receiver."""
    ends = [t.samples[-1] for t in transfers if t.samples]
    known = [
        (s.segments, s.out_of_order) for s in ends if s.segments and s.out_of_order is not None
    ]
    if not known:
        return None
    return sum(late for _, late in known) / sum(segments for segments, _ in known)


def queueing(transfers: Iterable[Transfer]) -> tuple[float, float] | None:
    """Median extra round trip while data flowed, and the smallest round trip, in seconds."""
    chosen = tuple(transfers)
    trips = [s.rcv_rtt for t in chosen for s in t.samples if s.rcv_rtt]
    least = [s.min_rtt for t in chosen for s in t.samples if s.min_rtt]
    if not trips or not least:
        return None
    floor = min(least)
    return max(median(trips) - floor, 0.0), floor


def standing(transfers: Iterable[Transfer]) -> float:
    """The share of the time, the first fifth left out, in which no segment came at all."""
    still = passed = 0.0
    for transfer in transfers:
        seen = [(s.at, s.segments) for s in transfer.samples if s.segments is not None]
        if not seen:
            continue
        begin = seen[0][0] + SETTLING * (seen[-1][0] - seen[0][0])
        for (start, before), (end, after) in pairwise(seen):
            if start >= begin:
                passed += end - start
                still += end - start if after == before else 0.0
    return still / passed if passed > 0 else 0.0


def limiter(slowed: Sequence[Transfer], control: Sequence[Transfer]) -> Limiter:
    """Distinguish dropping from queueing; unknown unless the control transfers show neither."""
    lost, delay = reordered(slowed), queueing(slowed)
    if lost is None or delay is None or not _clean(control):
        return "unknown"
    extra, floor = delay
    stands = standing(slowed) >= STANDING
    if lost >= POLICER_LOSS and (stands or extra <= max(0.3 * floor, POLICER_DELAY)):
        return "policer"
    return "shaper" if extra >= max(floor, SHAPER_DELAY) and not stands else "unknown"


def _clean(control: Sequence[Transfer]) -> bool:
    """The line itself neither drops nor queues; if it does, the limiter's kind is unknown."""
    lost, delay = reordered(control), queueing(control)
    if lost is None or delay is None:
        return False
    extra, floor = delay
    return lost < POLICER_LOSS and extra < max(floor, SHAPER_DELAY)
