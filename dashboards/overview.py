"""Overview: what is interfered with now, what is new, and who is heard."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board, event_panels, marks
from dashboards.board import SCOPE, Panel
from dashboards.names import KIND_COLOURS, OUTCOME_COLOURS
from dashboards.panels import (
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

UID = "qazprobe-overview"
_OUTCOME = f'qazprobe_target_outcome{{{SCOPE}, target!="unlisted"'
_EVENTS = {"kind": "Kind", "country": "Country", "asn": "Network", "Value": "Events"}


def _interfered(offset: str = "") -> str:
    """The sites with interference in at least half of their conclusive verdicts."""
    return f"""sum by (target) ({_OUTCOME}, {INTERFERENCE}}}{offset})
    / sum by (target) ({_OUTCOME}, {CONCLUSIVE}}}{offset}) >= 0.5"""


def _summary() -> list[Panel]:
    return [
        number(
            "Probes heard",
            "Probes whose heartbeat came within 15 minutes. Probes without consent to heartbeats "
            "do not count.",
            f"sum(max by (country, asn) (qazprobe_probes_heard{{{SCOPE}}})) or vector(0)",
            steps=ENOUGH_PROBES,
        ),
        number(
            "Probes active",
            "Probes that sent records or heartbeats within a day, on the chosen networks.",
            f"sum(qazprobe_probes_active{{{SCOPE}}}) or vector(0)",
            steps=ENOUGH_PROBES,
        ),
        number(
            "Sites interfered with",
            "Listed sites for which at least half of the conclusive verdicts are blocked, "
            "intercepted or throttled.",
            f"count({_interfered()}) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
        number(
            "New in 24 hours",
            "Sites that are interfered with now and were not a day ago. All of them are new where "
            "nothing was measured a day ago.",
            f"count(({_interfered()}) unless ({_interfered(' offset 1d')})) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
        number(
            "Events under way",
            "Confirmed events (shutdown, whitelist, interception, throttling, blocking) that are "
            "under way now.",
            f"sum({marks.under_way(SCOPE)}) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
        number(
            "Events begun in 24 hours",
            "Events that were confirmed within a day, by the difference of their counts.",
            f"sum({marks.more(SCOPE, 'confirmed', '1d')}) or vector(0)",
            steps=GOOD_IF_NONE,
        ),
    ]


def _now() -> list[Panel]:
    return [
        row("Now"),
        table(
            "Interfered with now",
            "Listed sites that probes found blocked, intercepted or throttled, on each network. "
            "Fewer than three probes are a hint, not a finding.",
            [
                instant(f"""sum by (target, category, asn, outcome)
                ({_OUTCOME}, {INTERFERENCE}}}) > 0""")
            ],
            columns={
                "target": "Site",
                "category": "Category",
                "asn": "Network",
                "outcome": "Outcome",
                "Value": "Probes",
            },
        ),
        table(
            "Events under way",
            "How many confirmed events of each kind are under way on each network. The whole "
            "country is a network here. The collector has the page of each event.",
            [instant(marks.under_way(SCOPE))],
            columns=_EVENTS,
            size=HALF,
        ),
        table(
            "Events begun in 24 hours",
            "Events that were confirmed within a day. Many at once are one wave, whose page the "
            "collector has.",
            [instant(marks.more(SCOPE, "confirmed", "1d"))],
            columns=_EVENTS,
            size=HALF,
        ),
    ]


def _events() -> list[Panel]:
    ends = {f"{kind} ended": "green" for kind in KIND_COLOURS}
    begun = event_panels.begun_and_ended(
        "Events that began and ended", "Events", SCOPE, "kind", ("{{kind}}", "{{kind}} ended")
    )
    return [
        row("Over time"),
        event_panels.under_way(
            "Events by network",
            "of each kind were under way on each network; 0 as a network is the country as a whole",
            SCOPE,
        ),
        fixed_colours(begun, KIND_COLOURS | ends),
    ]


def _outcomes() -> list[Panel]:
    found = lines(
        "Outcomes",
        "Newest verdicts of all probes on the chosen networks, by outcome. One probe counts once "
        "for each target.",
        [query(f"sum by (outcome) ({OUTCOMES}{{{SCOPE}}})", "{{outcome}}")],
        stacked=True,
    )
    return [
        fixed_colours(found, OUTCOME_COLOURS),
        shares(
            "Interference by network",
            "Share of the conclusive verdicts that are blocked, intercepted or "
            "throttled, on each network.",
            [
                query(
                    f"""(sum by (country, asn) ({OUTCOMES}{{{SCOPE}, {INTERFERENCE}}})
                    or 0 * sum by (country, asn) ({OUTCOMES}{{{SCOPE}, {CONCLUSIVE}}}))
                    / sum by (country, asn) ({OUTCOMES}{{{SCOPE}, {CONCLUSIVE}}})""",
                    "{{country}} {{asn}}",
                )
            ],
        ),
        bars(
            "Most interfered with",
            "The twenty listed sites with the largest share of interference in their conclusive "
            "verdicts, over the chosen networks.",
            f"""topk(20, sum by (target) ({_OUTCOME}, {INTERFERENCE}}})
            / sum by (target) ({_OUTCOME}, {CONCLUSIVE}}}))""",
            "{{target}}",
            unit="percentunit",
            steps=SHARE,
            none=NONE,
        ),
        lines(
            "Mechanisms",
            "Probe and target pairs by mechanism; one verdict may name several.",
            [query(f"sum by (mechanism) ({MECHANISMS}{{{SCOPE}}})", "{{mechanism}}")],
            size=(12, 12),
            none=NONE,
            stacked=True,
        ),
    ]


def build() -> Dashboard:
    """The dashboard."""
    return board.dashboard(
        UID,
        "What networks block, intercept or throttle now, what is new, and who is heard.",
        variables=[board.job(), *board.places()],
        panels=[*_summary(), *_now(), *_events(), *_outcomes()],
        page="/",
    )
