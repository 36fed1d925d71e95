"""Interception: which authorities' certificates were served in place of the sites' own."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, event_panels, marks
from dashboards.board import SCOPE, Panel
from dashboards.panels import (
    AUTHORITIES,
    GOOD_IF_NONE,
    HALF,
    NONE,
    bars,
    instant,
    lines,
    number,
    query,
    row,
    table,
)

UID = "qazprobe-interception"
_AUTHORITY = 'authority=~"$authority"'
FORGED = f"qazprobe_tls_interception{{{SCOPE}, {_AUTHORITY}}}"
_SUMS = f"{AUTHORITIES}{{{SCOPE}, {_AUTHORITY}}}"
_EVENTS = f'{SCOPE}, kind="interception"'
_WIDE = (6, 4)


def _count(labels: str) -> str:
    return f"count(count by ({labels}) ({FORGED} > 0)) or vector(0)"


def _summary() -> list[Panel]:
    return [
        number(
            "Authorities",
            "Authorities, roots and intermediates, whose certificates were served within a day.",
            _count("authority"),
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Sites",
            "Sites in whose place a certificate of these authorities was served within a day.",
            _count("target"),
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Networks",
            "Networks on which a certificate of these authorities was served within a day.",
            _count("country, asn"),
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Events under way",
            "Confirmed events of interception that are under way now.",
            f"sum({marks.under_way(_EVENTS)}) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
    ]


def _present() -> list[Panel]:
    return [
        row("Now"),
        table(
            "Forged certificates",
            "Probes that were served a certificate of each authority, by site and network. The "
            "collector's page has the certificates, their intermediates, serial numbers and PEM.",
            [instant(f"sum by (authority, target, country, asn) ({FORGED}) > 0")],
            columns={
                "authority": "Authority",
                "target": "Site",
                "asn": "Network",
                "country": "Country",
                "Value": "Probes",
            },
        ),
        bars(
            "Sites by authority",
            "How many sites each authority's certificates stand in for.",
            f"count by (authority) (count by (authority, target) ({FORGED} > 0))",
            "{{authority}}",
            unit="short",
            steps=GOOD_IF_NONE,
            none=NONE,
        ),
        bars(
            "Sites by network",
            "How many sites are intercepted on each network.",
            f"count by (country, asn) (count by (country, asn, target) ({FORGED} > 0))",
            "{{country}} {{asn}}",
            unit="short",
            steps=GOOD_IF_NONE,
            none=NONE,
        ),
    ]


def _over_time() -> list[Panel]:
    return [
        row("Over time"),
        lines(
            "Interception by authority",
            "Probe and site pairs that were served a certificate of each authority.",
            [query(f"sum by (authority) ({_SUMS})", "{{authority}}")],
            none=NONE,
        ).min(0),
        lines(
            "Interception by network",
            "Probe and site pairs that were served a forged certificate, on each network.",
            [query(f"sum by (country, asn) ({_SUMS})", "{{country}} {{asn}}")],
            none=NONE,
        ).min(0),
        event_panels.under_way("Events", "of interception were under way on each network", _EVENTS),
        event_panels.begun_and_ended(
            "Events that began and ended",
            "Events of interception",
            _EVENTS,
            "country, asn",
            ("began {{asn}}", "ended {{asn}}"),
        ),
        table(
            "Sites under interception by a quorum",
            "Where enough independent, trusted probes agree (--quorum), at present.",
            [
                instant(
                    f"""max by (target, country, asn)
                    (qazprobe_target_quorum{{{SCOPE}, kind="interception"}}) > 0"""
                )
            ],
            columns={"target": "Site", "country": "Country", "asn": "Network", "Value": "Quorum"},
            size=HALF,
            none="None: too few probes agree",
        ),
        event_panels.so_far("Events so far", "events of interception", _EVENTS, half=True),
    ]


def build() -> Dashboard:
    """The dashboard."""
    return board.dashboard(
        UID,
        "Which authorities' certificates were served in place of the sites' own, and where.",
        variables=[
            board.job(),
            *board.places(),
            board.label("authority", "Authority", 'qazprobe_tls_interception{job=~"$job"}'),
        ],
        panels=[*_summary(), *_present(), *_over_time()],
        page="/interceptions",
        since="now-14d",
    )
