"""The overview: what networks do to all targets, and whether the measuring itself is healthy."""

from dashboards.panels import (
    OUTCOME_COLOURS,
    Json,
    bars,
    coloured,
    dashboard,
    events_annotation,
    label_variable,
    lines,
    link,
    number,
    query,
    row,
    states,
    table,
    thresholds,
)

UID = "qazprobe-overview"
HERE = 'job=~"$job", country=~"$country", asn=~"$asn"'
JOB = 'job=~"$job"'
INTERFERENCE = 'outcome=~"blocked|intercepted|throttled"'
JUDGED = 'outcome=~"blocked|intercepted|throttled|ok|refused"'
RATIO = thresholds((None, "green"), (0.1, "yellow"), (0.5, "red"))
ANY_IS_BAD = thresholds((None, "green"), (1, "red"))


def _summary() -> list[Json]:
    return [
        number(
            "Probes active",
            "Probes heard from lately on the chosen networks, by records or by heartbeats.",
            [query(f"sum(qazprobe_probes_active{{{HERE}}})", "probes")],
            unit="short",
            thresholds=thresholds((None, "red"), (1, "yellow"), (3, "green")),
        ),
        number(
            "Targets with a verdict",
            "Listed targets that some probe has judged in the window, whatever the outcome.",
            [query(f"count(count by (target) (qazprobe_target_outcome{{{HERE}}} > 0))", "targets")],
            unit="short",
        ),
        number(
            "Targets interfered with",
            "Listed targets for which at least half of the probes that could judge say blocked, "
            "intercepted or throttled.",
            [
                query(
                    f"""count(
                      sum by (target) (qazprobe_target_outcome{{{HERE}, {INTERFERENCE}}})
                      / sum by (target) (qazprobe_target_outcome{{{HERE}, {JUDGED}}}) >= 0.5
                    ) or vector(0)""",
                    "targets",
                )
            ],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
        number(
            "Interference",
            "(blocked + intercepted + throttled) / (those + ok + refused), over all probes and "
            "targets chosen. Verdicts of down and inconclusive do not count on either side.",
            [
                query(
                    f"""sum(qazprobe_target_outcome{{{HERE}, {INTERFERENCE}}})
                    / sum(qazprobe_target_outcome{{{HERE}, {JUDGED}}})""",
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
            [query(f"sum(qazprobe_tls_interception{{{HERE}}}) or vector(0)", "pairs")],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
        number(
            "Events under way",
            "Networks for which an event (shutdown, whitelist, interception, throttling, "
            "blocking) is under way now.",
            [query(f"sum(qazprobe_event_active{{{HERE}}}) or vector(0)", "events")],
            unit="short",
            thresholds=ANY_IS_BAD,
        ),
    ]


def _outcomes() -> list[Json]:
    return [
        row("What happens to the targets"),
        coloured(
            lines(
                "Outcomes over time",
                "Newest verdicts of all probes on the chosen networks, by outcome. One probe "
                "counts once for each target.",
                [query(f"sum by (outcome) (qazprobe_target_outcome{{{HERE}}})", "{{outcome}}")],
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
                    f"""sum by (country, asn) (qazprobe_target_outcome{{{HERE}, {INTERFERENCE}}})
                    / sum by (country, asn) (qazprobe_target_outcome{{{HERE}, {JUDGED}}})""",
                    "{{country}} {{asn}}",
                )
            ],
            unit="percentunit",
            min=0,
            max=1,
        ),
        bars(
            "Most interfered with",
            "The twenty listed targets with the highest interference ratio, averaged over the "
            "chosen networks.",
            [
                query(
                    f"""topk(20, avg by (target) (
                      qazprobe_target_interference_ratio{{{HERE}}}))""",
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
            "How many probes say what of each target, as of now.",
            [
                query(
                    f"""sum by (target, category, country, asn, outcome) (
                      qazprobe_target_outcome{{{HERE}}}) > 0""",
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


def _how() -> list[Json]:
    return [
        row("How it is done"),
        lines(
            "Mechanisms",
            "Probe and target pairs by mechanism; one verdict may name several.",
            [query(f"sum by (mechanism) (qazprobe_target_mechanism{{{HERE}}})", "{{mechanism}}")],
            unit="short",
            stacked=True,
        ),
        lines(
            "Interception by authority",
            "Probe and target pairs that were served a certificate of each interception authority.",
            [query(f"sum by (authority) (qazprobe_tls_interception{{{HERE}}})", "{{authority}}")],
            unit="short",
        ),
        table(
            "Forged certificates",
            "Which authority's certificates came in place of whose, on which networks, as of now. "
            "The certificates themselves: /v1/interceptions at the collector.",
            [
                query(
                    f"""sum by (authority, target, country, asn)
                    (qazprobe_tls_interception{{{HERE}}}) > 0""",
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
        lines(
            "Throttle ratio",
            "Rate with a target's name divided by the rate with a reference, averaged over "
            "targets: 100% is the same speed. Only the name differs between the two.",
            [
                query(
                    f"avg by (country, asn) (qazprobe_throttle_ratio{{{HERE}}})",
                    "{{country}} {{asn}}",
                )
            ],
            unit="percentunit",
            min=0,
        ),
        states(
            "Events",
            "When each kind of event was under way on each network.",
            [query(f"qazprobe_event_active{{{HERE}}}", "{{kind}} {{country}} {{asn}}")],
            unit="bool",
            thresholds=thresholds((None, "green"), (1, "red")),
            color={"mode": "thresholds"},
        ),
        lines(
            "Reachability, domestic and foreign",
            "Share of anchors that answer, in the country and outside it. Foreign low with "
            "domestic high is a cut at the border; both low is a shutdown.",
            [
                query(
                    f"avg by (country, class) (qazprobe_connectivity_ratio{{{HERE}}})",
                    "{{country}} {{class}}",
                )
            ],
            unit="percentunit",
            min=0,
            max=1,
        ),
        lines(
            "Handshake time, 90th percentile",
            "How long connecting and TLS take on these lines.",
            [
                query(
                    f"""histogram_quantile(0.9, sum by (op, le) (
                      rate(qazprobe_handshake_seconds_bucket{{{HERE}}}[$__rate_interval])))""",
                    "{{op}}",
                )
            ],
            unit="s",
            min=0,
        ),
    ]


def _health() -> list[Json]:
    return [
        row("Is the measuring healthy?"),
        lines(
            "Probes active",
            "Probes heard from lately, by network. A sudden drop of all of them is an event, "
            "a slow one is people leaving.",
            [
                query(
                    f"sum by (country, asn) (qazprobe_probes_active{{{HERE}}})",
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
                      rate(qazprobe_measurements_total{{{HERE}}}[$__rate_interval]))""",
                    "{{experiment}}",
                )
            ],
            unit="cps",
            min=0,
        ),
        lines(
            "Requests",
            "Requests to the collector per second, by route and answer.",
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
        lines(
            "Time to store a batch",
            "From a whole request to its acknowledgement: half, and 99 in 100, take less.",
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
            "Series that the collector left out of its answer to stay below --max-series.",
            [query(f"sum(qazcollector_series_dropped{{{JOB}}})", "series")],
            unit="short",
            size=(4, 8),
            thresholds=ANY_IS_BAD,
        ),
        number(
            "Bugs while judging",
            "Records of the last day that could not be judged again: bugs of ours, please report.",
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
        "What networks block, intercept or slow; how; and whether enough probes are looking.",
        variables=[
            label_variable("job", "Job", "qazcollector_requests_total"),
            label_variable("country", "Country", 'qazprobe_probes_active{job=~"$job"}'),
            label_variable(
                "asn", "Network", 'qazprobe_probes_active{job=~"$job", country=~"$country"}'
            ),
        ],
        panels=[*_summary(), *_outcomes(), *_how(), *_health()],
        links=[link("One target", "qazprobe-target")],
        annotations=[events_annotation(HERE)],
    )
