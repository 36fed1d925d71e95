"""Heartbeats as times of each key, and the outages that they show. Pure."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, MutableMapping
from functools import partial

from collector.detection import shutdown
from collector.detection.outage import Replay
from collector.detection.shutdown import NetworkKey
from collector.detection.throttling import SeriesPoint
from collector.standing import Standings
from collector.store import heartbeats
from collector.store.heartbeats import COLLECTOR_KEY, SLOT, HeartbeatHour

_CUTS = frozenset({"access.whitelist", "access.foreign_cut"})


class HeartbeatTimes:
    """The heartbeats of all keys.

    Attributes:
        beats: The times of each key's heartbeats, in order.
        networks: The network of each key's newest heartbeat.
    """

    def __init__(self) -> None:
        self.beats: dict[str, array[float]] = {}
        self.networks: dict[str, NetworkKey] = {}

    def forget(self, since: float) -> None:
        """Drop the times since then, because they are read again."""
        for times in self.beats.values():
            del times[bisect_left(times, since) :]

    def add(self, fresh: Iterable[HeartbeatHour]) -> None:
        """Add hours that are later than those before."""
        unsorted: set[str] = set()
        for row in fresh:
            found = heartbeats.slot_times(row.hour, row.heard)
            if not found:
                continue
            times = self.beats.setdefault(row.key_id, array("d"))
            if times and times[-1] > found[0]:
                unsorted.add(row.key_id)  # on two networks in one hour
            times.extend(found)
            if row.key_id != COLLECTOR_KEY:
                self.networks[row.key_id] = (row.country, row.asn)
        for key in unsorted:
            self.beats[key] = array("d", sorted(self.beats[key]))


def advance(
    replays: MutableMapping[NetworkKey, Replay],
    times: HeartbeatTimes,
    standings: Standings,
    *,
    start: float,
    end: float,
) -> None:
    """Take the outages of every network up to `end`; those of a new one begin at `start`."""
    own = times.beats.get(COLLECTOR_KEY, array("d"))
    for network, keys in shutdown.keys_by_network(times.networks).items():
        replay = replays.setdefault(network, Replay(start))
        replay.speakers = partial(_speakers, standings, network)
        replay.advance(
            {key: times.beats[key] for key in keys if standings.is_trusted(key)},
            end,
            lambda at: shutdown.collector_was_up(own, at),
        )


def _speakers(standings: Standings, network: NetworkKey, probes: frozenset[str]) -> frozenset[str]:
    return frozenset(standings.speakers(probes, network))


def measured_cuts(points: Iterable[SeriesPoint]) -> dict[str, list[float]]:
    """The instants at which each key measured that it was cut off."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in points:
        named = one.experiment == "connectivity" and not _CUTS.isdisjoint(one.mechanisms.split())
        if named and one.outcome == "blocked":
            found[one.key_id].append(one.at)
    return found


def reported_spans(
    reports: Iterable[HeartbeatHour], column: str
) -> dict[str, list[tuple[float, float]]]:
    """The five-minute slots set in a column, as times, joined where they touch."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in reports:
        spans = found[row.key_id]
        for middle in heartbeats.slot_times(row.hour, getattr(row, column)):
            begin, end = middle - SLOT / 2, middle + SLOT / 2
            if spans and spans[-1][1] == begin:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
    return found
