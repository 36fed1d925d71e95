"""Detect throttling from weeks of measurements: confirmed by one probe, then by two of one network.

There are two ways to an event, both over the rows of `series`. Either a target was slow twice, half
an hour to two hours apart, at two probes of a network within a day (`corroboration.py`). Or a rate
has fallen against the same part of the day (`cusum.py`) at two probes at once: the rate of a target
divided by that of the reference beside it, or that of the whole line (then the event has no
target). Probes are independent, trusted keys (`collector/standing.py`), and must be more than half
of those that measured the same within a day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from collector.detection import corroboration, cusum
from collector.detection.corroboration import DAY
from collector.detection.detected import DetectedEvent
from collector.detection.quorum import TargetOnNetwork, holds
from collector.places import NetworkKey
from collector.standing import EVERYBODY, Standings
from collector.store.measurements import UNLISTED

RATIO = 1 / 2
KIND = "throttling"


class SeriesPoint(NamedTuple):
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
        """Whether it is throttled, or at most half as fast as the reference."""
        ratio = self.ratio
        return self.outcome == "throttled" or (ratio is not None and ratio <= RATIO)

    @property
    def ratio(self) -> float | None:
        """The target's rate divided by the reference's."""
        if not self.rate_target or not self.rate_reference:
            return None
        return self.rate_target / self.rate_reference


SpansByKey = Mapping[str, Sequence[tuple[float, float]]]  # (from, until), until may be infinite


class _Corroboration(NamedTuple):
    """How many probes must agree, and whose measurements count."""

    probes: int
    standings: Standings

    def hold(self, agreeing: Iterable[str], able: Iterable[str], network: NetworkKey) -> bool:
        """Whether enough independent keys agree, and more than half of those able to see it."""
        n = self.standings.independent(agreeing, network)
        return holds(n, self.standings.independent(able, network), self.probes)


def throttling_events(
    points: Iterable[SeriesPoint],
    *,
    now: float,
    window: float,
    probes: int,
    standings: Standings = EVERYBODY,
) -> list[DetectedEvent]:
    """Every throttling event, newest first."""
    rules = _Corroboration(probes, standings)
    every = [one for one in points if standings.is_trusted(one.key_id) and one.country != "ZZ"]
    named = [one for one in every if one.experiment == "throttle" and one.target != UNLISTED]
    found = _confirmed(named, rules, now=now, window=window)
    taken = {(one.target, one.country, one.asn) for one in found if one.ended_at is None}
    fallen = _fallen(every, rules, now=now)
    found += [one for one in fallen if (one.target, one.country, one.asn) not in taken]
    return sorted(found, key=lambda one: (one.started_at, *one[:4]), reverse=True)


# --- suspected twice by one probe, and by a second probe ------------------------------------------


def _confirmed(
    points: Sequence[SeriesPoint], rules: _Corroboration, *, now: float, window: float
) -> list[DetectedEvent]:
    found = []
    for where, keys in _group(points).items():
        times = {
            key: corroboration.confirmed_at((one.at, one.suspected) for one in of)
            for key, of in keys.items()
        }
        confirmed = {key: at for key, at in times.items() if at}
        if not confirmed:
            continue
        instants = [at for of in confirmed.values() for at in of]
        able = _able(keys, min(instants), max(instants))
        spoken = {key: confirmed[key] for key in rules.standings.speakers(confirmed, where[1:])}
        together = rules.probes < corroboration.PROBES or corroboration.is_event(spoken)
        if together and rules.hold(spoken, able, where[1:]):
            found.append(_confirmed_event(where, keys, spoken, now=now, window=window))
    return found


def _confirmed_event(
    where: TargetOnNetwork,
    keys: Mapping[str, Sequence[SeriesPoint]],
    confirmed: Mapping[str, Sequence[float]],
    *,
    now: float,
    window: float,
) -> DetectedEvent:
    """An event that begins with the second probe's confirmation.

    It lasts while some probe still finds the target slow within the window. A probe that finds it
    fast again no longer holds the event.
    """
    newest = {key: max(of, key=lambda one: one.at) for key, of in keys.items()}
    lasting = [key for key in confirmed if newest[key].suspected and newest[key].at > now - window]
    last = max(at for times in confirmed.values() for at in times)
    over = max(
        (newest[key].at for key in confirmed if not newest[key].suspected), default=last + window
    )
    ids = tuple(newest[key].id for key in confirmed)
    began = sorted(min(times) for times in confirmed.values())[:2][-1]
    ended = None if lasting else max(over, began)
    return _event(where, (began, ended), (len(confirmed), len(keys)), ids, "confirmed")


def _able(keys: Mapping[str, Sequence[SeriesPoint]], since: float, until: float) -> list[str]:
    """The keys that measured it within a day of these instants."""
    return [key for key, of in keys.items() if any(since - DAY <= p.at <= until + DAY for p in of)]


# --- fallen against its own history ---------------------------------------------------------------


def _fallen(
    points: Sequence[SeriesPoint], rules: _Corroboration, *, now: float
) -> list[DetectedEvent]:
    found = []
    for where, keys in _group(points, line=True).items():
        spans = {key: _low_spans(_rates(where, of)) for key, of in keys.items()}
        for (began, until), agreeing in _simultaneous(spans, rules, where[1:]):
            if not rules.hold(agreeing, _able(keys, began, until), where[1:]):
                continue
            ids = tuple(keys[key][-1].id for key in agreeing)
            ended = None if until > now else until
            independent = rules.standings.independent
            counts = (independent(agreeing, where[1:]), independent(keys, where[1:]))
            found.append(_event(where, (began, ended), counts, ids, "fallen"))
    return found


def _rates(where: TargetOnNetwork, points: Sequence[SeriesPoint]) -> list[tuple[float, float]]:
    """The series to follow: a target's ratio to its reference, or the rate of the line itself."""
    values = ((one.at, one.ratio if where[0] else one.rate_reference) for one in points)
    return [(at, value) for at, value in values if value is not None and value > 0]


