"""Numbers of a record: how long its operations took, which anchors answered, and rates.

Rule: a number that a record does not prove is left out.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from collector.store.rollup import BUCKETS
from probe.analysis.line_speed import speed
from probe.analysis.shown_arms import LATER, shown_arms
from probe.model import Dns, Line, Ping, Quic, Record, Span, Step, Tcp, Tls, Transfer

# The record of a run has no target.
RUN = "run"
_TIMED = (Dns, Tcp, Tls, Quic)
# What can be wrong with a line, by name.
LINE_FAULTS: Mapping[str, Callable[[Line], bool]] = MappingProxyType(
    {
        "dead_before": lambda line: line.alive_before is False,
        "dead_after": lambda line: line.alive_after is False,
        "portal": lambda line: bool(line.portal),
        "resigned": lambda line: line.resigned_by is not None,
        "nxdomain_answered": lambda line: bool(line.nxdomain_answered),
        "resolver_hijacked": lambda line: bool(line.hijacked_resolvers),
    }
)


def timings(record: Record) -> str:
    """Durations of successful operations, as histogram buckets by operation, in JSON.

    Operations during the run's own transfers are left out, because the load delayed them.
    """
    sums: dict[str, dict[int, tuple[int, float]]] = {}
    for step in record.steps:
        if isinstance(step, _TIMED) and step.failure is None and _is_unloaded(step, record.loaded):
            bucket = next(i for i, bound in enumerate(BUCKETS) if step.elapsed <= bound)
            op = sums.setdefault(type(step).__name__.lower(), {})
            n, seconds = op.get(bucket, (0, 0.0))
            op[bucket] = (n + 1, seconds + step.elapsed)
    if not sums:
        return ""
    found = {op: [(b, n, s) for b, (n, s) in sorted(of.items())] for op, of in sums.items()}
    return msgspec.json.encode(found).decode()


def _is_unloaded(step: Step, loaded: Sequence[Span]) -> bool:
    """Whether its duration is plausible and no transfer of the run loaded the line meanwhile."""
    ended = step.at + step.elapsed
    return 0 <= step.elapsed < 3600 and not any(
        span.since < ended and span.until > step.at for span in loaded
    )


def anchors(record: Record) -> tuple[float | None, float | None]:
    """Shares of foreign and domestic anchors that worked, in a run or a connectivity record."""
    if record.experiment == "connectivity":
        return _reached(record.steps, "foreign"), _reached(record.steps, "essential", "ordinary")
    if record.experiment != RUN or record.line is None:
        return None, None
    return _share(record.line.foreign_alive), _share(record.line.domestic_alive)


def _reached(steps: Sequence[Step], *classes: str) -> float | None:
    """Share of sites of these classes reached in the last try; None where none was tried."""
    pings = [step for step in steps if isinstance(step, Ping) and step.what in classes]
    last = max((ping.try_ for ping in pings), default=0)
    found = [ping.failure is None for ping in pings if ping.try_ == last]
    return sum(found) / len(found) if found else None


def _share(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))


class LineState(NamedTuple):
    """What the run of a record knew about its line when it judged it.

    Attributes:
        anchors_foreign, anchors_domestic: Shares of anchors that answered.
        line_faults: Words of `LINE_FAULTS`, separated by blanks.
        line_round_trip: Seconds. line_loss: share.
    """

    anchors_foreign: float | None
    anchors_domestic: float | None
    line_faults: str
    line_round_trip: float | None
    line_loss: float | None


def line_state(record: Record) -> LineState:
    """The state of its line; of a measurement of connectivity the anchors are its own."""
    line = record.line or Line()
    foreign, domestic = anchors(record)
    return LineState(
        _share(line.foreign_alive) if foreign is None else foreign,
        _share(line.domestic_alive) if domestic is None else domestic,
        " ".join(name for name, is_so in LINE_FAULTS.items() if is_so(line)),
        line.round_trip,
        line.loss,
    )


def rates(record: Record) -> tuple[float | None, float | None]:
    """Median download rates with the target's name and with a reference, from one server.

    Rates of different servers must not be compared. The target's own address (arms C and D) is only
    measured when the target was slow there, and then takes precedence over the neutral server.
    Where the names differ only later in a connection (arms E and F), these are the rates.
    """
    down = [s for s in record.steps if isinstance(s, Transfer) and s.direction == "down"]
    if record.experiment == "speed":
        # Of the largest object; a transfer that failed or shared the line has no rate.
        return None, next((s for t in reversed(down) if (s := speed(t)) is not None), None)
    if shown_arms(down) == LATER:
        return _median(down, "E"), _median(down, "F")
    if not any(t.arm in "CD" for t in down):
        return _median(down, "A"), _median(down, "B")
    own = _median(down, "C"), _median(down, "D")
    neutral = _median(down, "A"), _median(down, "B")
    return own if None not in own or neutral == (None, None) else neutral


def _median(transfers: Sequence[Transfer], arms: str) -> float | None:
    rates = [rate for t in transfers if t.arm in arms and (rate := _rate(t)) is not None]
    return statistics.median(rates) if rates else None


def _rate(transfer: Transfer) -> float | None:
    """Its plateau rate; for a stalled transfer without one, the mean over its whole duration."""
    if transfer.rate is not None:
        return transfer.rate if transfer.rate > 0 else None
    stalled = transfer.ended == "stall" and transfer.wire_bytes > 0 and transfer.elapsed > 0
    return transfer.wire_bytes / transfer.elapsed if stalled else None
