"""Waves: events that began together, such as after one order or one restart of a filter. Pure.

Events of one target on several networks belong together when they began within a day of each other,
and so do events on one network when at least three of its targets changed within a day.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from collector.events.model import EventState
from collector.events.reconcile import StoredEvent

DAY = 86_400.0
TARGETS_LEAST = 3


def with_waves(events: Iterable[StoredEvent], new_id: Callable[[], str]) -> list[StoredEvent]:
    """The events whose wave is new or changed. A wave that has an id keeps it."""
    every = [one for one in events if one.event.state is not EventState.WITHDRAWN]
    changed: list[StoredEvent] = []
    for members in _connected(every):
        known = [one.wave for one in sorted(members, key=lambda one: one.opened_at) if one.wave]
        wave = known[0] if known else new_id()
        changed += [replace(one, wave=wave) for one in members if one.wave != wave]
    return changed


def _connected(events: Sequence[StoredEvent]) -> list[list[StoredEvent]]:
    """The groups of at least two events that belong together, directly or through others."""
    parent = {one.id: one.id for one in events}

    def root(id_: str) -> str:
        while parent[id_] != id_:
            parent[id_] = parent[parent[id_]]
            id_ = parent[id_]
        return id_

    for together in (*_same_target(events), *_same_network(events)):
        for one, other in pairwise(together):
            parent[root(other.id)] = root(one.id)
    groups: dict[str, list[StoredEvent]] = defaultdict(list)
    for one in events:
        groups[root(one.id)].append(one)
    return [members for members in groups.values() if len(members) > 1]


def _same_target(events: Iterable[StoredEvent]) -> list[list[StoredEvent]]:
    named = [one for one in events if one.event.target]
    return _within_a_day(named, lambda one: (one.event.kind, one.event.target))


def _same_network(events: Iterable[StoredEvent]) -> list[list[StoredEvent]]:
    named = [one for one in events if one.event.target]
    groups = _within_a_day(named, lambda one: (one.event.country, str(one.event.asn)))
    return [of for of in groups if len({one.event.target for one in of}) >= TARGETS_LEAST]


def _within_a_day(
    events: Iterable[StoredEvent], key: Callable[[StoredEvent], tuple[str, str]]
) -> list[list[StoredEvent]]:
    """Groups of equal keys, split where a day passed without a beginning."""
    found: list[list[StoredEvent]] = []
    for _, group in groupby(sorted(events, key=lambda one: (key(one), one.span)), key):
        part: list[StoredEvent] = []
        for one in group:
            if part and one.span[0] - part[-1].span[0] > DAY:
                found.append(part)
                part = []
            part.append(one)
        found.append(part)
    return [part for part in found if len(part) > 1]
