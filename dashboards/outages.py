"""Outages: who is heard, what can be reached, and which networks have too few probes."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, event_panels, marks
from dashboards.board import SCOPE, Panel
from dashboards.panels import (
    ENOUGH_PROBES,
    GOOD_IF_NONE,
    HALF,
    instant,
    lines,
    number,
    query,
    row,
    shares,
    table,
)

UID = "qazprobe-outages"
_HEARD = f"max by (country, asn) (qazprobe_probes_heard{{{SCOPE}}})"
_USUAL = f"max by (country, asn) (max_over_time(qazprobe_probes_heard{{{SCOPE}}}[1d]))"
_CUTS = f'{SCOPE}, kind=~"shutdown|whitelist"'
_WIDE = (6, 4)
_FEW = 3


def _summary() -> list[Panel]:
    return [
        number(
            "Probes heard",
            "Probes whose heartbeat came within 15 minutes. Probes without consent to heartbeats "
            "do not count.",
            f"sum({_HEARD}) or vector(0)",
            size=_WIDE,
            steps=ENOUGH_PROBES,
        ),
        number(
            "Silent networks",
            "Networks that were heard within a day and of which no probe is heard now.",
            f"count({_HEARD} == 0) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Shutdowns under way",
            "Confirmed events of lines or of the border that are cut, under way now.",
            f"""sum({marks.under_way(f'{SCOPE}, kind="shutdown"')}) or vector(0)""",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Whitelists under way",
            "Confirmed events in which only essential sites can be reached, under way now.",
            f"""sum({marks.under_way(f'{SCOPE}, kind="whitelist"')}) or vector(0)""",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
    ]


def _heard() -> list[Panel]:
    return [
        row("Who is heard"),
        lines(
            "Probes heard, by network",
            "Probes whose heartbeat came within 15 minutes. Here a cut shows while it lasts: all "
            "probes of a network fall silent at once.",
            [query(_HEARD, "{{country}} {{asn}}")],
        )
        .min(0)
        .decimals(0),
        shares(
            "Share of the probes of the last day that are heard",
            "Probes heard now, divided by the most that were heard within a day, by country. "
            "Machines that are switched off at night lower it each night.",
            [
                query(
                    f"sum by (country) ({_HEARD}) / sum by (country) ({_USUAL})",
                    "{{country}}",
                )
            ],
        ),
        table(
            "Networks with few probes",
            "Networks on which fewer than three probes were heard at any time of the last day. No "
            "outage of theirs can be noticed by heartbeats.",
            [instant(f"{_USUAL} < {_FEW}")],
            columns={"country": "Country", "asn": "Network", "Value": "Most probes in a day"},
            size=HALF,
        ),
        table(
            "Heard now",
            "Probes whose heartbeat came within 15 minutes, by network; 0 where a network was "
            "heard within a day.",
            [instant(_HEARD)],
            columns={"country": "Country", "asn": "Network", "Value": "Probes"},
            size=HALF,
            none="No probe",
        ),
    ]


def _reached(class_: str) -> str:
    """Reachability lasts for a day after the last run: with no probe heard it says nothing."""
    ratio = f'qazprobe_connectivity_ratio{{{SCOPE}, class="{class_}"}}'
    silent = f"qazprobe_probes_heard{{{SCOPE}}} == 0"
    return f"max by (country, asn) ({ratio} unless on (country, asn) ({silent}))"


def _anchors() -> list[Panel]:
    return [
        row("What is reached"),
        shares(
            "Foreign anchors",
            "Share of anchors outside the country that answer, by network. Foreign low with "
            "domestic high is a cut at the border.",
            [query(_reached("foreign"), "{{country}} {{asn}}")],
        ),
        shares(
            "Domestic anchors",
            "Share of anchors in the country that answer, by network. A network of which no probe "
            "is heard is left out.",
            [query(_reached("domestic"), "{{country}} {{asn}}")],
        ),
    ]


def _events() -> list[Panel]:
    return [
        row("Cuts"),
        event_panels.under_way(
            "Shutdowns and whitelists",
            "of each kind were under way on each network; 0 as a network is the country as a whole",
            _CUTS,
        ),
        event_panels.begun_and_ended(
            "Cuts that began and ended",
            "Shutdowns and whitelists",
            _CUTS,
            "kind",
            ("{{kind}}", "{{kind}} ended"),
        ),
        event_panels.so_far("Cuts so far", "shutdowns and whitelists", _CUTS),
    ]


def build() -> Dashboard:
    """The dashboard."""
    return board.dashboard(
        UID,
        "Which networks are silent, what can be reached from them, and which cuts are confirmed.",
        variables=[board.job(), *board.places()],
        panels=[*_summary(), *_heard(), *_anchors(), *_events()],
        page="/outages",
        since="now-7d",
    )
