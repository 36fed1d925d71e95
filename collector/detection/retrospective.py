"""Shutdowns that nobody noticed at the time, from what probes tell afterwards.

An alarm over silence needs machines that hardly ever leave: three laptops that close together are
no news. What they tell later needs less, because whoever says "on, awake, and nothing abroad
answered" was not asleep. So of those who were awake, count who was cut off: at least three, at
least 70 %, and more than their own broken lines explain. Pure functions; what an alarm has already
found is left to it.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.detection.outage import BEFORE, PROBES_LEAST, SHARE, Outage
from collector.detection.quorum import Event
from collector.detection.shutdown import Network, Watched, groups
from collector.store.heartbeats import SLOT
from probe.analysis.statistics import poisson_binomial_tail

# Broken lines last half an hour, so a month has 1,440 separate looks: 0.14 false ones at most.
TAIL = 1e-4
# An hour in which nothing is known to have broken: three that were never heard prove nothing.
STRANGER = 12
# A glance takes most of a minute, and the line comes back in the middle of five: two places of
# five minutes between two darknesses are one darkness.
JOINED = 2
LEAST_PLACES = 2


@dataclass(frozen=True, slots=True)
class ProbeHistory:
    """When one probe was on, in places of five minutes; `cut` is a part of `awake`."""

    awake: frozenset[int]
    cut: frozenset[int]

    def usually(self, before: int) -> float:
        """The share of its waking time in which it was cut off, before a place; never 0 or 1."""
        cut = sum(place < before for place in self.cut)
        return (cut + 1) / (sum(place < before for place in self.awake) + STRANGER)


def told(
    watched: Watched, alarms: Mapping[Network, Iterable[Outage]], *, since: float
) -> list[Event]:
    """Every darkness since then that probes told of and no alarm had found."""
    found = []
    for place, keys in groups(watched.homes).items():
        if sum(bool(watched.cut.get(key)) for key in keys) >= PROBES_LEAST:
            known = tuple(alarms.get(place, ()))
            for spell in _spells(_witnesses(watched, keys), int(since // SLOT)):
                event = _event(place, *spell)
                if not any(_overlap(event, one) for one in known):
                    found.append(event)
    return found


def _witnesses(watched: Watched, keys: Collection[str]) -> list[ProbeHistory]:
    found = []
    for key in sorted(keys):
        heard = frozenset(int(at // SLOT) for at in watched.beats.get(key, ()))
        cut = _places(watched.cut.get(key, ())) - heard
        found.append(ProbeHistory(heard | cut | _places(watched.missed.get(key, ())), cut))
    return found


def _places(spans: Iterable[tuple[float, float]]) -> frozenset[int]:
    return frozenset(
        place for begin, end in spans for place in range(int(begin // SLOT), -int(-end // SLOT))
    )


def _spells(witnesses: Sequence[ProbeHistory], since: int) -> Iterator[tuple[int, int, int, int]]:
    """Darknesses: first place, place after the last; how many were cut, how many awake, at most."""
    dark = sorted({place for one in witnesses for place in one.cut if place >= since})
    many = [place for place in dark if _many(witnesses, place)]
    run: list[int] = []
    for place in [*many, None]:
        if run and (place is None or place - run[-1] > JOINED + 1):
            if len(run) >= LEAST_PLACES and _unlikely(witnesses, run):
                yield run[0], run[-1] + 1, *_counts(witnesses, _height(witnesses, run))
            run = []
        if place is not None:
            run.append(place)


def _counts(witnesses: Iterable[ProbeHistory], place: int) -> tuple[int, int]:
    awake = [one for one in witnesses if place in one.awake]
    return sum(place in one.cut for one in awake), len(awake)


def _many(witnesses: Iterable[ProbeHistory], place: int) -> bool:
    cut, awake = _counts(witnesses, place)
    return cut >= PROBES_LEAST and cut >= SHARE * awake


def _height(witnesses: Sequence[ProbeHistory], run: Iterable[int]) -> int:
    return max(run, key=lambda place: _counts(witnesses, place)[0])


def _unlikely(witnesses: Sequence[ProbeHistory], run: Sequence[int]) -> bool:
    """Their own broken lines do not explain it, by what each was used to before it began."""
    height = _height(witnesses, run)
    chances = [one.usually(run[0]) for one in witnesses if height in one.awake]
    return poisson_binomial_tail(chances, _counts(witnesses, height)[0]) < TAIL


def _overlap(event: Event, outage: Outage) -> bool:
    end = outage.end if outage.end is not None else float("inf")
    return event.started_at <= end and (event.ended_at or 0.0) >= outage.start - BEFORE


def _event(place: Network, first: int, after: int, cut: int, awake: int) -> Event:
    text = f"darkness\n{place[0]}\n{place[1]}\n{first}"
    return Event(
        id=hashlib.sha256(text.encode()).hexdigest()[:16],
        kind="shutdown",
        target="",
        country=place[0],
        asn=place[1],
        started_at=float(first * SLOT),
        ended_at=float(after * SLOT),
        probes=cut,
        judging=awake,
        measurements=(),
        sources=("spool",),
    )
