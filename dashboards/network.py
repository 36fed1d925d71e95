"""Network: what one network does to the sites on the lists, its probes, cuts and speed."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, event_panels, marks
from dashboards.board import Panel
from dashboards.names import OUTCOME_COLOURS
from dashboards.panels import (
    AUTHORITIES,
    CONCLUSIVE,
    ENOUGH_PROBES,
    GOOD_IF_NONE,
    HALF,
    INTERFERENCE,
    MECHANISMS,
    NONE,
    OUTCOMES,
    SHARE,
    bars,
    fixed_colours,
    instant,
    lines,
    number,
    query,
    row,
    shares,
    table,
)

UID = "qazprobe-network"
# One network has one ASN, and may be in several countries.
NETWORK = 'job=~"$job", asn="$asn"'
_LISTED = f'qazprobe_target_outcome{{{NETWORK}, target!="unlisted"'
_WIDE = (6, 4)


def _summary() -> list[Panel]:
    return [
        number(
            "Probes heard",
            "Probes of this network whose heartbeat came within 15 minutes.",
            f"sum(max by (country) (qazprobe_probes_heard{{{NETWORK}}})) or vector(0)",
            size=_WIDE,
            steps=ENOUGH_PROBES,
        ),
        number(
            "Probes active",
            "Probes of this network that sent records or heartbeats within a day.",
            f"sum(qazprobe_probes_active{{{NETWORK}}}) or vector(0)",
            size=_WIDE,
            steps=ENOUGH_PROBES,
        ),
        number(
            "Sites interfered with",
            "Listed sites for which at least half of the conclusive verdicts on this network are "
            "blocked, intercepted or throttled.",
            f"""count(qazprobe_target_interference_ratio{{{NETWORK}, target!="unlisted"}} >= 0.5)
            or vector(0)""",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Events under way",
            "Confirmed events on this network that are under way now.",
            f"sum({marks.under_way(NETWORK)}) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
    ]


def _sites() -> list[Panel]:
    return [
        row("Sites"),
        table(
            "Interfered with now",
            "Listed sites that probes of this network found blocked, intercepted or throttled.",
            [instant(f"sum by (target, category, outcome) ({_LISTED}, {INTERFERENCE}}}) > 0")],
            columns={
                "target": "Site",
                "category": "Category",
                "outcome": "Outcome",
                "Value": "Probes",
            },
            size=(12, 12),
        ),
        bars(
            "Interference by category",
            "Share of the conclusive verdicts on this network that are interference, for each "
            "category of site.",
            f"""(sum by (category) ({_LISTED}, {INTERFERENCE}}})
            or 0 * sum by (category) ({_LISTED}, {CONCLUSIVE}}}))
            / sum by (category) ({_LISTED}, {CONCLUSIVE}}})""",
            "{{category}}",
            unit="percentunit",
            steps=SHARE,
        ),
    ]


def _over_time() -> list[Panel]:
    outcomes = lines(
        "Outcomes",
        "Newest verdicts of the probes of this network, by outcome. One probe counts once for "
        "each target.",
        [query(f"sum by (outcome) ({OUTCOMES}{{{NETWORK}}})", "{{outcome}}")],
        stacked=True,
    )
    return [
        row("Over time"),
        fixed_colours(outcomes, OUTCOME_COLOURS),
        lines(
            "Mechanisms",
            "Probe and target pairs of this network by mechanism; one verdict may name several.",
            [
                query(
                    f"sum by (mechanism) ({MECHANISMS}{{{NETWORK}}})",
                    "{{mechanism}}",
                )
            ],
            none=NONE,
            stacked=True,
        ),
        event_panels.under_way(
            "Events", "of each kind were under way on this network", NETWORK, "{{kind}} {{country}}"
        ),
        lines(
            "Interception by authority",
            "Probe and target pairs that were served a certificate of each authority.",
            [
                query(
                    f"sum by (authority) ({AUTHORITIES}{{{NETWORK}}})",
                    "{{authority}}",
                )
            ],
            none=NONE,
        ),
    ]


def _line() -> list[Panel]:
    return [
        row("The line"),
        lines(
            "Probes heard",
            "Probes of this network whose heartbeat came within 15 minutes. Here a cut shows while "
            "it lasts.",
            [query(f"max by (country) (qazprobe_probes_heard{{{NETWORK}}})", "{{country}}")],
        ).min(0),
        shares(
            "Reachability, domestic and foreign",
            "Share of anchors that answer, in the country and outside it. Left out while no probe "
            "is heard.",
            [
                query(
                    f"""max by (country, class) (qazprobe_connectivity_ratio{{{NETWORK}}}
                    unless on (country, asn) (qazprobe_probes_heard{{{NETWORK}}} == 0))""",
                    "{{country}} {{class}} anchors",
                )
            ],
        ),
        table(
            "Throttle ratio by site",
            "Rate with a site's name divided by the rate with a reference: 100% is the same speed.",
            [
                instant(
                    f"max by (target, country) (qazprobe_throttle_ratio{{{NETWORK}}})",
                )
            ],
            columns={"target": "Site", "country": "Country", "Value": "Ratio"},
            unit="percentunit",
            size=HALF,
            none="No speeds measured in this time",
        ),
        lines(
            "Handshake time, 90th percentile",
            "Duration of connections and TLS handshakes on the lines of this network.",
            [
                query(
                    f"""histogram_quantile(0.9, sum by (op, le) (
                    rate(qazprobe_handshake_seconds_bucket{{{NETWORK}}}[$__rate_interval])))""",
                    "{{op}}",
                )
            ],
            unit="s",
        ).min(0),
    ]


def build() -> Dashboard:
    """The dashboard."""
    return board.dashboard(
        UID,
        "What one network does to the sites on the lists, and whether its line works.",
        variables=[
            board.job(),
            board.label("asn", "Network", 'qazprobe_probes_active{job=~"$job"}', many=False),
        ],
        panels=[*_summary(), *_sites(), *_over_time(), *_line()],
        page="/network/${asn}",
        since="now-14d",
        scope=NETWORK,
    )
