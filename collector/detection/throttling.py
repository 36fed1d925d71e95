"""Slowed, by what probes measured over weeks: confirmed by one, then by two of one network.

Two ways to an event, both over the rows of `series`. A target whose name was slow twice, half an
hour to two hours apart, at two probes of a network within a day (`confirm.py`). Or a rate that has
fallen from what it was in the same part of the day (`cusum.py`), again at two probes at once: of a
target against the reference beside it, or of the line as a whole (then the event names no target).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from collector.detection import corroboration, cusum
from collector.detection.quorum import Event
from collector.store.measurements import UNLISTED

RATIO = 1 / 2
KIND = "throttling"


class Point(NamedTuple):
    """One measurement, as it was stored."""

    key_id: str
    id: str
    experiment: str
    target: str
    at: float
    country: str
    asn: int
    outcome: str
    mechanisms: str
    rate_target: float | None
    rate_reference: float | None

    @property
    def suspected(self) -> bool:
        """Throttled, or slower than half of what was beside it."""
        ratio = self.ratio
        return self.outcome == "throttled" or (ratio is not None and ratio <= RATIO)

    @property
    def ratio(self) -> float | None:
        """The target's rate by the reference's."""
        if not self.rate_target or not self.rate_reference:
            return None
        return self.rate_target / self.rate_reference


Place = tuple[str, str, int]  # target ("" is the line), country, ASN
Marks = Mapping[str, Sequence[tuple[float, float]]]  # by key: (from, until), until may be infinite


def slowed(points: Iterable[Point], *, now: float, window: float, probes: int) -> list[Event]:
    """Every event of being slowed, newest first."""
    every = list(points)
    named = [one for one in every if one.experiment == "throttle" and one.target != UNLISTED]
    found = _confirmed(named, now=now, window=window, probes=probes)
    taken = {(one.target, one.country, one.asn) for one in found if one.ended_at is None}
    fallen = _fallen(every, now=now, probes=probes)
    found += [one for one in fallen if (one.target, one.country, one.asn) not in taken]
    return sorted(found, key=lambda one: (one.started_at, one.id), reverse=True)


# --- seen again, by one probe and then by another -------------------------------------------------


def _confirmed(points: Sequence[Point], *, now: float, window: float, probes: int) -> list[Event]:
    found = []
    for place, keys in _by_place(points).items():
        marks = {
            key: corroboration.confirmed_at((one.at, one.suspected) for one in of)
            for key, of in keys.items()
        }
        sure = {key: at for key, at in marks.items() if at}
        if len(sure) >= probes and (probes < corroboration.PROBES or corroboration.is_event(sure)):
            found.append(_confirmed_event(place, keys, sure, now=now, window=window))
    return found


def _confirmed_event(
    place: Place,
    keys: Mapping[str, Sequence[Point]],
    sure: Mapping[str, Sequence[float]],
    *,
    now: float,
    window: float,
) -> Event:
    """It began with the second probe's confirmation, and lasts while one is not older than a day.

    A probe that then finds the name fast again ends its own part at once.
    """
    newest = {key: max(of, key=lambda one: one.at) for key, of in keys.items()}
    lasting = [key for key in sure if newest[key].suspected and newest[key].at > now - window]
    last = max(at for times in sure.values() for at in times)
    over = max((newest[key].at for key in sure if not newest[key].suspected), default=last + window)
    ids = tuple(newest[key].id for key in sure)
    began = sorted(min(times) for times in sure.values())[:2][-1]
    ended = None if lasting else max(over, began)
    return _event(place, (began, ended), (len(sure), len(keys)), ids, "confirmed")


# --- fallen from what it was ----------------------------------------------------------------------


def _fallen(points: Sequence[Point], *, now: float, probes: int) -> list[Event]:
    found = []
    for place, keys in _by_place(points, line=True).items():
        marks = {key: _low(_rates(place, of)) for key, of in keys.items()}
        low = {key: of for key, of in marks.items() if of}
        for span, agreeing in _together(low, probes):
            began, until = span
            ids = tuple(keys[key][-1].id for key in agreeing)
            ended = None if until > now else until
            counts = (len(agreeing), len(keys))
            found.append(_event(place, (began, ended), counts, ids, "fallen"))
    return found


def _rates(place: Place, points: Sequence[Point]) -> list[tuple[float, float]]:
    """What is followed: a target against its reference, or the line by itself."""
    values = ((one.at, one.ratio if place[0] else one.rate_reference) for one in points)
    return [(at, value) for at, value in values if value is not None and value > 0]


def _low(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """When a series was in alarm."""
    found: list[tuple[float, float]] = []
    since: float | None = None
    for at, state in cusum.replay(points):
        if since is not None and state.since != since:
            found.append((since, at))
        since = state.since
    return [*found, (since, float("inf"))] if since is not None else found


def _together(marks: Marks, probes: int) -> list[tuple[tuple[float, float], list[str]]]:
    """Times in which at least so many keys were in alarm, and which keys those were."""
    changes = sorted(
        change
        for key, spans in marks.items()
        for a, b in spans
        for change in ((a, 1, key), (b, -1, key))
    )
    found: list[tuple[tuple[float, float], list[str]]] = []
    low: set[str] = set()
    part: set[str] = set()
    since: float | None = None
    for at, step, key in changes:
        (low.add if step > 0 else low.discard)(key)
        if since is not None:
            part |= low
        if since is None and len(low) >= probes:
            since, part = at, set(low)
        elif since is not None and len(low) < probes:
            found.append(((since, at), sorted(part)))
            since = None
    return found


def _by_place(
    points: Iterable[Point], *, line: bool = False
) -> dict[Place, dict[str, list[Point]]]:
    """By what and where, then by key; with `line`, tests of speed count for the line itself."""
    found: dict[Place, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for one in points:
        if one.experiment == "throttle" and one.target != UNLISTED:
            found[one.target, one.country, one.asn][one.key_id].append(one)
        elif line and one.experiment == "speed":
            found["", one.country, one.asn][one.key_id].append(one)
    return found


def _event(
    place: Place,
    span: tuple[float, float | None],
    counts: tuple[int, int],
    ids: Sequence[str],
    source: str,
) -> Event:
    name = "\n".join((KIND, source, *map(str, place), str(int(span[0]))))
    id_ = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Event(id_, KIND, *place, *span, *counts, tuple(ids[:5]), (source,))