def _low_spans(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The times in which CUSUM finds a series fallen."""
    found: list[tuple[float, float]] = []
    since: float | None = None
    for at, state in cusum.replay(points):
        if since is not None and state.since != since:
            found.append((since, at))
        since = state.since
    return [*found, (since, float("inf"))] if since is not None else found


def _simultaneous(
    spans: SpansByKey, rules: _Corroboration, network: NetworkKey
) -> list[tuple[tuple[float, float], list[str]]]:
    """The times in which enough independent keys are low at once, with these keys."""
    changes = sorted(
        change for key, of in spans.items() for a, b in of for change in ((a, 1, key), (b, -1, key))
    )
    found: list[tuple[tuple[float, float], list[str]]] = []
    low: set[str] = set()
    part: set[str] = set()
    since: float | None = None
    for at, step, key in changes:
        (low.add if step > 0 else low.discard)(key)
        if since is not None:
            part |= low
        enough = rules.standings.independent(low, network) >= rules.probes
        if since is None and enough:
            since, part = at, set(low)
        elif since is not None and not enough:
            found.append(((since, at), sorted(part)))
            since = None
    return found


def _group(
    points: Iterable[SeriesPoint], *, line: bool = False
) -> dict[TargetOnNetwork, dict[str, list[SeriesPoint]]]:
    """Points by target and network, then by key; with `line`, speed tests too, without target."""
    found: dict[TargetOnNetwork, dict[str, list[SeriesPoint]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in points:
        if one.experiment == "throttle" and one.target != UNLISTED:
            found[one.target, one.country, one.asn][one.key_id].append(one)
        elif line and one.experiment == "speed":
            found["", one.country, one.asn][one.key_id].append(one)
    return found


def _event(
    where: TargetOnNetwork,
    span: tuple[float, float | None],
    counts: tuple[int, int],
    ids: Sequence[str],
    source: str,
) -> DetectedEvent:
    return DetectedEvent(KIND, *where, *span, *counts, tuple(ids[:5]), (source,))
