"""Rules on throttling, from pairs of transfers that differ in the name alone.

Three comparisons may be in a record: names at a neutral server (arms A and B), where nothing but
the name differs, the same later in a connection (E and F), and names at the target's own address (C
and D), which the server itself may treat differently. The last is weaker, and its reasons say so.
"""

from collections.abc import Mapping, Sequence

from probe.analysis.confirmation import again, suspected_before
from probe.analysis.evidence import Evidence
from probe.analysis.neutral_rate import vouched_for
from probe.analysis.once import once
from probe.analysis.paired_test import (
    Judgement,
    PairState,
    froze,
    judge_pairs,
    out_of_reach,
    rate,
    sane,
)
from probe.analysis.plateau import burst, limiter
from probe.analysis.unseen_limits import unseen_limits
from probe.model import Mechanism, Outcome, Transfer
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.transfer_rate import plateau

EXPERIMENTS = ("throttle",)

_BY_LIMITER: Mapping[str, Mechanism] = {
    "policer": Mechanism.THROTTLE_POLICED,
    "shaper": Mechanism.THROTTLE_SHAPED,
    "unknown": Mechanism.THROTTLE_SLOW,
}
_BY_NAME = {PairState.STRONG: 0.8, PairState.EXTREME: 0.9}
_THERE = {PairState.STRONG: 0.6, PairState.EXTREME: 0.7}
FINE = frozenset({PairState.OK, PairState.SLOW_BOTH})


@once
def transfers(e: Evidence) -> tuple[Transfer, ...]:
    """Every transfer of the record with plausible numbers."""
    return tuple(step for step in e.steps if isinstance(step, Transfer) and sane(step))


@once
def by_name(e: Evidence) -> Judgement:
    """The comparison at the neutral server."""
    return judge_pairs(transfers(e), "A", "B")


@once
def there(e: Evidence) -> Judgement:
    """The comparison at the target's own address."""
    return judge_pairs(transfers(e), "C", "D")


@once
def later(e: Evidence) -> Judgement:
    """The comparison at the neutral server, after seconds and hundreds of kilobytes."""
    return judge_pairs(transfers(e), "E", "F")


def mechanism(found: Judgement, every: Sequence[Transfer]) -> Mechanism:
    """How the tested name is slowed: policed, shaped, or unknown."""
    longer = [t for t in every if t.pair == 0 and found.tested and t.arm == found.tested[0].arm]
    return _BY_LIMITER[limiter([*found.tested, *longer], found.control)]


def kbits(bytes_per_second: float | None) -> str:
    """A rate in kbit/s or Mbit/s, for a sentence."""
    if bytes_per_second is None:
        return "an unknown rate"
    kilo = bytes_per_second * 8 / 1000
    return f"{kilo / 1000:.1f} Mbit/s" if kilo >= 1000 else f"{kilo:.0f} kbit/s"


def _numbers(found: Judgement, every: Sequence[Transfer]) -> str:
    arm = found.tested[0].arm
    longest = max(
        (t for t in every if t.arm == arm), key=lambda t: t.samples[-1].at if t.samples else 0.0
    )
    at_speed = tuple(sample for sample in longest.samples if sample.at >= longest.held)
    settled = plateau(at_speed, longest.segment_bytes)
    # What waited while the transfer was held comes at once.
    let_through = None if longest.held else burst(at_speed, settled)
    pairs = len(found.pairs)
    parts = [
        f"{found.ratio:.2f} of the other name's rate in {pairs} pairs"
        if found.ratio is not None
        else f"slower in {pairs} pairs"
    ]
    if found.p is not None:
        parts.append(f"Mann-Whitney p = {found.p:.4f}")
    if settled is not None:
        parts.append(f"settling at {kbits(settled)}")
    if let_through:
        parts.append(f"after a burst of {let_through} bytes")
    return ", ".join(parts)


def _slowed(
    e: Evidence, found: Judgement, by_state: Mapping[PairState, float], sentence: str
) -> Finding | None:
    confidence = by_state.get(found.state)
    if confidence is None:
        return None
    every = transfers(e)
    how = (mechanism(found, every),)
    repeated = again(e.record, Outcome.THROTTLED, how)
    runs = "as in an earlier run" if repeated else "in one run, not confirmed yet"
    reason = sentence.format(numbers=_numbers(found, every), state=found.state, runs=runs)
    if repeated:
        confidence = min(confidence + 0.1, 0.97)
    return Finding((*found.tested, *found.control), confidence, how, reason)


