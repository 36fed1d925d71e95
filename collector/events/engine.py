"""From looks to events, for all targets and networks: the same function live and in a replay.

Looks are added in any order. One that is older than the newest of its target and network makes this
timeline begin anew from all of its looks, so the events never depend on when a look arrived.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from collector.events.model import KINDS, LINE_KINDS, Look, TargetEvent
from collector.events.timeline import EventTimeline, Rules
from collector.places import UNKNOWN

Where = tuple[str, str, int]  # target (empty: the line), country, ASN


class EventEngine:
    """All timelines, with the looks that they were made from."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._looks: dict[Where, list[Look]] = defaultdict(list)
        self._timelines: dict[Where, dict[str, EventTimeline]] = {}
        self._stale: set[Where] = set()

    def add(self, looks: Iterable[Look]) -> None:
        """Add looks, in any order; those from an unknown country make no events."""
        for look in looks:
            if look.country == UNKNOWN[0]:
                continue
            where = look.target, look.country, look.asn
            known = self._looks[where]
            if known and look < known[-1]:
                insort(known, look)
                self._stale.add(where)
                continue
            known.append(look)
            if where in self._stale:
                continue
            if where not in self._timelines:
                self._timelines[where] = self._fresh(where)
            _feed(self._timelines[where], look)

    def events(self) -> Iterator[TargetEvent]:
        """Every event, by target and network."""
        for where in sorted(self._looks):
            yield from self.events_at(where)

    def events_at(self, where: Where) -> Sequence[TargetEvent]:
        """The events at one target on one network, oldest first."""
        if where in self._stale:
            self._timelines[where] = self._fresh(where)
            for look in self._looks[where]:
                _feed(self._timelines[where], look)
            self._stale.discard(where)
        timelines = self._timelines.get(where, {})
        found = [event for timeline in timelines.values() for event in timeline.events()]
        return sorted(found, key=lambda one: (one.began.by, one.kind))

    def _fresh(self, where: Where) -> dict[str, EventTimeline]:
        kinds = KINDS.values() if where[0] else LINE_KINDS.values()
        return {kind: EventTimeline(kind, where[0], where[1:], self._rules) for kind in kinds}


def _feed(timelines: dict[str, EventTimeline], look: Look) -> None:
    for timeline in timelines.values():
        timeline.add(look)


def replay(looks: Iterable[Look], rules: Rules) -> list[TargetEvent]:
    """The events in these looks, in any order of arrival."""
    engine = EventEngine(rules)
    engine.add(sorted(looks))
    return list(engine.events())
