"""Events that detection over time found, beside those that looks show. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from collector.detection.detected import DetectedEvent
from collector.events.engine import Where
from collector.events.model import LOOKS, Bracket, EventState, TargetEvent

# Two sources that agree; single numbers of these methods are in docs/design/008.
CONFIDENCE = 0.95


def with_detected(
    events: Iterable[DetectedEvent], now: float
) -> Iterator[tuple[Where, TargetEvent]]:
    """Detected events as events of a place; `now` is when they are published."""
    for one in events:
        ended = one.ended_at
        yield (
            (one.target, one.country, one.asn),
            TargetEvent(
                kind=one.kind,
                target=one.target,
                country=one.country,
                asn=one.asn,
                state=EventState.CONFIRMED if ended is None else EventState.ENDED,
                began=Bracket(None, one.started_at),
                ended=None if ended is None else Bracket(None, ended),
                last_seen_at=one.started_at if ended is None else ended,
                confirmed_at=now,
                mechanisms=(),
                authority="",
                agree=one.probes,
                able=max(one.probes, one.judging),
                confidence=CONFIDENCE,
                evidence=one.measurements,
                last_look_at=one.started_at if ended is None else ended,
                sources=one.sources,
            ),
        )


def combined(
    told: Sequence[TargetEvent], detected: Sequence[TargetEvent], *, national: bool = False
) -> list[TargetEvent]:
    """Both, where each detected event that overlaps one of the looks becomes one with it.

    A silence in which the looks show a white list is that white list. With `national` the looks are
    those of all networks of a country, and tell only what a detected event of the country was.
    """
    left = list(detected)
    found = list(told)
    for same_kind in (True, False):
        for n, event in enumerate(found):
            for one in [two for two in left if _is_one(event, two, same_kind=same_kind)]:
                left.remove(one)
                found[n] = _joined(found[n], one)
    if national:
        found = [one for one in found if one.sources != (LOOKS,)]
    return [*found, *left]


def _is_one(looks: TargetEvent, detected: TargetEvent, *, same_kind: bool) -> bool:
    """Whether looks and detection show the same thing."""
    kinds = (looks.kind, detected.kind)
    fits = kinds[0] == kinds[1] if same_kind else kinds == ("whitelist", "shutdown")
    return fits and looks.state is not EventState.WITHDRAWN and _overlap(looks, detected)


def _joined(looks: TargetEvent, detected: TargetEvent) -> TargetEvent:
    """One event of both: heartbeats and rates know the times better, looks what was seen."""
    states = {looks.state, detected.state}
    lasts = EventState.CONFIRMED in states
    known = [one.ended for one in (looks, detected) if one.ended is not None]
    first = min(looks, detected, key=lambda one: one.began.by)
    return replace(
        looks,
        state=EventState.CONFIRMED if lasts else EventState.ENDED,
        began=first.began,
        ended=None if lasts else max(known, key=lambda one: one.by),
        confirmed_at=looks.confirmed_at or detected.confirmed_at,
        last_seen_at=max(looks.last_seen_at, detected.last_seen_at),
        agree=max(looks.agree, detected.agree),
        able=max(looks.able, detected.able),
        confidence=max(looks.confidence, detected.confidence),
        evidence=tuple(dict.fromkeys((*looks.evidence, *detected.evidence)))[:5],
        sources=(LOOKS, *detected.sources),
    )


def _overlap(one: TargetEvent, other: TargetEvent) -> bool:
    last = [event.ended.by if event.ended else float("inf") for event in (one, other)]
    return max(one.began.by, other.began.by) <= min(last)
