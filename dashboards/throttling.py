"""Throttling: the rate of each site against its reference, on each network.

Rule: nothing is averaged over sites. One throttled site among many fast ones would disappear.
"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, event_panels, marks
from dashboards.board import SCOPE, Panel
from dashboards.panels import (
    GOOD_IF_NONE,
    SPEED,
    bars,
    instant,
    lines,
    number,
    percent_of_speed,
    query,
    row,
    table,
)

UID = "qazprobe-throttling"
_SITES = f'{SCOPE}, target=~"$target"'
RATIO = f"max by (target, country, asn) (qazprobe_throttle_ratio{{{_SITES}}})"
_EVENTS = f'{SCOPE}, kind="throttling"'
_SERIES = "{{target}} {{country}} {{asn}}"
_WIDE = (6, 4)
# A site is measured a few times a day, and there may be a line for each site and network.
_POINTS = 300
_NO_SPEEDS = "No speeds measured in this time"


def _rate(arm: str) -> str:
    return f"""max by (target, country, asn)
    (qazprobe_throughput_bytes_per_second{{{_SITES}, arm="{arm}"}})"""


def _summary() -> list[Panel]:
    return [
        number(
            "Sites measured",
            "Sites whose speed was measured against a reference within a day.",
            f"count(count by (target) ({RATIO})) or vector(0)",
            size=_WIDE,
        ),
        number(
            "Slow sites",
            "Sites that got less than 70 % of their reference's rate on at least one network.",
            f"count(count by (target) ({RATIO} < 0.7)) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
        number(
            "Slowest site",
            "The lowest rate of a site divided by that of its reference, on any network.",
            f"min({RATIO})",
            unit="percentunit",
            size=_WIDE,
            steps=SPEED,
            none=_NO_SPEEDS,
        ),
        number(
            "Events under way",
            "Confirmed events of throttling that are under way now.",
            f"sum({marks.under_way(_EVENTS)}) or vector(0)",
            size=_WIDE,
            steps=GOOD_IF_NONE,
        ),
    ]


def _present() -> list[Panel]:
    rates = table(
        "Sites against their reference",
        "Median rates with the site's name and with a harmless one, at the same server, and the "
        "ratio of both: only the name differs.",
        [instant(_rate("target")), instant(_rate("reference")), instant(RATIO)],
        columns={
            "target": "Site",
            "asn": "Network",
            "Value #A": "Site's rate",
            "Value #B": "Reference's rate",
            "Value #C": "Ratio",
            "country": "Country",
        },
        unit="Bps",
        none=_NO_SPEEDS,
    )
    return [
        row("Now"),
        percent_of_speed(rates, "Ratio"),
        bars(
            "Slowest",
            "The twenty sites and networks with the lowest ratio.",
            f"bottomk(20, {RATIO})",
            _SERIES,
            unit="percentunit",
            steps=SPEED,
            none=_NO_SPEEDS,
        ),
        table(
            "Throttled by a quorum",
            "Where enough independent, trusted probes agree (--quorum), at present.",
            [
                instant(
                    f"""max by (target, country, asn)
                    (qazprobe_target_quorum{{{_SITES}, kind="throttling"}}) > 0"""
                )
            ],
            columns={"target": "Site", "country": "Country", "asn": "Network", "Value": "Quorum"},
            size=(12, 12),
            none="None: too few probes agree",
        ),
    ]


def _over_time() -> list[Panel]:
    return [
        row("Over time"),
        lines(
            "Throttle ratio",
            "Rate with each site's name divided by the rate with its reference: 100% is the same "
            "speed.",
            [query(RATIO, _SERIES)],
            unit="percentunit",
            none=_NO_SPEEDS,
        )
        .min(0)
        .max_data_points(_POINTS),
        lines(
            "Rates",
            "Median rate with each site's name, and with the reference's. A slow line slows both.",
            [
                query(_rate("target"), _SERIES),
                query(_rate("reference"), f"reference for {_SERIES}"),
            ],
            unit="Bps",
            none=_NO_SPEEDS,
        )
        .min(0)
        .max_data_points(_POINTS),
        event_panels.under_way("Events", "of throttling were under way on each network", _EVENTS),
        event_panels.begun_and_ended(
            "Events that began and ended",
            "Events of throttling",
            _EVENTS,
            "country, asn",
            ("began {{asn}}", "ended {{asn}}"),
        ),
        event_panels.so_far("Events so far", "events of throttling", _EVENTS, half=True),
    ]


def build() -> Dashboard:
    """The dashboard."""
    series = 'qazprobe_throttle_ratio{job=~"$job", country=~"$country", asn=~"$asn"}'
    return board.dashboard(
        UID,
        "The rate of each site against its reference, on each network; never averaged over sites.",
        variables=[board.job(), *board.places(), board.label("target", "Site", series)],
        panels=[*_summary(), *_present(), *_over_time()],
        page="/events?kind=throttling",
        since="now-14d",
    )
