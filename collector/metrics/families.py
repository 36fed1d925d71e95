"""The metric families of qazprobe, from rows of the store.

Rule: a gauge has a value only where there are data within the window; otherwise it is absent, never
zero and never the last value. One key has one vote, and one origin has one (`counting.py`). Labels
are listed targets, words of closed lists, ISO countries and ASNs.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from collector.detection.quorum import kinds_held
from collector.metrics.counting import Snapshot, VoteCount, by_outcome, ratio
from collector.metrics.exposition import HistogramSeries, MetricFamily, MetricSample
from collector.places import NetworkKey
from collector.store.interface import Rows
from collector.store.measurements import UNLISTED
from collector.store.rollup import BUCKETS
from collector.target_labels import TargetLabels
from probe import experiments

OTHER, RUN = "other", "run"
_TARGET_LABELS = ("target", "country", "asn")


def families(
    snapshot: Snapshot,
    labels: TargetLabels,
    quorum: int,
    heard: Mapping[NetworkKey, int] = MappingProxyType({}),
) -> list[MetricFamily]:
    """Every family, the most important first: `--max-series` keeps the first ones.

    Families about listed targets come before those that every client can fill: the totals, which
    never shrink, and the votes of strangers. `heard` has the probes of each network whose heartbeat
    came lately.
    """
    return [
        _events(snapshot.events),
        _events_total(snapshot.events),
        _heard(heard),
        _outcomes(snapshot.votes, labels),
        _ratios(snapshot.votes, labels),
        _held(snapshot.votes, labels, quorum),
        _interception(snapshot.votes),
        _mechanisms(snapshot.votes),
        *_rates(snapshot.rates),
        _connectivity(snapshot.anchors),
        _active(snapshot.active),
        _totals(snapshot.totals),
        _handshakes(snapshot.timings),
        _strangers(snapshot.strangers, labels),
    ]


def _held(votes: Iterable[VoteCount], labels: TargetLabels, quorum: int) -> MetricFamily:
    samples = [
        MetricSample((target, labels.category(target), country, str(asn), kind), 1)
        for (target, country, asn), outcomes in by_outcome(votes).items()
        if target != UNLISTED
        for kind in kinds_held((target, country, asn), outcomes, quorum)
    ]
    text = "1 where a quorum of independent, trusted probes holds."
    names = ("target", "category", "country", "asn", "kind")
    return MetricFamily("qazprobe_target_quorum", text, "gauge", names, samples)


def _strangers(votes: Iterable[VoteCount], labels: TargetLabels) -> MetricFamily:
    text = "Probes that are not trusted yet, by the outcome of their newest verdict in the window."
    return replace(_outcomes(votes, labels), name="qazprobe_stranger_outcome", help=text)


def _active(rows: Rows) -> MetricFamily:
    samples = [MetricSample((c, str(asn), region), n, n) for c, asn, region, n, _ in rows]
    text = "Probes that sent records or heartbeats within the window."
    return MetricFamily(
        "qazprobe_probes_active", text, "gauge", ("country", "asn", "region"), samples
    )


def _events(rows: Rows) -> MetricFamily:
    samples = [
        MetricSample((kind, country, str(asn)), active, active)
        for kind, country, asn, active, *_ in rows
        if active
    ]
    text = "Confirmed events that are under way."
    return MetricFamily("qazprobe_event_active", text, "gauge", ("kind", "country", "asn"), samples)


def _events_total(rows: Rows) -> MetricFamily:
    samples = [
        MetricSample((kind, country, str(asn), state), n, n)
        for kind, country, asn, _, *counts in rows
        for state, n in zip(("suspected", "confirmed", "ended", "withdrawn"), counts, strict=True)
        if n
    ]
    text = "Events that ever were in this state."
    names = ("kind", "country", "asn", "state")
    return MetricFamily("qazprobe_events_total", text, "counter", names, samples)


def _heard(heard: Mapping[NetworkKey, int]) -> MetricFamily:
    samples = [MetricSample((c, str(asn)), n, n) for (c, asn), n in sorted(heard.items())]
    text = "Trusted probes whose heartbeat came within 15 minutes, of networks heard within a day."
    return MetricFamily("qazprobe_probes_heard", text, "gauge", ("country", "asn"), samples)


def _connectivity(rows: Rows) -> MetricFamily:
    shares: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for country, asn, foreign, domestic in rows:
        for class_, share in (("foreign", foreign), ("domestic", domestic)):
            if share is not None:
                shares[country, str(asn), class_].append(share)
    samples = [MetricSample(key, statistics.median(of), len(of)) for key, of in shares.items()]
    text = "Share of anchors that worked, median over probes."
    names = ("country", "asn", "class")
    return MetricFamily("qazprobe_connectivity_ratio", text, "gauge", names, samples)


def _totals(rows: Rows) -> MetricFamily:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for experiment, outcome, country, asn, n in rows:
        # Experiments of newer probes are stored, but a probe must not invent label values.
        known = experiment if experiment in _experiments() else OTHER
        counts[known, outcome, country, str(asn)] += n
    text = "Measurements stored, by the collector's verdict."
    names = ("experiment", "outcome", "country", "asn")
    return MetricFamily("qazprobe_measurements_total", text, "counter", names, _counted(counts))


@cache
def _experiments() -> frozenset[str]:
    return frozenset(experiments.load()) | {RUN}


def _outcomes(votes: Iterable[VoteCount], labels: TargetLabels) -> MetricFamily:
    samples = [
        MetricSample((target, labels.category(target), country, str(asn), outcome), n, n)
        for (target, country, asn), outcomes in by_outcome(votes).items()
        for outcome, n in outcomes.items()
    ]
    text = "Probes by the outcome of their newest verdict in the window."
    names = ("target", "category", "country", "asn", "outcome")
    return MetricFamily("qazprobe_target_outcome", text, "gauge", names, samples)


def _ratios(votes: Iterable[VoteCount], labels: TargetLabels) -> MetricFamily:
    samples = []
    for (target, country, asn), outcomes in by_outcome(votes).items():
        value = ratio(outcomes)
        if value is not None:
            values = (target, labels.category(target), country, str(asn))
            samples.append(MetricSample(values, value, sum(outcomes.values())))
    text = "(blocked + intercepted + throttled) / (those + ok + refused), by probes."
    names = ("target", "category", "country", "asn")
    return MetricFamily("qazprobe_target_interference_ratio", text, "gauge", names, samples)


def _interception(votes: Iterable[VoteCount]) -> MetricFamily:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for vote in votes:
        if vote.authority:
            counts[vote.target, vote.country, str(vote.asn), vote.authority] += vote.n
    text = "Probes that were served a certificate of this authority in place of the site's."
    names = (*_TARGET_LABELS, "authority")
    return MetricFamily("qazprobe_tls_interception", text, "gauge", names, _counted(counts))


def _mechanisms(votes: Iterable[VoteCount]) -> MetricFamily:
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for vote in votes:
        for mechanism in vote.mechanisms.split():
            counts[vote.target, vote.country, str(vote.asn), mechanism] += vote.n
    text = "Probes whose newest verdict in the window names this mechanism."
    names = (*_TARGET_LABELS, "mechanism")
    return MetricFamily("qazprobe_target_mechanism", text, "gauge", names, _counted(counts))


def _counted(counts: dict[tuple[str, ...], int]) -> list[MetricSample]:
    return [MetricSample(labels, n, n) for labels, n in counts.items()]


def _rates(rows: Rows) -> list[MetricFamily]:
    """Medians over probes, so that one forged value among three changes nothing."""
    rates: dict[tuple[str, ...], list[float]] = defaultdict(list)
    ratios: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for target, country, asn, measured, reference in rows:
        where = (target, country, str(asn))
        for arm, rate in (("target", measured), ("reference", reference)):
            if rate is not None:
                rates[*where, arm].append(rate)
        if measured is not None and reference:
            ratios[where].append(measured / reference)
    return [
        MetricFamily(
            "qazprobe_throughput_bytes_per_second",
            "Download rate with the target's name and with another, median over probes.",
            "gauge",
            (*_TARGET_LABELS, "arm"),
            _medians(rates),
        ),
        MetricFamily(
            "qazprobe_throttle_ratio",
            "Rate with the target's name divided by the rate with another, median over probes.",
            "gauge",
            _TARGET_LABELS,
            _medians(ratios),
        ),
    ]


def _medians(values: dict[tuple[str, ...], list[float]]) -> list[MetricSample]:
    return [MetricSample(labels, statistics.median(of), len(of)) for labels, of in values.items()]


def _handshakes(rows: Rows) -> MetricFamily:
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * len(BUCKETS))
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for country, asn, op, bucket, n, seconds in rows:
        labels = (country, str(asn), op)
        counts[labels][bucket] += n
        sums[labels] += seconds
    found = [HistogramSeries(labels, of, max(0.0, sums[labels])) for labels, of in counts.items()]
    text = "Duration of successful operations."
    return MetricFamily(
        "qazprobe_handshake_seconds",
        text,
        "histogram",
        ("country", "asn", "op"),
        histograms=found,
        bounds=BUCKETS,
    )
