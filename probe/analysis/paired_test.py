"""The sequential paired test: when to stop comparing two names, and what the comparison shows.

Transfers come in pairs, close in time, order alternating: one offers the tested name, one a
harmless name; nothing else differs. There are three stops: after pair 1 nearly every line without
throttling is done; after pair 3 most noisy ones; after pair 5 an exact test decides. Where its
difference is not obvious, two more pairs can withdraw the suspicion, and never strengthen it.
Capped and stalled transfers are data with a tiny rate; errors are counted separately. The same
function drives the experiment and judges its record later, so a stored record
always gives the same answer.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum, unique
from itertools import pairwise
from statistics import median
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from probe.analysis.cross_traffic import explains, starved
from probe.analysis.later_half import later_half
from probe.analysis.statistics import hodges_lehmann_ratio, mann_whitney_p, mann_whitney_u
from probe.failure import Failure
from probe.model import Transfer

A = TypeVar("A")

PAIRS = 5
# Pairs after which a suspicion that was not obvious is tested again, and the highest U (of 49) that
# keeps it: p = 0.013. In simulations and on real lines this withdraws two of three false positives
# and less than one of a hundred true positives.
PAIRS_CHECKED, U_CHECKED = 7, 7
# Errors use up pairs; at most this many more are begun before the test gives up.
SPARE_PAIRS = 2
PAIRS_AT_MOST = PAIRS_CHECKED + SPARE_PAIRS
SUSPECTED, STRONG, EXTREME = 1 / 2, 1 / 3, 1 / 10
FREEZE_BYTES = 64 * 1024
FREEZE_SECONDS = 5.0
# Half an object in less than this time is fifteen times as fast as any limit that it can show, so
# all faster transfers count as equally fast.
SHORTEST = 0.1
# Above this share of the wall clock the processor was the limit, not the network.
BUSY = 0.8


@unique
class PairState(StrEnum):
    """What a sequence of pairs shows so far; suspected, strong and extreme are a scale."""

    MORE = "more"
    OK = "ok"
    SLOW_BOTH = "slow_both"
    SUSPECTED = "suspected"
    STRONG = "strong"
    EXTREME = "extreme"
    FREEZE = "freeze"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"
    BUDGET = "budget"
    INVALID = "invalid"

    @property
    def accuses(self) -> bool:
        """The tested name alone is treated worse, to any degree."""
        return self in _ACCUSING


_ACCUSING = frozenset(
    {PairState.SUSPECTED, PairState.STRONG, PairState.EXTREME, PairState.FREEZE, PairState.BLOCKED},
)


class Pair(Struct, frozen=True):
    """One tested and one control transfer, made within a minute of each other."""

    tested: Transfer
    control: Transfer

    @property
    def ratio(self) -> float | None:
        """Tested rate over control rate; None when either of them failed."""
        tested, control = rate(self.tested), rate(self.control)
        return tested / control if tested is not None and control is not None else None


class Judgement(Struct, frozen=True):
    """What the pairs show, and the numbers behind it.

    Attributes:
        pairs: The pairs it rests on, in order.
        ratio: Tested over control: Hodges-Lehmann over all comparable pairs, or None.
        u, p: Mann-Whitney's count and its exact one-sided probability, or None.
        unsettled: Two more pairs could still withdraw the suspicion; without them it stands.
        residual: The control was fast before the tested name was offered and slow ever after.
        detectable: Bytes per second above which a limit is not detectable.
        why: What was missing, where the state is not conclusive.
    """

    state: PairState
    pairs: tuple[Pair, ...] = ()
    ratio: float | None = None
    u: float | None = None
    p: float | None = None
    unsettled: bool = False
    residual: bool = False
    detectable: float = 0.0
    why: str = ""

    @property
    def open(self) -> bool:
        """Another pair could change the answer."""
        return self.state is PairState.MORE or self.unsettled

    @property
    def tested(self) -> tuple[Transfer, ...]:
        """Transfers that offered the tested name."""
        return tuple(pair.tested for pair in self.pairs)

    @property
    def control(self) -> tuple[Transfer, ...]:
        """Transfers that offered the harmless name."""
        return tuple(pair.control for pair in self.pairs)


def rate(transfer: Transfer, *, shortest: float = SHORTEST) -> float | None:
    """Bytes per second over the later half of the bytes, pauses included; None if it failed.

    `shortest` is the least time, in seconds, that this half counts as having taken.
    """
    half = later_half(transfer)
    return None if half is None else max(half.size, 1) / max(half.ends - half.begins, shortest)


def detectable(transfers: Sequence[Transfer]) -> float:
    """The fastest limit, in bytes per second, that objects of these sizes can show.

    A limiter lets a burst through first, up to two seconds of its rate, and needs a second more to
    show: S >= 3 s x R. An incomplete object counts with the bytes that came.
    """
    sizes = [min(t.asked_bytes, max(t.received_bytes, 1)) for t in transfers if t.ended == "full"]
    return median(sizes) / 3 if sizes else 0.0


def sane(transfer: Transfer) -> bool:
    """The numbers of a stored transfer are plausible: records come from untrusted probes."""
    times = [s.at for s in transfer.samples]
    counts = [s.wire for s in transfer.samples]
    counts += [n for s in transfer.samples for n in (s.segments, s.out_of_order) if n is not None]
    counts += [transfer.asked_bytes, transfer.received_bytes, transfer.stalled_at or 0]
    counts += [transfer.segment_bytes or 0, transfer.pair, transfer.other_bytes or 0]
    trips = [t for s in transfer.samples for t in (s.rcv_rtt, s.min_rtt) if t is not None]
    seconds = [*times, *trips, transfer.elapsed, transfer.longest_gap or 0.0]
    seconds += [transfer.cpu_seconds or 0.0, transfer.held]
    fits = all(0 <= n < 2**53 for n in counts) and all(0 <= at < 1e6 for at in seconds)
    return fits and all(a <= b for a, b in pairwise(times))


def broke(transfer: Transfer) -> bool:
    """The transfer ended in an error, which is not the same as being slow."""
    return transfer.ended in {"reset", "eof", "error"}


def froze(transfer: Transfer) -> bool:
    """After the handshake a few kilobytes came, and nothing after them."""
    if transfer.ended != "stall" or transfer.handshake_seconds is None:
        return False
    silent = transfer.longest_gap is not None and transfer.longest_gap >= FREEZE_SECONDS
    return silent and (transfer.stalled_at or 0) <= FREEZE_BYTES


def pair_up(transfers: Sequence[Transfer], tested: str, control: str) -> tuple[Pair, ...]:
    """Complete pairs of these two arms by their numbers; transfers outside pairs are left out."""
    left = {t.pair: t for t in reversed(transfers) if t.arm == tested and _counts(t)}
    right = {t.pair: t for t in reversed(transfers) if t.arm == control and _counts(t)}
    return tuple(Pair(left[n], right[n]) for n in sorted(left.keys() & right.keys()))


def _counts(transfer: Transfer) -> bool:
    return transfer.pair > 0 and transfer.ended != "budget" and transfer.direction == "down"


def order(pairs_done: int, tested: A, control: A) -> tuple[A, A]:
    """Which arm goes first: in the first pair the control, before the tested name can affect it."""
    return (control, tested) if pairs_done % 2 == 0 else (tested, control)


def judge_pairs(transfers: Sequence[Transfer], tested: str = "A", control: str = "B") -> Judgement:
    """Apply the test to the shortest beginning of the sequence that decides."""
    pairs = pair_up(transfers, tested, control)
    spent = any(t.ended == "budget" for t in transfers if t.arm in {tested, control})
    unsettled: Judgement | None = None
    for count in range(1, len(pairs) + 1):
        found = _decide(pairs[:count])
        if found.unsettled:
            unsettled = found
        elif found.state is not PairState.MORE:
            return found
    if unsettled is not None:
        done = spent or len(pairs) >= PAIRS_AT_MOST
        return replace(unsettled, unsettled=not done)
    if spent:
        why = "the day's byte quota was used up before the comparison was complete"
        return _judgement(PairState.BUDGET, pairs, why=why)
    return _judgement(PairState.MORE, pairs, why="the comparison was not finished")


def out_of_reach(found: Judgement) -> bool:
    """The server never served the control name: it is blocked, down, or another server."""
    return (
        bool(found.pairs)
        and not found.state.accuses
        and all(broke(transfer) for transfer in found.control)
    )


def _decide(pairs: tuple[Pair, ...]) -> Judgement:
    for step in (_invalid, _broken, _frozen):
        found = step(pairs)
        if found is not None:
            return found
    comparable = tuple(pair for pair in pairs if pair.ratio is not None)
    stop = _STOPS.get(len(comparable))
    # Only a pair that has just become the last one can reach a stop: errors add none.
    if stop is not None and pairs[-1].ratio is not None:
        return stop(pairs, comparable)
    if len(comparable) < PAIRS <= len(pairs) - SPARE_PAIRS:
        why = f"only {len(comparable)} of {len(pairs)} pairs were comparable"
        return _judgement(PairState.INCONCLUSIVE, pairs, why=why)
    return _judgement(PairState.MORE, pairs)


def _invalid(pairs: tuple[Pair, ...]) -> Judgement | None:
    """The server did not prove its key, or this machine was the bottleneck."""
    last = pairs[-1]
    if last.control.failure is Failure.SSL_CERTIFICATE:
        why = "the neutral server did not prove its key, so the connection to it may be intercepted"
        return _judgement(PairState.INVALID, pairs, why=why)
    busy = [t for pair in pairs for t in (pair.tested, pair.control) if _busy(t)]
    if len(busy) >= len(pairs):
        return _judgement(PairState.INVALID, pairs, why="this machine was too busy to measure")
    return None


def _busy(transfer: Transfer) -> bool:
    # Short transfers are mostly handshake cryptography, so they do not show a busy machine.
    used = transfer.cpu_seconds
    return used is not None and transfer.elapsed >= 1.0 and used > BUSY * transfer.elapsed


def _broken(pairs: tuple[Pair, ...]) -> Judgement | None:
    """Errors with the tested name alone are blocking; with the control the line is at fault."""
    tested = sum(broke(pair.tested) for pair in pairs)
    control = sum(broke(pair.control) for pair in pairs)
    if tested >= PAIRS - 1 and control == 0:
        return _judgement(PairState.BLOCKED, pairs)
    if control >= 2:
        return _judgement(PairState.INCONCLUSIVE, pairs, why="the control name failed as well")
    return None


def _frozen(pairs: tuple[Pair, ...]) -> Judgement | None:
    """Two freezes in at most three tries, and a control that passes every time."""
    stopped = [pair for pair in pairs if froze(pair.tested)]
    if any(pair.control.ended == "stall" for pair in pairs):
        both = sum(pair.control.ended == pair.tested.ended == "stall" for pair in pairs)
        why = "both names stall: the connection is at fault"
        return (
            _judgement(PairState.INCONCLUSIVE, pairs, why=why) if both or len(pairs) >= 3 else None
        )
    if len(stopped) < 2:
        return None
    # The third try is made only when one of the first two passed.
    return _judgement(PairState.FREEZE, pairs)


def _after_one(pairs: tuple[Pair, ...], comparable: tuple[Pair, ...]) -> Judgement:
    if (comparable[0].ratio or 0.0) < SUSPECTED:
        return _judgement(PairState.MORE, pairs)
    if len(pairs) > 1:  # a transfer failed: more pairs are needed before the name is cleared
        return _judgement(PairState.MORE, pairs)
    return _fine(pairs, comparable)


def _fine(pairs: tuple[Pair, ...], comparable: tuple[Pair, ...]) -> Judgement:
    rates = [rate(pair.tested) or 0.0 for pair in comparable]
    limit = detectable([t for pair in comparable for t in (pair.tested, pair.control)])
    slow = limit == 0.0 or median(rates) < limit
    return _judgement(PairState.SLOW_BOTH if slow else PairState.OK, pairs)


def _after_three(pairs: tuple[Pair, ...], comparable: tuple[Pair, ...]) -> Judgement:
    ratios = [pair.ratio or 0.0 for pair in comparable]
    if min(ratios) >= SUSPECTED:  # a transfer failed, and after that none was slow
        return _fine(pairs, comparable)
    found = _judgement(PairState.MORE, pairs)
    if median(ratios) < SUSPECTED and found.u is not None and found.u <= 1:
        return found
    why = "the names differ no more than transfers of one name do"
    if found.residual:
        why = "the control name became slow after the tested name had been offered"
    return replace(found, state=PairState.INCONCLUSIVE, why=why)


def _after_five(pairs: tuple[Pair, ...], comparable: tuple[Pair, ...]) -> Judgement:
    found = _accusing(pairs, at_most=1)
    return replace(found, unsettled=found.state.accuses and not _obvious(comparable))


def _after_seven(pairs: tuple[Pair, ...], _comparable: tuple[Pair, ...]) -> Judgement:
    return _accusing(pairs, at_most=U_CHECKED)


def _accusing(pairs: tuple[Pair, ...], *, at_most: int) -> Judgement:
    found = _judgement(PairState.MORE, pairs)
    if found.u is None or found.ratio is None or found.u > at_most or found.ratio > SUSPECTED:
        why = "the names differ no more than transfers of one name do"
        return replace(found, state=PairState.INCONCLUSIVE, why=why)
    if _own_traffic(pairs):
        why = "other traffic of this machine slowed every transfer with this name"
        return replace(found, state=PairState.INCONCLUSIVE, why=why)
    if found.ratio <= EXTREME:
        return replace(found, state=PairState.EXTREME)
    return replace(found, state=PairState.STRONG if found.ratio <= STRONG else PairState.SUSPECTED)


def _own_traffic(pairs: tuple[Pair, ...]) -> bool:
    """In every pair, the other traffic beside the tested name explains its slowness.

    In every pair, not in most: a slow transfer lasts longer, so more of a busy home's traffic falls
    beside it. By chance alone that explains every other pair.
    """
    return all(_explained(pair) for pair in pairs if pair.ratio is not None)


def _explained(pair: Pair) -> bool:
    got, usual = rate(pair.tested) or 0.0, rate(pair.control) or 0.0
    return explains(pair.tested, pair.control, usual - got) and not starved(pair.tested, got)


def _obvious(comparable: tuple[Pair, ...]) -> bool:
    """The tested name's best rate is at most half of the control's worst rate."""
    best = max(rate(pair.tested) or 0.0 for pair in comparable)
    return best <= SUSPECTED * min(rate(pair.control) or 0.0 for pair in comparable)


_STOPS: dict[int, Callable[[tuple[Pair, ...], tuple[Pair, ...]], Judgement]] = {
    1: _after_one,
    3: _after_three,
    PAIRS: _after_five,
    PAIRS_CHECKED: _after_seven,
}


def _judgement(state: PairState, pairs: tuple[Pair, ...], *, why: str = "") -> Judgement:
    """Fill in the numbers that the comparable pairs allow."""
    comparable = [pair for pair in pairs if pair.ratio is not None]
    limit = detectable([t for pair in pairs for t in (pair.tested, pair.control)])
    if not comparable:
        return Judgement(state, pairs, detectable=limit, why=why)
    tested = [rate(pair.tested) or 0.0 for pair in comparable]
    control = [rate(pair.control) or 0.0 for pair in comparable]
    u = mann_whitney_u(tested, control)
    return Judgement(
        state,
        pairs,
        ratio=hodges_lehmann_ratio(tested, control),
        u=u,
        p=mann_whitney_p(u, len(tested), len(control)),
        residual=_residual(tested, control),
        detectable=limit,
        why=why,
    )


def _residual(tested: Sequence[float], control: Sequence[float]) -> bool:
    """The control was fast before the tested name was offered, and as slow as it afterwards."""
    if len(control) < 3 or tested[0] > control[0] * STRONG:
        return False
    after, slowed = median(control[1:]), median(tested[1:])
    return after <= control[0] * STRONG and after <= 2 * slowed