@rule(
    "throttle.this_name_is_slow",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_SLOW,
    excludes={
        InnocentExplanation.LINE: "pairs alternate with another name on the same line",
        InnocentExplanation.SERVER: "both names are fetched from one server",
        InnocentExplanation.MEANS: "other traffic of this home is counted",
        InnocentExplanation.CHANCE: "a sequential test of paired transfers",
    },
)
def this_name_is_slow(e: Evidence) -> Finding | None:
    """At one neutral server this name is slow, and another name of the same length is not."""
    sentence = (
        "At one neutral server, where nothing but the name differs, this name gets {numbers}; "
        "{state} {runs}."
    )
    return _slowed(e, by_name(e), _BY_NAME, sentence)


@rule(
    "throttle.this_name_is_slow_later",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_SLOW,
    excludes={
        InnocentExplanation.LINE: "pairs alternate with another name on the same line",
        InnocentExplanation.SERVER: "both names are fetched from one server",
        InnocentExplanation.MEANS: "other traffic of this home is counted",
        InnocentExplanation.CHANCE: "a sequential test of paired transfers",
    },
)
def this_name_is_slow_later(e: Evidence) -> Finding | None:
    """At one neutral server this name is slow later in a connection, and another name is not."""
    found = later(e)
    if not found.pairs:
        return None
    unseen = unseen_limits(by_name(e))
    size, seconds = f"{round(unseen.size / 1000)} kB", f"{unseen.seconds:.2g}"
    sentence = (
        "At one neutral server, where nothing but the name differs, this name is not slow in the "
        f"first {size} and {seconds} s of a connection. Later it gets {{numbers}}; {{state}} "
        "{runs}."
    )
    return _slowed(e, found, _BY_NAME, sentence)


@rule(
    "throttle.this_name_is_slow_there",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_SLOW,
    excludes={
        InnocentExplanation.LINE: "pairs alternate with another name on the same line",
        InnocentExplanation.SERVER: "a control measures no such difference",
        InnocentExplanation.MEANS: "other traffic of this home is counted",
        InnocentExplanation.CHANCE: "a sequential test of paired transfers",
    },
)
def this_name_is_slow_there(e: Evidence) -> Finding | None:
    """At the target's own address this name is slow, and another name is not: weaker evidence."""
    found = there(e)
    if not _same_host(found):
        return None
    sentence = (
        "At its own address (weaker evidence: the server may favour names) this name gets "
        "{numbers}; {state} {runs}."
    )
    return _slowed(e, found, _THERE, sentence)


def _same_host(found: Judgement) -> bool:
    """Both transfers requested the same Host, so the server did the same work."""
    return {t.host for t in found.tested} == {t.host for t in found.control}


@rule(
    "throttle.this_name_freezes",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_FROZEN,
    excludes={
        InnocentExplanation.LINE: "the other name's transfers complete",
        InnocentExplanation.SERVER: "both names are fetched from one server",
        InnocentExplanation.MEANS: "other traffic of this home is counted",
        InnocentExplanation.CHANCE: "several transfers stop at the same size",
    },
)
def this_name_freezes(e: Evidence) -> Finding | None:
    """Transfers with this name freeze after a few kilobytes, and with another name they do not."""
    for found, confidence in ((by_name(e), 0.95), (later(e), 0.95), (there(e), 0.8)):
        if found.state is PairState.FREEZE:
            stopped = [t for t in found.tested if froze(t)]
            at = ", ".join(str(t.stalled_at) for t in stopped)
            reason = (
                f"{len(stopped)} of {len(found.tested)} transfers with this name froze after "
                f"{at} bytes; the other name passed every time."
            )
            return Finding((*found.tested, *found.control), confidence, reason=reason)
    return None


@rule(
    "throttle.this_name_breaks",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the other name's transfers complete",
        InnocentExplanation.SERVER: "both names are fetched from one server",
        InnocentExplanation.MEANS: "the same socket code moves both",
        InnocentExplanation.CHANCE: "several transfers break",
    },
)
def this_name_breaks(e: Evidence) -> Finding | None:
    """Connections that offer this name fail, and those that offer another name never do."""
    for found, confidence in ((by_name(e), 0.9), (later(e), 0.9), (there(e), 0.8)):
        if found.state is PairState.BLOCKED:
            how = dict.fromkeys(_mechanism_of(t) for t in found.tested if t.failure)
            named = tuple(m for m in how if m is not None)
            return Finding((*found.tested, *found.control), confidence, named)
    return None


def _mechanism_of(step: Transfer) -> Mechanism | None:
    """The mechanism by the phase in which a transfer failed: connecting, handshake or request."""
    if step.connect_seconds is None:
        return _CONNECTING.get(step.failure or "")
    if step.handshake_seconds is None:
        return _SHAKING.get(step.failure or "")
    return _FETCHING.get(step.failure or "")


