"""One target: outcomes and mechanisms on each network, and its throughput."""

from dashboards import events
from dashboards.panels import (
    CONCLUSIVE,
    INTERFERENCE,
    OUTCOME_COLOURS,
    Json,
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

UID = "qazprobe-target"
NETWORKS = 'job=~"$job", country=~"$country", asn=~"$asn"'
TARGET = f'{NETWORKS}, target="$target"'


def _summary() -> list[Json]:
    return [
        number(
            "Interference",
            "(blocked + intercepted + throttled) / (those + ok + refused), over the chosen "
            "networks.",
            [
                query(
                    f"""(sum(qazprobe_target_outcome{{{TARGET}, {INTERFERENCE}}}) or vector(0))
                    / sum(qazprobe_target_outcome{{{TARGET}, {CONCLUSIVE}}})""",
                    "interference",
                )
            ],
            unit="percentunit",
            size=(6, 4),
            thresholds=thresholds((None, "green"), (0.1, "yellow"), (0.5, "red")),
            min=0,
            max=1,
        ),
        number(
            "Probes that judged it",
            "Probes whose newest verdict on this target is not inconclusive. "
            "Fewer than three are a hint, not a finding.",
            [
                query(
                    f"""sum(qazprobe_target_outcome{{{TARGET}, outcome!="inconclusive"}})
                    or vector(0)""",
                    "probes",
                )
            ],
            unit="short",
            size=(6, 4),
            thresholds=thresholds((None, "red"), (1, "yellow"), (3, "green")),
        ),
        number(
            "Networks that interfere",
            "Networks on which at least half of the conclusive verdicts are interference.",
            [
                query(
                    f"count(qazprobe_target_interference_ratio{{{TARGET}}} >= 0.5) or vector(0)",
                    "networks",
                )
            ],
            unit="short",
            size=(6, 4),
            thresholds=thresholds((None, "green"), (1, "red")),
        ),
        number(
            "Forged certificates",
            "Probes that were served a forged certificate for this target.",
            [query(f"sum(qazprobe_tls_interception{{{TARGET}}}) or vector(0)", "probes")],
            unit="short",
            size=(6, 4),
            thresholds=thresholds((None, "green"), (1, "red")),
        ),
    ]


def _outcomes() -> list[Json]:
    return [
        row("Outcomes"),
        coloured(
            lines(
                "Outcomes over time",
                "Newest verdicts of the probes on the chosen networks.",
                [query(f"sum by (outcome) (qazprobe_target_outcome{{{TARGET}}})", "{{outcome}}")],
                unit="short",
                stacked=True,
            ),
            OUTCOME_COLOURS,
        ),
        lines(
            "Interference by network",
            "Interference ratio of this target on each network.",
            [query(f"qazprobe_target_interference_ratio{{{TARGET}}}", "{{country}} {{asn}}")],
            unit="percentunit",
            min=0,
            max=1,
        ),
        table(
            "Networks",
            "Number of probes by outcome on each network, at present.",
            [
                query(
                    f"sum by (country, asn, outcome) (qazprobe_target_outcome{{{TARGET}}}) > 0",
                    table=True,
                )
            ],
            columns={
                "country": "Country",
                "asn": "Network",
                "outcome": "Outcome",
                "Value": "Probes",
            },
            unit="short",
        ),
    ]


def _mechanisms() -> list[Json]:
    return [
        lines(
            "Mechanisms",
            "Probes by mechanism of their verdict; one verdict may name several.",
            [
                query(
                    f"sum by (mechanism, asn) (qazprobe_target_mechanism{{{TARGET}}})",
                    "{{mechanism}} {{asn}}",
                )
            ],
            unit="short",
            stacked=True,
        ),
        lines(
            "Interception by authority",
            "Probes that were served a certificate of each interception authority.",
            [
                query(
                    f"sum by (authority, asn) (qazprobe_tls_interception{{{TARGET}}})",
                    "{{authority}} {{asn}}",
                )
            ],
            unit="short",
            size=(24, 8),
        ),
    ]


def _throughput() -> list[Json]:
    return [
        row("Throughput"),
        lines(
            "Throughput: target against reference",
            "Median rate with the target's name and with a harmless name, at the same server.",
            [
                query(
                    f"avg by (arm, asn) (qazprobe_throughput_bytes_per_second{{{TARGET}}})",
                    "{{arm}} {{asn}}",
                )
            ],
            unit="Bps",
            min=0,
        ),
        lines(
            "Throttle ratio",
            "Rate with the target's name divided by the rate with the reference: 1 is not "
            "throttled, 0.1 is extreme.",
            [query(f"qazprobe_throttle_ratio{{{TARGET}}}", "{{country}} {{asn}}")],
            unit="percentunit",
            min=0,
        ),
    ]


def build() -> Json:
    """The dashboard."""
    return dashboard(
        UID,
        "Qazprobe: one target",
        "Interference with one listed target, by network.",
        variables=[
            label_variable("job", "Job", "qazprobe_target_outcome"),
            label_variable("target", "Target", 'qazprobe_target_outcome{job=~"$job"}', many=False),
            label_variable(
                "country", "Country", 'qazprobe_target_outcome{job=~"$job", target="$target"}'
            ),
            label_variable(
                "asn",
                "Network",
                'qazprobe_target_outcome{job=~"$job", target="$target", country=~"$country"}',
            ),
        ],
        panels=[*_summary(), *_outcomes(), *_mechanisms(), *_throughput()],
        links=[link("Overview", "qazprobe-overview")],
        annotations=events.annotations(NETWORKS),
    )
