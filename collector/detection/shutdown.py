"""From alarms of single networks to the word shutdown, by what else says the same.

An alarm says that a network's probes fell silent together. That may be a shutdown, or our own line,
or a collector that is blocked. So the word needs a second source: another network of the country
that fell silent while somebody outside it was still heard, probes that say afterwards "on, awake,
and nothing abroad answered", or their measurements. Probes that say "everything else answered"
refute an alarm. Pure functions; places are (country, ASN), and ASN 0 is the country as a whole.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.detection.outage import (
    BEFORE,
    HEARTBEAT,
    LEAVING,
    PROBES_LEAST,
    SEEN,
    Outage,
    second_source,
    seen,
)
from collector.detection.quorum import Event

# Nobody knows where that is: such probes are no network, and prove no line.
NOWHERE = "ZZ"

Network = tuple[str, int]
Spans = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of who was heard.

    Attributes:
        homes: The network on which each key was heard last.
        beats: When each key was heard, in order.
        cut: When keys were on with nothing abroad in reach, as they told afterwards.
        missed: When everything but this collector was in their reach.
    """

    homes: Mapping[str, Network]
    beats: Mapping[str, Sequence[float]]
    cut: Spans
    missed: Spans


@dataclass(frozen=True, slots=True)
class Alarm:
    """A network that fell silent.

    Attributes:
        sources: What besides says so; empty: an alarm, not a shutdown.
        cut: How many of its probes said afterwards that they were cut off.
    """

    country: str
    asn: int
    started_at: float
    ended_at: float | None
    probes: int
    cut: int
    sources: tuple[str, ...]


def groups(homes: Mapping[str, Network]) -> dict[Network, frozenset[str]]:
    """The keys of each network, and of each country as a whole."""
    found: dict[Network, set[str]] = defaultdict(set)
    for key, (country, asn) in homes.items():
        if country != NOWHERE:
            found[country, 0].add(key)
            if asn:
                found[country, asn].add(key)
    return {place: frozenset(keys) for place, keys in found.items()}


def too_few(homes: Mapping[str, Network], present: Collection[str]) -> dict[Network, int]:
    """Networks with probes that were heard lately, and too few of them to say anything."""
    found = {
        place: len(keys & frozenset(present)) for place, keys in groups(homes).items() if place[1]
    }
    return {place: n for place, n in found.items() if 0 < n < PROBES_LEAST}


def listening(own: Sequence[float], at: float) -> bool:
    """Whether a collector listened at `at` and for as long before as an alarm looks back."""
    step = 2 * HEARTBEAT
    return all(seen(own, at - back * step) for back in range(int((LEAVING + SEEN) // step) + 1))


def weigh(
    alarms: Mapping[Network, Iterable[Outage]],
    watched: Watched,
    looks: Mapping[str, Sequence[float]],
    *,
    least: int,
) -> list[Alarm]:
    """Every alarm that was not refuted, with what else says the same.

    `looks` are instants at which keys measured a cut themselves; `least` is how many keys must say
    a thing before it counts.
    """
    found = []
    for place, outages in alarms.items():
        for outage in outages:
            if not _refuted(outage, watched):
                sources = tuple(_sources(place, outage, alarms, watched, looks, least=least))
                found.append(_alarm(place, outage, watched, sources))
    return found


def _alarm(place: Network, outage: Outage, watched: Watched, sources: tuple[str, ...]) -> Alarm:
    told = _told(outage, watched.cut)
    began = min((a for spans in told.values() for a, _ in spans), default=outage.start)
    return Alarm(
        country=place[0],
        asn=place[1],
        started_at=min(outage.start, max(began, outage.start - BEFORE)),
        ended_at=outage.end,
        probes=len(outage.probes),
        cut=len(told),
        sources=sources,
    )


def _sources(
    place: Network,
    outage: Outage,
    alarms: Mapping[Network, Iterable[Outage]],
    watched: Watched,
    looks: Mapping[str, Sequence[float]],
    *,
    least: int,
) -> Iterable[str]:
    if second_source(outage, _elsewhere(place, alarms), ()) and _line_was_fine(
        place, outage, watched
    ):
        yield "another_network"
    told = _told(outage, watched.cut)
    spans = [span for of in told.values() for span in of]
    if len(told) >= least and second_source(outage, (), spans):
        yield "spool"
    measured = [
        key for key in outage.probes if any(_during(outage, at) for at in looks.get(key, ()))
    ]
    if len(measured) >= least:
        yield "connectivity"


def _elsewhere(place: Network, alarms: Mapping[Network, Iterable[Outage]]) -> list[Outage]:
    """Alarms of other networks of this country; of at least two for the country as a whole."""
    others = [
        list(outages)
        for other, outages in alarms.items()
        if other[0] == place[0] and other[1] and other != place
    ]
    if place[1]:
        return [one for outages in others for one in outages]
    silent = [outages for outages in others if outages]
    return [one for outages in silent for one in outages] if len(silent) > 1 else []


def _line_was_fine(place: Network, outage: Outage, watched: Watched) -> bool:
    """Somebody outside the country was heard when it began: our own line was not what broke."""
    return any(
        seen(times, outage.start)
        for key, times in watched.beats.items()
        if watched.homes.get(key, (NOWHERE, 0))[0] not in {NOWHERE, place[0]}
    )


def _refuted(outage: Outage, watched: Watched) -> bool:
    """Half of the silent say that everything but this collector was in reach."""
    missed, cut = _told(outage, watched.missed), _told(outage, watched.cut)
    return 2 * len(missed) >= len(outage.probes) and len(missed) > len(cut)


def _told(outage: Outage, spans: Spans) -> dict[str, list[tuple[float, float]]]:
    """What its own probes told of its time, by key."""
    found = {
        key: [span for span in spans.get(key, ()) if _overlaps(outage, span)]
        for key in outage.probes
    }
    return {key: of for key, of in found.items() if of}


def _overlaps(outage: Outage, span: tuple[float, float]) -> bool:
    end = outage.end if outage.end is not None else float("inf")
    return span[0] <= end and span[1] >= outage.start - BEFORE


def _during(outage: Outage, at: float) -> bool:
    return _overlaps(outage, (at, at))


def shutdowns(alarms: Iterable[Alarm]) -> list[Event]:
    """The alarms that something else confirms, as events; they are about no single target."""
    return [
        Event(
            id=_name(one),
            kind="shutdown",
            target="",
            country=one.country,
            asn=one.asn,
            started_at=one.started_at,
            ended_at=one.ended_at,
            probes=one.probes,
            judging=one.probes,
            measurements=(),
            sources=("silence", *one.sources),
        )
        for one in alarms
        if one.sources
    ]


def _name(alarm: Alarm) -> str:
    text = f"shutdown\n{alarm.country}\n{alarm.asn}\n{int(alarm.started_at)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
