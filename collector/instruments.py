"""What the collector counts of itself, as Prometheus instruments in a registry of its own."""

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import generate_latest as _generate

from probe import __version__

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Instruments:
    """Counters of one collector process."""

    def __init__(self, store: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "qazcollector_requests", "Requests answered.", ("route", "code"), registry=registry
        )
        self.rejected = Counter(
            "qazcollector_rejected",
            "Requests and records refused, by reason.",
            ("reason",),
            registry=registry,
        )
        self.records = Counter(
            "qazcollector_records",
            "Records that came in batches, by what became of them.",
            ("role", "status"),
            registry=registry,
        )
        self.ingest_seconds = Histogram(
            "qazcollector_ingest_seconds",
            "From the last byte of a batch to its acknowledgement.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.judge_errors = Counter(
            "qazcollector_judge_errors",
            "Records that could not be judged: bugs of ours.",
            registry=registry,
        )
        self.rechecks = Counter(
            "qazcollector_rechecks",
            "Rechecks asked for, by what became of them.",
            ("status",),
            registry=registry,
        )
        self.controls_waiting = Gauge(
            "qazcollector_controls_waiting",
            "Controls that hold a line open for rechecks.",
            registry=registry,
        )
        self.series = Gauge(
            "qazcollector_series",
            "Series of the large families in the last answer.",
            registry=registry,
        )
        self.series_dropped = Gauge(
            "qazcollector_series_dropped",
            "Series left out because of --max-series.",
            registry=registry,
        )
        self.series_limit = Gauge(
            "qazcollector_series_limit", "What --max-series allows.", registry=registry
        )
        self.snapshot_seconds = Gauge(
            "qazcollector_snapshot_seconds",
            "How long the last look at the store took.",
            registry=registry,
        )
        self.listed = Gauge(
            "qazcollector_listed_targets", "Targets shown by name.", registry=registry
        )
        built = Gauge(
            "qazcollector_build_info",
            "What is running here; the value is always 1.",
            ("version", "python", "store"),
            registry=registry,
        )
        built.labels(__version__, platform.python_version(), store).set(1)
        ProcessCollector(registry=self.registry)

    def encode(self) -> bytes:
        """Everything in Prometheus's text format."""
        return _generate(self.registry)
