"""Waves: events that began together, such as after one order or one restart of a filter. Pure.

Events of one target on several networks belong together, and so do those on one network when at
least three of its targets changed, where all of them began within a day. Rule: only what was
confirmed is in a wave, and a wave never lasts longer than that day. Else an attacker who makes one
probe stray every day joins everything that ever happened.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from dataclasses import replace

from collector.events.model import EventState
from collector.events.reconcile import StoredEvent

DAY = 86_400.0
TARGETS_LEAST = 3
# Events that began so much earlier or later may be in a wave with one.
REACH = 2 * DAY


def may_begin(one: StoredEvent) -> bool:
    """Whether an event may be in a wave, and is in none."""
    return not one.wave and _is_told(one)


def with_waves(
    events: Iterable[StoredEvent], new_id: Callable[[], str], fresh: Container[str]
) -> list[StoredEvent]:
    """The events whose wave is new or changed. A wave that has an id keeps it.

    Args:
        events: Those of `fresh`, and all that began within `REACH` of these.
        fresh: Ids of events that may begin or join a wave.
    """
    groups = _Groups([one for one in events if _is_told(one)])
    for one in groups.apart(fresh):
        for other in groups.near(one):
            groups.join(one.id, other.id)
    return groups.changed(new_id)


def _is_told(one: StoredEvent) -> bool:
    event = one.event
    return (
        event.state is not EventState.WITHDRAWN
        and event.confirmed_at is not None
        and bool(event.target)
    )


class _Groups:
    """Events in groups that are waves where there is more than one in them."""

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self._events = events
        self._members: dict[str, list[StoredEvent]] = {}
        self._by_target: dict[Hashable, list[StoredEvent]] = defaultdict(list)
        self._by_network: dict[Hashable, list[StoredEvent]] = defaultdict(list)
        waves: dict[str, list[StoredEvent]] = defaultdict(list)
        for one in events:
            self._members[one.id] = waves[one.wave] if one.wave else []
            self._members[one.id].append(one)
            self._by_target[one.event.kind, one.event.target].append(one)
            self._by_network[one.event.country, one.event.asn].append(one)

    def apart(self, fresh: Container[str]) -> list[StoredEvent]:
        """Those of these events that are in no wave yet, oldest first."""
        found = (one for one in self._events if one.id in fresh and not one.wave)
        return sorted(found, key=_order)

    def near(self, one: StoredEvent) -> list[StoredEvent]:
        """The events that belong together with one, the nearest first."""

        def within(others: Iterable[StoredEvent]) -> list[StoredEvent]:
            return [other for other in others if abs(_began(other) - _began(one)) <= DAY]

        found = within(self._by_target[one.event.kind, one.event.target])
        here = within(self._by_network[one.event.country, one.event.asn])
        if len({other.event.target for other in here}) >= TARGETS_LEAST:
            found += here
        return sorted(found, key=lambda other: (abs(_began(other) - _began(one)), _order(other)))

    def join(self, one: str, other: str) -> None:
        """Make one group of two, unless it would last longer than a day."""
        here, there = self._members[one], self._members[other]
        if here is there:
            return
        began = [_began(event) for event in (*here, *there)]
        if max(began) - min(began) <= DAY:
            here += there
            for event in there:
                self._members[event.id] = here

    def changed(self, new_id: Callable[[], str]) -> list[StoredEvent]:
        """The events that are in another wave now."""
        found: list[StoredEvent] = []
        for members in {id(group): group for group in self._members.values()}.values():
            if len(members) > 1:
                oldest = sorted(members, key=lambda event: (event.opened_at, event.id))
                wave = next((event.wave for event in oldest if event.wave), "") or new_id()
                found += [replace(event, wave=wave) for event in members if event.wave != wave]
        return found


def _began(one: StoredEvent) -> float:
    return one.event.began.by


def _order(one: StoredEvent) -> tuple[float, str]:
    return _began(one), one.id
