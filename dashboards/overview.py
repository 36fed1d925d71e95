"""The overview: interference with all targets, and the health of the measurements."""

from dashboards import events
from dashboards.panels import (
    CONCLUSIVE,
    INTERFERENCE,
    OUTCOME_COLOURS,
    Json,
    bars,
    coloured,
    dashboard,
    label_variable,
    lines,
    link,
    number,
    query,
    row,
    table,
    thresholds,
)

UID = "qazprobe-overview"
SCOPE = 'job=~"$job", country=~"$country", asn=~"$asn"'
JOB = 'job=~"$job"'
RATIO = thresholds((None, "green"), (0.1, "yellow"), (0.5, "red"))
ANY_IS_BAD = thresholds((None, "green"), (1, "red"))


def _summary() -> list[Json]:
    return [
        number(
            "Probes active",
            "Probes that sent records or heartbeats within a day, on the chosen networks. A cut "
            "shows in the probes heard, below.",
            [query(f"sum(qazprobe_probes_active{{{SCOPE}}})", "probes")],
            unit="short",
            thresholds=thresholds((None, "red"), (1, "yellow"), (3, "green")),
        ),
        number(
            "Targets with a verdict",
            "Listed targets with a verdict of at least one probe in the window, of any outcome.",
            [
                query(
                    f"count(count by (target) (qazprobe_target_outcome{{{SCOPE}}} > 0))",
                    "targets",
                )
            ],
            unit="short",
        ),
        number(
            "Targets interfered with",
            "Listed targets for which at least half of the conclusive verdicts are blocked, "
            "intercepted or throttled.",
            [
                query(
                    f"""count(
                      sum by (target) (qazprobe_target_outcome{{{SCOPE}, {INTERFERENCE}}})
                      / sum by (target) (qazprobe_target_outcome{{{SCOPE}, {CONCLUSIVE}}}) >= 0.5
                    ) or vector(0)""",
                    "targets",
                )
            ],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
    ]


def _interference() -> list[Json]:
    return [
        number(
            "Interference",
            "(blocked + intercepted + throttled) / (those + ok + refused), over all chosen "
            "probes and targets. Verdicts of down and inconclusive do not count.",
            [
                query(
                    f"""(sum(qazprobe_target_outcome{{{SCOPE}, {INTERFERENCE}}}) or vector(0))
                    / sum(qazprobe_target_outcome{{{SCOPE}, {CONCLUSIVE}}})""",
                    "interference",
                )
            ],
            unit="percentunit",
            thresholds=RATIO,
            min=0,
            max=1,
        ),
        number(
            "Interception",
            "Probe and target pairs that were served a forged certificate of a known or repeated "
            "authority.",
            [query(f"sum(qazprobe_tls_interception{{{SCOPE}}}) or vector(0)", "pairs")],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
        number(
            "Events",
            "Confirmed events (shutdown, whitelist, interception, throttling, blocking) that are "
            "under way now.",
            [query(f"sum(qazprobe_event_active{{{SCOPE}}}) or vector(0)", "events")],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
    ]


def _outcomes() -> list[Json]:
    return [
        row("Outcomes of the targets"),
        coloured(
            lines(
                "Outcomes over time",
                "Newest verdicts of all probes on the chosen networks, by outcome. One probe "
                "counts once for each target.",
                [query(f"sum by (outcome) (qazprobe_target_outcome{{{SCOPE}}})", "{{outcome}}")],
                unit="short",
                stacked=True,
            ),
            OUTCOME_COLOURS,
        ),
        lines(
            "Interference by network",
            "Interference ratio over all listed targets, for each network.",
            [
                query(
                    f"""(sum by (country, asn) (qazprobe_target_outcome{{{SCOPE}, {INTERFERENCE}}})
                    or 0 * sum by (country, asn) (qazprobe_target_outcome{{{SCOPE}, {CONCLUSIVE}}}))
                    / sum by (country, asn) (qazprobe_target_outcome{{{SCOPE}, {CONCLUSIVE}}})""",
                    "{{country}} {{asn}}",
                )
            ],
            unit="percentunit",
            min=0,
            max=1,
        ),
    ]


def _outcomes_by_target() -> list[Json]:
    return [
        bars(
            "Most interfered with",
            "The twenty listed targets with the highest interference ratio, averaged over the "
            "chosen networks.",
            [
                query(
                    f"""topk(20, avg by (target) (
                      qazprobe_target_interference_ratio{{{SCOPE}}}))""",
                    "{{target}}",
                )
            ],
            unit="percentunit",
            size=(12, 12),
            thresholds=RATIO,
            min=0,
            max=1,
        ),
        table(
            "Outcomes by target and network",
            "Number of probes by outcome for each target, at present.",
            [
                query(
                    f"""sum by (target, category, country, asn, outcome) (
                      qazprobe_target_outcome{{{SCOPE}}}) > 0""",
                    table=True,
                )
            ],
            columns={
                "target": "Target",
                "category": "Category",
                "country": "Country",
                "asn": "Network",
                "outcome": "Outcome",
                "Value": "Probes",
            },
            unit="short",
            size=(12, 12),
        ),
    ]


def _mechanisms() -> list[Json]:
    return [
        row("Mechanisms of interference"),
        lines(
            "Mechanisms",
            "Probe and target pairs by mechanism; one verdict may name several.",
            [query(f"sum by (mechanism) (qazprobe_target_mechanism{{{SCOPE}}})", "{{mechanism}}")],
            unit="short",
            stacked=True,
        ),
        lines(
            "Interception by authority",
            "Probe and target pairs that were served a certificate of each interception authority.",
            [query(f"sum by (authority) (qazprobe_tls_interception{{{SCOPE}}})", "{{authority}}")],
            unit="short",
        ),
        table(
            "Forged certificates",
            "The authorities whose certificates were served for each target and network, at "
            "present. The certificates themselves are in /v1/interceptions of the collector.",
            [
                query(
                    f"""sum by (authority, target, country, asn)
                    (qazprobe_tls_interception{{{SCOPE}}}) > 0""",
                    table=True,
                )
            ],
            columns={
                "authority": "Authority",
                "target": "Target",
                "country": "Country",
                "asn": "Network",
                "Value": "Probes",
            },
            unit="short",
        ),
    ]


def _handshakes() -> list[Json]:
    return [
        lines(
            "Handshake time, 90th percentile",
            "Duration of connections and TLS handshakes on these lines.",
            [
                query(
                    f"""histogram_quantile(0.9, sum by (op, le) (
                      rate(qazprobe_handshake_seconds_bucket{{{SCOPE}}}[$__rate_interval])))""",
                    "{{op}}",
                )
            ],
            unit="s",
            min=0,
        ),
    ]


def _health() -> list[Json]:
    return [
        row("Health of the measurements"),
        lines(
            "Probes active",
            "Probes that sent records or heartbeats within a day, by network. A slow fall means "
            "that volunteers leave; a cut shows only in the probes heard, above.",
            [
                query(
                    f"sum by (country, asn) (qazprobe_probes_active{{{SCOPE}}})",
                    "{{country}} {{asn}}",
                )
            ],
            unit="short",
            stacked=True,
        ),
        lines(
            "Measurements stored",
            "Measurements stored per second, by experiment.",
            [
                query(
                    f"""sum by (experiment) (
                      rate(qazprobe_measurements_total{{{SCOPE}}}[$__rate_interval]))""",
                    "{{experiment}}",
                )
            ],
            unit="cps",
            min=0,
        ),
        lines(
            "Requests",
            "Requests to the collector per second, by route and status code.",
            [
                query(
                    f"""sum by (route, code) (
                      rate(qazcollector_requests_total{{{JOB}}}[$__rate_interval]))""",
                    "{{route}} {{code}}",
                )
            ],
            unit="reqps",
            min=0,
        ),
        lines(
            "Records refused",
            "Records and batches the collector refused per second, by reason.",
            [
                query(
                    f"""sum by (reason) (
                      rate(qazcollector_rejected_total{{{JOB}}}[$__rate_interval]))""",
                    "{{reason}}",
                )
            ],
            unit="cps",
            min=0,
        ),
    ]


def _collector_health() -> list[Json]:
    return [
        lines(
            "Time to store a batch",
            "Time from a complete request to its acknowledgement: median and 99th percentile.",
            [
                query(
                    f"""histogram_quantile({share}, sum by (le) (
                      rate(qazcollector_ingest_seconds_bucket{{{JOB}}}[$__rate_interval])))""",
                    name,
                )
                for share, name in ((0.5, "median"), (0.99, "99th percentile"))
            ],
            unit="s",
            min=0,
        ),
        number(
            "Collectors up",
            "Collectors that answer Prometheus.",
            [query(f"sum(up{{{JOB}}})", "collectors")],
            unit="short",
            size=(4, 8),
            thresholds=thresholds((None, "red"), (1, "green")),
        ),
        number(
            "Series left out",
            "Series that the collector left out of its metrics because of --max-series.",
            [query(f"sum(qazcollector_series_dropped{{{JOB}}})", "series")],
            unit="short",
            size=(4, 8),
            thresholds=ANY_IS_BAD,
        ),
        number(
            "Bugs while judging",
            "Records of the last day that could not be judged because of a bug; please report it.",
            [query(f"sum(increase(qazcollector_judge_errors_total{{{JOB}}}[1d]))", "records")],
            unit="short",
            size=(4, 8),
            thresholds=ANY_IS_BAD,
        ),
    ]


def build() -> Json:
    """The dashboard."""
    return dashboard(
        UID,
        "Qazprobe: overview",
        "What networks block, intercept or throttle, by which mechanisms, and whether enough "
        "probes measure.",
        variables=[
            label_variable("job", "Job", "qazcollector_requests_total"),
            label_variable("country", "Country", 'qazprobe_probes_active{job=~"$job"}'),
            label_variable(
                "asn", "Network", 'qazprobe_probes_active{job=~"$job", country=~"$country"}'
            ),
        ],
        panels=[
            *_summary(),
            *_interference(),
            *events.panels(SCOPE),
            *_outcomes(),
            *_outcomes_by_target(),
            *_mechanisms(),
            *_handshakes(),
            *_health(),
            *_collector_health(),
        ],
        links=[link("One target", "qazprobe-target")],
        annotations=events.annotations(SCOPE),
    )
