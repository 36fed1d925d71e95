"""From suspected runs to an event: confirmed by the same probe, then by two probes of one network.

A single suspected run occurs on any bad line now and then; two of them, half an hour to two hours
apart, are rare. Two probes of one network that both confirmed within a day make an event.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from probe.analysis.confirmation import LATEST, SOONEST

DAY = 86_400.0
PROBES = 2


def confirmed_at(runs: Iterable[tuple[float, bool]]) -> tuple[float, ...]:
    """The times at which a probe's suspicion was confirmed; runs are (time, suspected or worse).

    A run in between that found nothing resets the suspicion: what comes and goes is noise.
    """
    found: list[float] = []
    suspicion: list[float] = []
    for at, suspected in sorted(runs):
        if not suspected:
            suspicion = []
            continue
        if any(SOONEST <= at - earlier <= LATEST for earlier in suspicion):
            found.append(at)
        suspicion.append(at)
    return tuple(found)


def is_event(confirmed: Mapping[str, Sequence[float]]) -> bool:
    """Whether two probes of a network confirmed within 24 hours of each other."""
    return any(
        abs(one - other) <= DAY
        for left, right in combinations(confirmed, PROBES)
        for one in confirmed[left]
        for other in confirmed[right]
    )
