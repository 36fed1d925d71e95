"""From rows of the store to the metric families of qazprobe.

Rule: a gauge says what is so within the window and is absent otherwise, never zero and never the
last value. One key has one vote. Labels are listed targets, closed words, ISO countries and ASNs.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from collector.detection.quorum import Place, active
from collector.metrics.exposition import Buckets, Family, Sample
from collector.store.interface import Operation, Query, Rows
from collector.store.measurements import INTERFERENCE, UNLISTED
from collector.store.rollup import BUCKETS
from collector.target_labels import TargetLabels
from probe import experiments

OTHER, RUN = "other", "run"
_PLACE = ("target", "country", "asn")


class VoteCount(NamedTuple):
    """So many keys have this as their vote."""

    target: str
    country: str
    asn: int
    outcome: str
    mechanisms: str
    authority: str
    n: int
    confirmed: int
    newest: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store says at one moment."""

    votes: Sequence[VoteCount]
    anchors: Rows
    rates: Rows
    active: Rows
    totals: Rows
    timings: Rows


def look(since: float) -> Operation[Snapshot]:
    """Read all that the families are made of, in one transaction."""
    params = {"since": since}
    votes = yield Query("current_votes", params)
    anchors = yield Query("current_anchors", params)
    rates = yield Query("current_rates", params)
    active = yield Query("active_probes", params)
    totals = yield Query("totals")
    timings = yield Query("timings")
    tallies = tuple(VoteCount(*row) for row in votes)
    return Snapshot(tallies, anchors, rates, active, totals, timings)


def families(
    view: Snapshot,
    listed: TargetLabels,
    quorum: int,
    alarms: Mapping[tuple[str, str, int], int] = MappingProxyType({}),
) -> list[Family]:
    """Every family, the most telling first: those go first into what `--max-series` allows.

    `alarms` counts the events that last and are no quorum of votes, by (kind, country, ASN).
    """
    return [
        _active(view.active),
        _events(view.votes, quorum, alarms),
        _connectivity(view.anchors),
        _totals(view.totals),
        _outcomes(view.votes, listed),
        _ratios(view.votes, listed),
        _interception(view.votes),
        _mechanisms(view.votes),
        *_rates(view.rates),
        _handshakes(view.timings),
    ]


def by_outcome(votes: Iterable[VoteCount]) -> dict[Place, dict[str, int]]:
    """Keys by outcome, for each target on each network."""
    found: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for vote in votes:
        found[vote.target, vote.country, vote.asn][vote.outcome] += vote.n
    return found


def ratio(outcomes: dict[str, int]) -> float | None:
    """Interference among those who could tell; None when nobody could."""
    bad = sum(n for outcome, n in outcomes.items() if outcome in INTERFERENCE)
    judging = bad + outcomes.get("ok", 0) + outcomes.get("refused", 0)
    return bad / judging if judging else None


def _labels(place: Place) -> tuple[str, str, str]:
    return place[0], place[1], str(place[2])


def _active(rows: Rows) -> Family:
    samples = [Sample((c, str(asn), region), n, n) for c, asn, region, n, _ in rows]
    text = "Probes heard from within the window."
    return Family("qazprobe_probes_active", text, "gauge", ("country", "asn", "region"), samples)


def _events(
    votes: Iterable[VoteCount], quorum: int, alarms: Mapping[tuple[str, str, int], int]
) -> Family:
    tally = {p: outcomes for p, outcomes in by_outcome(votes).items() if p[0] != UNLISTED}
    counts = active(tally, quorum)
    for place, n in alarms.items():
        # What a quorum says of a target, two probes may have confirmed as well: counted once.
        counts[place] = max(counts.get(place, 0), n)
    samples = [
        Sample((kind, country, str(asn)), n, n) for (kind, country, asn), n in counts.items()
    ]
    text = "Events that last: a quorum of probes, or an alarm that a second source confirms."
    return Family("qazprobe_event_active", text, "gauge", ("kind", "country", "asn"), samples)


def _connectivity(rows: Rows) -> Family:
    shares: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for country, asn, foreign, domestic in rows:
        for class_, share in (("foreign", foreign), ("domestic", domestic)):
            if share is not None:
                shares[country, str(asn), class_].append(share)
    samples = [Sample(key, statistics.fmean(of), len(of)) for key, of in shares.items()]
    text = "Share of anchors that worked, mean over probes."
    names = ("country", "asn", "class")
    return Family("qazprobe_connectivity_ratio", text, "gauge", names, samples)