_CONNECTING: Mapping[str, Mechanism] = {
    "connection_refused": Mechanism.TCP_REFUSED,
    "connection_reset": Mechanism.TCP_RESET,
    "generic_timeout_error": Mechanism.TCP_TIMEOUT,
    "host_unreachable": Mechanism.TCP_UNREACHABLE,
    "network_unreachable": Mechanism.TCP_UNREACHABLE,
}
_SHAKING: Mapping[str, Mechanism] = {
    "connection_reset": Mechanism.TLS_RESET,
    "generic_timeout_error": Mechanism.TLS_TIMEOUT,
    "eof_error": Mechanism.TLS_EOF,
    "ssl_failed_handshake": Mechanism.TLS_ALERT,
}
_FETCHING: Mapping[str, Mechanism] = {
    "connection_reset": Mechanism.HTTP_RESET,
    "generic_timeout_error": Mechanism.HTTP_TIMEOUT,
    "eof_error": Mechanism.HTTP_EOF,
}


def own_fine(e: Evidence, found: Judgement) -> bool:
    """The comparison at the target's own address, if there is one, does not contradict this."""
    own = [t for t in transfers(e) if t.arm == "C" and t.ended != "budget"]
    if not own or there(e).state is PairState.OK:
        return True
    return vouched_for(own[0], found)


def no_neutral(e: Evidence) -> bool:
    """The comparison at the neutral server is missing."""
    found = by_name(e)
    return not found.pairs or out_of_reach(found)


@rule("throttle.slow_for_both_there", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow_for_both_there(e: Evidence) -> Finding | None:
    """Both names are slow at the target's own address; a neutral server's comparison is missing."""
    found = there(e)
    if found.state is not PairState.SLOW_BOTH or not no_neutral(e):
        return None
    fastest = kbits(max(rate(t) or 0.0 for t in found.control))
    reason = (
        f"Both names get at most {fastest} at the target's own address. The address, its server or "
        "the connection may be slow; the comparison at a neutral server is missing."
    )
    return Finding((*found.tested, *found.control), 0.5, reason=reason)


@rule("throttle.slow_but_not_by_name", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow_but_not_by_name(e: Evidence) -> Finding | None:
    """The name is not slowed at the neutral server; its own address or its server is slow."""
    found = by_name(e)
    if found.state not in FINE or own_fine(e, found):
        return None
    return Finding(tuple(t for t in transfers(e) if t.arm in {"C", "D"}), 0.6)


@rule(
    "throttle.suspected_again",
    Tier.ACCUSED,
    Outcome.THROTTLED,
    Mechanism.THROTTLE_SLOW,
    excludes={
        InnocentExplanation.LINE: "pairs alternate with another name on the same line",
        InnocentExplanation.SERVER: "both names are fetched from one server",
        InnocentExplanation.MEANS: "other traffic of this home is counted",
        InnocentExplanation.CHANCE: "an earlier run found the same",
    },
)
def suspected_again(e: Evidence) -> Finding | None:
    """Slower by half in this run and in another run half an hour to two hours earlier."""
    if not suspected_before(e.record):
        return None
    for found, confidence in ((by_name(e), 0.9), (later(e), 0.9), (there(e), 0.6)):
        if found.state is PairState.SUSPECTED and (found.tested[0].arm != "C" or _same_host(found)):
            every = transfers(e)
            reason = f"Suspected in an earlier run and again now: {_numbers(found, every)}."
            steps = (*found.tested, *found.control)
            return Finding(steps, confidence, (mechanism(found, every),), reason)
    return None


@rule("throttle.suspected_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def suspected_once(e: Evidence) -> Finding | None:
    """Slower by half in this run; the confirmation by a later run is missing."""
    for found in (by_name(e), later(e), there(e)):
        if found.state is PairState.SUSPECTED:
            numbers = _numbers(found, transfers(e))
            reason = f"Suspected: {numbers}. The confirmation by a later run is missing."
            return Finding((*found.tested, *found.control), 0.5, reason=reason)
    return None


@rule("throttle.other_host_is_faster", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def other_host_is_faster(e: Evidence) -> Finding | None:
    """Another site at this address is faster; the server itself may be the reason."""
    found = there(e)
    if found.state not in _THERE or _same_host(found):
        return None
    return Finding((*found.tested, *found.control), 0.5)


@rule("throttle.comparison_failed", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def comparison_failed(e: Evidence) -> Finding | None:
    """The names could not be compared."""
    for found in (by_name(e), there(e)):
        if found.why and found.pairs:
            reason = f"{found.why[:1].upper()}{found.why[1:]}."
            return Finding((*found.tested, *found.control), 0.4, reason=reason)
    return None


@rule("throttle.nothing_compared", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_compared(e: Evidence) -> Finding | None:
    """No pair of transfers was completed: a neutral server and a second name here are missing."""
    if by_name(e).pairs or there(e).pairs:
        return None
    if any(t.ended == "budget" for t in transfers(e)):
        reason = "The day's byte quota was used up before the comparison."
        return Finding(e.steps[-1:], 0.3, reason=reason)
    return Finding(e.steps[-1:], 0.3)
