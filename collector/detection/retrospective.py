"""Find shutdowns afterwards, from what probes report once they are online again.

Detection from missing heartbeats needs machines that rarely go offline: three laptops that close at
the same time are normal. A report afterwards is stronger evidence, because a probe that says "on,
and nothing abroad answered" was not asleep. So of the probes that were on in the same five minutes,
those that were cut off are counted: at least three, at least 70 %, and more than their own broken
lines explain; keys of one origin count as one. Pure functions; outages that were detected at the
time are not reported again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.detection.detected import DetectedEvent
from collector.detection.outage import PROBES_LEAST, SHARE, Outage, overlaps
from collector.detection.shutdown import HeartbeatHistory, NetworkKey, keys_by_network
from collector.standing import Standings
from collector.store.heartbeats import SLOT
from probe.analysis.statistics import poisson_binomial_tail

# Broken lines last half an hour, so a month has 1,440 independent slots: at most 0.14 false
# positives are expected in it.
TAIL = 1e-4
# One hour in which the line is taken to have worked, so that three keys without any history prove
# nothing.
PRIOR_SLOTS = 12
# A reachability check takes most of a minute and the line may come back within a slot, so gaps of
# up to two slots are bridged.
GAP_SLOTS = 2
LEAST_SLOTS = 2


@dataclass(frozen=True, slots=True)
class ProbeHistory:
    """The five-minute slots in which one probe was on; `cut_off` is a part of `awake`."""

    key: str
    awake: frozenset[int]
    cut_off: frozenset[int]

    def share_before(self, before: int) -> float:
        """The share of its time on in which it was cut off, before a slot; never 0 and never 1."""
        cut_off = sum(slot < before for slot in self.cut_off)
        return (cut_off + 1) / (sum(slot < before for slot in self.awake) + PRIOR_SLOTS)


class _Probes(NamedTuple):
    """The trusted probes of one network."""

    histories: Sequence[ProbeHistory]
    network: NetworkKey
    standings: Standings

    def awake(self, slot: int) -> list[ProbeHistory]:
        """The independent ones of those that were on in a slot."""
        found = {one.key: one for one in self.histories if slot in one.awake}
        return [found[key] for key in self.standings.speakers(found, self.network)]


def retrospective_shutdowns(
    history: HeartbeatHistory, outages: Mapping[NetworkKey, Iterable[Outage]], *, since: float
) -> list[DetectedEvent]:
    """The shutdowns since then that probes reported and that overlap no detected outage."""
    found = []
    standings = history.standings
    for network, every in keys_by_network(history.networks).items():
        keys = frozenset(filter(standings.is_trusted, every))
        if sum(bool(history.cut_off.get(key)) for key in keys) >= PROBES_LEAST:
            known = tuple(outages.get(network, ()))
            probes = _Probes(_probe_histories(history, keys), network, standings)
            for run in _runs(probes, int(since // SLOT)):
                event = _event(network, *run)
                span = event.started_at, event.ended_at or 0.0
                if not any(overlaps(one, span) for one in known):
                    found.append(event)
    return found


def _probe_histories(history: HeartbeatHistory, keys: Collection[str]) -> list[ProbeHistory]:
    found = []
    for key in sorted(keys):
        heard = frozenset(int(at // SLOT) for at in history.beats.get(key, ()))
        cut_off = _slots(history.cut_off.get(key, ())) - heard
        awake = heard | cut_off | _slots(history.unheard.get(key, ()))
        found.append(ProbeHistory(key, awake, cut_off))
    return found


def _slots(spans: Iterable[tuple[float, float]]) -> frozenset[int]:
    return frozenset(
        slot for begin, end in spans for slot in range(int(begin // SLOT), -int(-end // SLOT))
    )


def _runs(probes: _Probes, since: int) -> Iterator[tuple[int, int, int, int]]:
    """Shutdowns: first slot, slot after the last, most probes cut off, and probes on then."""
    cut_off = Counter(slot for one in probes.histories for slot in one.cut_off if slot >= since)
    candidates = sorted(slot for slot, n in cut_off.items() if n >= PROBES_LEAST)
    run: list[int] = []
    for slot in [*(slot for slot in candidates if _is_many(probes, slot)), None]:
        if run and (slot is None or slot - run[-1] > GAP_SLOTS + 1):
            peak = max(run, key=lambda slot: _counts(probes, slot)[0])
            if len(run) >= LEAST_SLOTS and _is_unlikely(probes, run[0], peak):
                yield run[0], run[-1] + 1, *_counts(probes, peak)
            run = []
        if slot is not None:
            run.append(slot)


def _counts(probes: _Probes, slot: int) -> tuple[int, int]:
    """The probes cut off in a slot, and those that were on."""
    awake = probes.awake(slot)
    return sum(slot in one.cut_off for one in awake), len(awake)


def _is_many(probes: _Probes, slot: int) -> bool:
    cut_off, awake = _counts(probes, slot)
    return cut_off >= PROBES_LEAST and cut_off >= SHARE * awake


def _is_unlikely(probes: _Probes, first: int, peak: int) -> bool:
    """Whether each probe's share of broken time before the first slot does not explain the peak."""
    chances = [one.share_before(first) for one in probes.awake(peak)]
    return poisson_binomial_tail(chances, _counts(probes, peak)[0]) < TAIL


def _event(network: NetworkKey, first: int, after: int, cut_off: int, awake: int) -> DetectedEvent:
    return DetectedEvent(
        kind="shutdown",
        target="",
        country=network[0],
        asn=network[1],
        started_at=float(first * SLOT),
        ended_at=float(after * SLOT),
        probes=cut_off,
        judging=awake,
        measurements=(),
        sources=("spool",),
    )
