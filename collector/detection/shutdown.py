"""Decide which outages of single networks are shutdowns, by a second source.

An outage may also be a fault of the collector's own connection, or the collector itself may be
blocked. So a shutdown needs a second source: an outage of another network of the same country while
a probe outside it was still seen, probes that report afterwards that they were on and nothing
abroad answered, or their connectivity measurements. Probes that report that everything but the
collector answered refute an outage. Keys of one origin count as one, and
those of strangers not at all. Pure functions; ASN 0 is the country as a whole.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.detection.detected import DetectedEvent
from collector.detection.outage import (
    BEFORE,
    HEARTBEAT,
    LEAVING,
    PROBES_LEAST,
    SEEN,
    Outage,
    overlaps,
    second_source,
    seen,
)
from collector.standing import EVERYBODY, Standings

# Probes of an unknown country belong to no network, and are no evidence for the collector's line.
UNKNOWN_COUNTRY = "ZZ"

NetworkKey = tuple[str, int]  # country, ASN
Spans = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class HeartbeatHistory:
    """The heartbeats of all keys, and what they reported afterwards of the time without any.

    Attributes:
        networks: The network of each key's newest heartbeat.
        beats: The times of each key's heartbeats, in order.
        cut_off: Times in which a key was on and nothing abroad answered.
        unheard: Times in which everything but this collector answered.
        standings: Whose heartbeats and reports count.
    """

    networks: Mapping[str, NetworkKey]
    beats: Mapping[str, Sequence[float]]
    cut_off: Spans
    unheard: Spans
    standings: Standings = EVERYBODY


@dataclass(frozen=True, slots=True)
class ShutdownCandidate:
    """An outage of one network that was not refuted.

    Attributes:
        sources: The second sources; without any it is unconfirmed, and no shutdown.
    """

    country: str
    asn: int
    started_at: float
    ended_at: float | None
    probes: int
    sources: tuple[str, ...]


def keys_by_network(networks: Mapping[str, NetworkKey]) -> dict[NetworkKey, frozenset[str]]:
    """The keys of each network, and of each country as a whole (ASN 0)."""
    found: dict[NetworkKey, set[str]] = defaultdict(set)
    for key, (country, asn) in networks.items():
        if country != UNKNOWN_COUNTRY:
            found[country, 0].add(key)
            if asn:
                found[country, asn].add(key)
    return {network: frozenset(keys) for network, keys in found.items()}


def too_few(
    networks: Mapping[str, NetworkKey],
    present: Collection[str],
    standings: Standings = EVERYBODY,
) -> dict[NetworkKey, int]:
    """The number of present probes of each network that has too few for a conclusion."""
    found = {
        network: standings.independent(keys & frozenset(present), network)
        for network, keys in keys_by_network(networks).items()
        if network[1]
    }
    return {network: n for network, n in found.items() if 0 < n < PROBES_LEAST}


def collector_was_up(own: Sequence[float], at: float) -> bool:
    """Whether the collector's own heartbeats cover the time that an outage at `at` looks back."""
    step = 2 * HEARTBEAT
    return all(seen(own, at - back * step) for back in range(int((LEAVING + SEEN) // step) + 1))


def shutdown_candidates(
    outages: Mapping[NetworkKey, Iterable[Outage]],
    history: HeartbeatHistory,
    measured: Mapping[str, Sequence[float]],
    *,
    least: int,
) -> list[ShutdownCandidate]:
    """Every outage that was not refuted, with its second sources.

    `measured` has the instants at which each key measured that it was cut off; reports and
    measurements count from `least` keys on.
    """
    found = []
    for network, outages_here in outages.items():
        for outage in outages_here:
            if not _is_refuted(network, outage, history):
                sources = _sources(network, outage, outages, history, measured, least=least)
                found.append(_candidate(network, outage, history, tuple(sources)))
    return found


def _candidate(
    network: NetworkKey, outage: Outage, history: HeartbeatHistory, sources: tuple[str, ...]
) -> ShutdownCandidate:
    reported = _during(outage, history.cut_off)
    began = min((a for spans in reported.values() for a, _ in spans), default=outage.start)
    return ShutdownCandidate(
        country=network[0],
        asn=network[1],
        started_at=min(outage.start, max(began, outage.start - BEFORE)),
        ended_at=outage.end,
        probes=len(outage.probes),
        sources=sources,
    )


def _sources(
    network: NetworkKey,
    outage: Outage,
    outages: Mapping[NetworkKey, Iterable[Outage]],
    history: HeartbeatHistory,
    measured: Mapping[str, Sequence[float]],
    *,
    least: int,
) -> Iterable[str]:
    elsewhere = _other_networks(network, outages)
    if second_source(outage, elsewhere, ()) and _seen_abroad(network, outage, history):
        yield "another_network"
    independent = history.standings.independent
    if independent(_during(outage, history.cut_off), network) >= least:
        yield "spool"
    instants = {key: [(at, at) for at in measured.get(key, ())] for key in outage.probes}
    if independent(_during(outage, instants), network) >= least:
        yield "connectivity"


def _other_networks(
    network: NetworkKey, outages: Mapping[NetworkKey, Iterable[Outage]]
) -> list[Outage]:
    """Outages of the country's other networks; for the country as a whole, of at least two."""
    others = [
        list(found)
        for other, found in outages.items()
        if other[0] == network[0] and other[1] and other != network
    ]
    silent = [found for found in others if found]
    return [one for found in silent for one in found] if network[1] or len(silent) > 1 else []


def _seen_abroad(network: NetworkKey, outage: Outage, history: HeartbeatHistory) -> bool:
    """Whether a probe outside the country was seen at the start: the collector's line worked."""
    return any(
        seen(times, outage.start)
        for key, times in history.beats.items()
        if history.networks.get(key, (UNKNOWN_COUNTRY, 0))[0] not in {UNKNOWN_COUNTRY, network[0]}
        and history.standings.is_trusted(key)
    )


def _is_refuted(network: NetworkKey, outage: Outage, history: HeartbeatHistory) -> bool:
    """Whether half of the silent probes report that everything but the collector answered."""
    unheard, cut_off, silent = (
        history.standings.independent(keys, network)
        for keys in (
            _during(outage, history.unheard),
            _during(outage, history.cut_off),
            outage.probes,
        )
    )
    return 2 * unheard >= silent and unheard > cut_off


def _during(outage: Outage, spans: Spans) -> dict[str, list[tuple[float, float]]]:
    """The times that overlap an outage, by key, of those of its probes that have any."""
    found = {
        key: [span for span in spans.get(key, ()) if overlaps(outage, span)]
        for key in outage.probes
    }
    return {key: of for key, of in found.items() if of}


def shutdowns(candidates: Iterable[ShutdownCandidate]) -> list[DetectedEvent]:
    """The candidates with a second source, as events without a target."""
    return [
        DetectedEvent(
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
        for one in candidates
        if one.sources
    ]