def _totals(rows: Rows) -> Family:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for experiment, outcome, country, asn, n in rows:
        # A newer probe's experiment is stored, but no probe makes up a label.
        known = experiment if experiment in _experiments() else OTHER
        counts[known, outcome, country, str(asn)] += n
    text = "Measurements stored, by our own verdict."
    names = ("experiment", "outcome", "country", "asn")
    return Family("qazprobe_measurements_total", text, "counter", names, _counted(counts))


@cache
def _experiments() -> frozenset[str]:
    return frozenset(experiments.load()) | {RUN}


def _outcomes(votes: Iterable[VoteCount], listed: TargetLabels) -> Family:
    samples = [
        Sample((place[0], listed.category(place[0]), *_labels(place)[1:], outcome), n, n)
        for place, outcomes in by_outcome(votes).items()
        for outcome, n in outcomes.items()
    ]
    text = "Probes whose newest verdict in the window says so."
    names = ("target", "category", "country", "asn", "outcome")
    return Family("qazprobe_target_outcome", text, "gauge", names, samples)


def _ratios(votes: Iterable[VoteCount], listed: TargetLabels) -> Family:
    samples = []
    for place, outcomes in by_outcome(votes).items():
        value = ratio(outcomes)
        if value is not None:
            labels = (place[0], listed.category(place[0]), *_labels(place)[1:])
            samples.append(Sample(labels, value, sum(outcomes.values())))
    text = "(blocked + intercepted + throttled) / (those + ok + refused), by probes."
    names = ("target", "category", "country", "asn")
    return Family("qazprobe_target_interference_ratio", text, "gauge", names, samples)


def _interception(votes: Iterable[VoteCount]) -> Family:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for vote in votes:
        if vote.authority:
            counts[vote.target, vote.country, str(vote.asn), vote.authority] += vote.n
    text = "Probes that were served a certificate of this authority in place of the site's."
    names = (*_PLACE, "authority")
    return Family("qazprobe_tls_interception", text, "gauge", names, _counted(counts))


def _mechanisms(votes: Iterable[VoteCount]) -> Family:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for vote in votes:
        for mechanism in vote.mechanisms.split():
            counts[vote.target, vote.country, str(vote.asn), mechanism] += vote.n
    text = "Probes whose newest verdict in the window names this mechanism."
    names = (*_PLACE, "mechanism")
    return Family("qazprobe_target_mechanism", text, "gauge", names, _counted(counts))


def _counted(counts: dict[tuple[str, ...], int]) -> list[Sample]:
    return [Sample(labels, n, n) for labels, n in counts.items()]


def _rates(rows: Rows) -> list[Family]:
    """Medians over probes, so that one liar among three changes nothing."""
    rates: dict[tuple[str, ...], list[float]] = defaultdict(list)
    ratios: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for target, country, asn, seen, reference in rows:
        place = (target, country, str(asn))
        for arm, rate in (("target", seen), ("reference", reference)):
            if rate is not None:
                rates[*place, arm].append(rate)
        if seen is not None and reference:
            ratios[place].append(seen / reference)
    return [
        Family(
            "qazprobe_throughput_bytes_per_second",
            "Download rate with the target's name and with another, median over probes.",
            "gauge",
            (*_PLACE, "arm"),
            _medians(rates),
        ),
        Family(
            "qazprobe_throttle_ratio",
            "Rate with the target's name divided by the rate with another, median over probes.",
            "gauge",
            _PLACE,
            _medians(ratios),
        ),
    ]


def _medians(values: dict[tuple[str, ...], list[float]]) -> list[Sample]:
    return [Sample(labels, statistics.median(of), len(of)) for labels, of in values.items()]


def _handshakes(rows: Rows) -> Family:
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * len(BUCKETS))
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for country, asn, op, bucket, n, seconds in rows:
        labels = (country, str(asn), op)
        counts[labels][bucket] += n
        sums[labels] += seconds
    found = [Buckets(labels, of, max(0.0, sums[labels])) for labels, of in counts.items()]
    text = "How long operations took that worked."
    return Family(
        "qazprobe_handshake_seconds",
        text,
        "histogram",
        ("country", "asn", "op"),
        histograms=found,
        bounds=BUCKETS,
    )
