"""The collector's own counters, as Prometheus instruments in a registry of their own."""

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest as _generate,
)

from probe import __version__

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Instruments:
    """The counters of one collector process."""

    def __init__(self, store: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        counter, gauge = self._counter, self._gauge
        self.requests = counter("requests", "Requests answered.", "route", "code")
        self.rejected = counter("rejected", "Requests and records refused, by reason.", "reason")
        self.records = counter("records", "Records received, by result.", *_RECORD)
        self.rechecks = counter("rechecks", "Rechecks, by result.", "status")
        self.ooni = counter(
            "ooni", "Measurements of OONI's clients, by what became of them.", "result"
        )
        self.ooni_credentials = counter(
            "ooni_credentials", "Submissions with an anonymous credential, by its worth.", "result"
        )
        self.ooni_helper = counter("ooni_helper", "Answers of the test helper.", "result")
        self.judge_errors = counter("judge_errors", "Records that a bug kept from being judged.")
        self.unreadable = counter("unreadable", "Stored records left out: not readable.")
        self.judged = counter("judged", "Records judged and shown.")
        self.unjudged = counter("unjudged", "Records stored without a verdict.", "reason")
        self.doubted = counter("doubted", "Records whose evidence has no vote.", "doubt")
        self.judging_restarts = counter("judging_restarts", "Judging processes that had to end.")
        self.backlog = gauge("backlog_records", "Records that wait to be judged.")
        self.backlog_seconds = gauge("backlog_seconds", "Age of the oldest of them.")
        self.ingest_seconds = Histogram(
            "qazcollector_ingest_seconds",
            "From the last byte of a batch to its acknowledgement.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.closed = counter("connections_closed", "Connections closed for others.", "reason")
        self.connections = gauge("connections", "Open connections of the public address.")
        self.held = gauge("held_bytes", "What requests hold in memory.")
        self.controls_waiting = gauge("controls_waiting", "Controls that wait for rechecks.")
        self.series = gauge("series", "Series of the large families in the last answer.")
        self.series_dropped = gauge("series_dropped", "Series left out because of --max-series.")
        self.series_limit = gauge("series_limit", "What --max-series allows.")
        self.snapshot_seconds = gauge("snapshot_seconds", "How long the last snapshot took.")
        self.quorum = gauge("quorum", "Independent, trusted probes that must agree for an event.")
        self.lease = gauge("lease_held", "1 where this one exports the store's families.")
        self.listed = gauge("listed_targets", "Targets shown by name.")
        built = gauge("build_info", "Version of this collector; the value is always 1.", *_BUILD)
        built.labels(__version__, platform.python_version(), store).set(1)
        ProcessCollector(registry=self.registry)

    def encode(self) -> bytes:
        """Everything in Prometheus's text format."""
        return _generate(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"qazcollector_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"qazcollector_{name}", text, labels, registry=self.registry)


_RECORD = ("role", "status")
_BUILD = ("version", "python", "store")
