"""Site: outcomes, mechanisms, certificates and speed of one site, on each network."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board
from dashboards.board import SCOPE, Panel
from dashboards.names import OUTCOME_COLOURS
from dashboards.panels import (
    CONCLUSIVE,
    ENOUGH_PROBES,
    GOOD_IF_NONE,
    HALF,
    INTERFERENCE,
    NO_DATA,
    NONE,
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

UID = "qazprobe-site"
SITE = f'{SCOPE}, target="$target"'
_WIDE = (6, 4)
_NETWORK = "{{country}} {{asn}}"


def _summary() -> list[Panel]:
    return [
        number(
            "Interference",
            "(blocked + intercepted + throttled) / (those + ok + refused), over the chosen "
            "networks.",
            f"""(sum(qazprobe_target_outcome{{{SITE}, {INTERFERENCE}}}) or vector(0))
            / sum(qazprobe_target_outcome{{{SITE}, {CONCLUSIVE}}})""",
            unit="percentunit",
            size=_WIDE,
            steps=SHARE,
        ),
        number(
            "Probes that judged it",
            "Probes whose newest verdict on this site is not inconclusive. Fewer than three are a "
            "hint, not a finding.",
            f'sum(qazprobe_target_outcome{{{SITE}, outcome!="inconclusive"}}) or vector(0)',
            size=_WIDE,
            steps=ENOUGH_PROBES,
        ),
        number(
            "Networks that interfere",
            "Networks on which at least half of the conclusive verdicts are interference.",
            f"count(qazprobe_target_interference_ratio{{{SITE}}} >= 0.5) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Forged certificates",
            "Probes that were served a forged certificate for this site.",
            f"sum(qazprobe_tls_interception{{{SITE}}}) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
    ]


def _outcomes() -> list[Panel]:
    outcomes = lines(
        "Outcomes",
        "Newest verdicts of the probes on the chosen networks, by outcome.",
        [query(f"sum by (outcome) (qazprobe_target_outcome{{{SITE}}})", "{{outcome}}")],
        stacked=True,
    )
    return [
        row("What probes found"),
        fixed_colours(outcomes, OUTCOME_COLOURS),
        shares(
            "Interference by network",
            "Share of the conclusive verdicts that are interference with this site, on each "
            "network.",
            [query(f"qazprobe_target_interference_ratio{{{SITE}}}", _NETWORK)],
        ),
        table(
            "Networks",
            "Number of probes by outcome on each network, at present.",
            [instant(f"sum by (country, asn, outcome) (qazprobe_target_outcome{{{SITE}}}) > 0")],
            columns={
                "country": "Country",
                "asn": "Network",
                "outcome": "Outcome",
                "Value": "Probes",
            },
            size=HALF,
            none=NO_DATA,
        ),
        table(
            "Quorums",
            "Where enough independent, trusted probes agree (--quorum) that the site is blocked, "
            "intercepted or throttled, at present.",
            [instant(f"max by (country, asn, kind) (qazprobe_target_quorum{{{SITE}}}) > 0")],
            columns={"country": "Country", "asn": "Network", "kind": "Kind", "Value": "Quorum"},
            size=HALF,
            none="None: too few probes agree",
        ),
    ]


def _mechanisms() -> list[Panel]:
    return [
        row("How it is done"),
        lines(
            "Mechanisms",
            "Probes by mechanism of their verdict; one verdict may name several.",
            [
                query(
                    f"sum by (mechanism, asn) (qazprobe_target_mechanism{{{SITE}}})",
                    "{{mechanism}} {{asn}}",
                )
            ],
            none=NONE,
            stacked=True,
        ),
        lines(
            "Interception by authority",
            "Probes that were served a certificate of each authority in place of the site's.",
            [
                query(
                    f"sum by (authority, asn) (qazprobe_tls_interception{{{SITE}}})",
                    "{{authority}} {{asn}}",
                )
            ],
            none=NONE,
        ),
    ]


def _speed() -> list[Panel]:
    return [
        row("Speed"),
        lines(
            "Throughput: site against reference",
            "Median rate with the site's name and with a harmless name, at the same server.",
            [
                query(
                    f"max by (arm, country, asn) (qazprobe_throughput_bytes_per_second{{{SITE}}})",
                    "{{arm}} {{country}} {{asn}}",
                )
            ],
            unit="Bps",
        ).min(0),
        lines(
            "Throttle ratio",
            "Rate with the site's name divided by the rate with the reference: 100% is not "
            "throttled, 10% is extreme.",
            [
                query(
                    f"max by (country, asn) (qazprobe_throttle_ratio{{{SITE}}})",
                    _NETWORK,
                )
            ],
            unit="percentunit",
        ).min(0),
    ]


def _strangers() -> list[Panel]:
    return [
        row("Not counted"),
        bars(
            "Keys that are not trusted yet",
            "Verdicts of keys without a voucher and without a record of their own. They count "
            "nowhere else.",
            f"sum by (outcome) (qazprobe_stranger_outcome{{{SITE}}})",
            "{{outcome}}",
            unit="short",
            steps=((None, "blue"),),
            none=NONE,
        ),
    ]


def build() -> Dashboard:
    """The dashboard."""
    series = 'qazprobe_target_outcome{job=~"$job", target!="unlisted"}'
    return board.dashboard(
        UID,
        "Interference with one listed site, by network.",
        variables=[
            board.job("qazprobe_target_outcome"),
            board.label("target", "Site", series, many=False),
            *board.places("qazprobe_target_outcome", 'job=~"$job", target="$target"'),
        ],
        panels=[*_summary(), *_outcomes(), *_mechanisms(), *_speed(), *_strangers()],
        page="/site/${target}",
        since="now-14d",
    )
