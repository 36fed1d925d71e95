"""Collector: what it takes in, refuses, stores and holds."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board
from dashboards.board import JOB, Panel
from dashboards.panels import (
    GOOD_IF_NONE,
    HALF,
    NONE,
    instant,
    lines,
    number,
    query,
    row,
    table,
)

UID = "qazprobe-collector"
# All of a collector's own series have the instance that Prometheus scraped.
OWN = f'{JOB}, instance=~"$instance"'


def _summary() -> list[Panel]:
    return [
        number(
            "Collectors up",
            "Collectors that answer Prometheus.",
            f"sum(up{{{OWN}}}) or vector(0)",
            steps=((None, "red"), (1, "green")),
        ),
        number(
            "Waiting to be judged",
            "Records that were acknowledged and are not judged yet.",
            f"sum(qazcollector_backlog_records{{{OWN}}}) or vector(0)",
            steps=((None, "green"), (1000, "yellow"), (10_000, "red")),
        ),
        number(
            "Oldest of them",
            "Age of the oldest record that waits to be judged.",
            f"max(qazcollector_backlog_seconds{{{OWN}}})",
            unit="s",
            steps=((None, "green"), (60, "yellow"), (600, "red")),
        ),
        number(
            "Series left out",
            "Series that the collector left out of its metrics because of --max-series.",
            f"sum(qazcollector_series_dropped{{{OWN}}}) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
        number(
            "Bugs while judging",
            "Records of the last day that could not be judged because of a bug; please report it.",
            f"sum(increase(qazcollector_judge_errors_total{{{OWN}}}[1d])) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
        number(
            "Probes that must agree",
            "Independent, trusted probes that make an event (--quorum).",
            f"max(qazcollector_quorum{{{OWN}}})",
        ),
    ]


def _rate(metric: str, labels: str) -> str:
    return f"sum by ({labels}) (rate({metric}{{{OWN}}}[$__rate_interval]))"


def _ingest() -> list[Panel]:
    return [
        row("Ingest"),
        lines(
            "Records received",
            "Records in batches per second, by the role of the sender and the result.",
            [query(_rate("qazcollector_records_total", "role, status"), "{{role}} {{status}}")],
            unit="cps",
            none=NONE,
        ).min(0),
        lines(
            "Time to store a batch",
            "Time from a complete request to its acknowledgement: median and 99th percentile.",
            [
                query(
                    f"""histogram_quantile({share},
                    {_rate("qazcollector_ingest_seconds_bucket", "le")})""",
                    name,
                )
                for share, name in ((0.5, "median"), (0.99, "99th percentile"))
            ],
            unit="s",
            none=NONE,
        ).min(0),
        lines(
            "Measurements stored",
            "Measurements of the whole store per second, by experiment.",
            [
                query(
                    f"""sum by (experiment) (
                    rate(qazprobe_measurements_total{{{JOB}}}[$__rate_interval]))""",
                    "{{experiment}}",
                )
            ],
            unit="cps",
            none=NONE,
        ).min(0),
        lines(
            "Records judged",
            "Records judged per second, and those that wait.",
            [
                query(
                    _rate("qazcollector_judged_total", "instance"), "judged a second {{instance}}"
                ),
                query(
                    f"max by (instance) (qazcollector_backlog_records{{{OWN}}})",
                    "waiting {{instance}}",
                ),
            ],
        ).min(0),
    ]


def _refusals() -> list[Panel]:
    return [
        row("Requests and refusals"),
        lines(
            "Requests",
            "Requests to the collector per second, by route and status code.",
            [query(_rate("qazcollector_requests_total", "route, code"), "{{route}} {{code}}")],
            unit="reqps",
        ).min(0),
        lines(
            "Refused",
            "Requests and records that the collector refused per second, by reason.",
            [query(_rate("qazcollector_rejected_total", "reason"), "{{reason}}")],
            unit="cps",
            none=NONE,
        ).min(0),
        table(
            "Refused in a day",
            "Requests and records that the collector refused within a day, by reason.",
            [instant(f"sum by (reason) (increase(qazcollector_rejected_total{{{OWN}}}[1d])) > 0")],
            columns={"reason": "Reason", "Value": "Refused"},
            size=HALF,
        ),
        lines(
            "Connections",
            "Open connections of the public address.",
            [query(f"max by (instance) (qazcollector_connections{{{OWN}}})", "{{instance}}")],
        ).min(0),
    ]


def _store() -> list[Panel]:
    elsewhere = "PostgreSQL has metrics of its own"
    return [
        row("Store, disk, memory"),
        number(
            "Size of the store",
            "Size of the store's files.",
            f"sum(qazcollector_store_bytes{{{OWN}}})",
            unit="bytes",
            size=(6, 8),
            none=elsewhere,
        ),
        number(
            "Room on the disk",
            "Room left on the file system of the store. A full disk refuses every batch.",
            f"min(qazcollector_disk_free_bytes{{{OWN}}})",
            unit="bytes",
            size=(6, 8),
            steps=((None, "red"), (1e9, "yellow"), (1e10, "green")),
            none=elsewhere,
        ),
        lines(
            "Growth of the store",
            "Size of the store's files over time.",
            [query(f"max by (instance) (qazcollector_store_bytes{{{OWN}}})", "{{instance}}")],
            unit="bytes",
            none=elsewhere,
        ).min(0),
    ]


def _resources() -> list[Panel]:
    return [
        lines(
            "Memory",
            "Memory of the process, and what requests hold of the 256 MB that they may.",
            [
                query(
                    f"max by (instance) (process_resident_memory_bytes{{{OWN}}})",
                    "process {{instance}}",
                ),
                query(f"max by (instance) (qazcollector_held_bytes{{{OWN}}})", "held {{instance}}"),
            ],
            unit="bytes",
        ).min(0),
        lines(
            "Series",
            "Series of the large families in the last answer, and the limit (--max-series).",
            [
                query(f"max by (instance) (qazcollector_series{{{OWN}}})", "series {{instance}}"),
                query(
                    f"max by (instance) (qazcollector_series_limit{{{OWN}}})", "limit {{instance}}"
                ),
            ],
        ).min(0),
        lines(
            "Time for a snapshot",
            "How long the last reading of the store for the metrics took.",
            [query(f"max by (instance) (qazcollector_snapshot_seconds{{{OWN}}})", "{{instance}}")],
            unit="s",
        ).min(0),
        lines(
            "Who exports the store's families",
            "1 for the collector that holds the lease. Of collectors that share a store exactly "
            "one should; none for more than a minute means that all of them fail to write.",
            [query(f"max by (instance) (qazcollector_lease_held{{{OWN}}})", "{{instance}}")],
        )
        .min(0)
        .max(1)
        .decimals(0),
        table(
            "Versions",
            "What each collector runs.",
            [
                instant(
                    f"max by (instance, version, python, store) (qazcollector_build_info{{{OWN}}})"
                )
            ],
            columns={
                "instance": "Instance",
                "version": "Version",
                "python": "Python",
                "store": "Store",
                "Value": "Processes",
            },
            size=HALF,
            none="No collector answers",
        ),
    ]


def build() -> Dashboard:
    """The dashboard."""
    series = "qazcollector_build_info"
    return board.dashboard(
        UID,
        "What the collector takes in, refuses, stores and holds.",
        variables=[
            board.job(series),
            board.label("instance", "Instance", f'{series}{{job=~"$job"}}'),
        ],
        panels=[*_summary(), *_ingest(), *_refusals(), *_store(), *_resources()],
        page="/",
        scope=JOB,
    )
