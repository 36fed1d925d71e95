"""Events and cuts: what is under way, what began and ended, and who is heard.

Rule: the counts of events are compared with an earlier value, never read as rates. They count what
is stored, and may fall by one when later looks show that an event lasts.
"""

from dashboards.panels import (
    SOURCE,
    Json,
    coloured,
    lines,
    number,
    query,
    row,
    states,
    table,
    thresholds,
)

_PLACE = "max by (kind, country, asn)"
_KINDS = {
    "blocking": "red",
    "interception": "purple",
    "throttling": "orange",
    "shutdown": "dark-red",
    "whitelist": "dark-orange",
}


def _more(scope: str, state: str) -> str:
    """How many events came as far as this state since the point before, by place."""
    present = f'qazprobe_events_total{{{scope}, state="{state}"}}'
    before = f"{_PLACE} (last_over_time({present}[1d] offset $__interval))"
    return f"({_PLACE} ({present}) - ({before} or 0 * {_PLACE} ({present}))) > 0"


def _under_way(scope: str) -> list[Json]:
    began = lines(
        "Events that began and ended",
        "Events that were confirmed, and that ended, since the point before; ends are below the "
        "axis. Many at once are one wave, whose page the collector has (/w/ID).",
        [
            query(f"sum by (kind) ({_more(scope, 'confirmed')})", "{{kind}}"),
            query(f"-sum by (kind) ({_more(scope, 'ended')})", "{{kind}} ended"),
        ],
        unit="short",
        decimals=0,
    )
    began["interval"] = "1m"
    began["fieldConfig"]["defaults"]["custom"] |= {"drawStyle": "bars", "fillOpacity": 80}
    return [
        states(
            "Events under way",
            "How many confirmed events of each kind were under way on each network; 0 as a network "
            "is the country as a whole.",
            [query(f"{_PLACE} (qazprobe_event_active{{{scope}}})", "{{kind}} {{country}} {{asn}}")],
            unit="short",
            decimals=0,
            thresholds=thresholds((None, "green"), (1, "red")),
            color={"mode": "thresholds"},
        ),
        coloured(began, _KINDS | {f"{kind} ended": "green" for kind in _KINDS}),
    ]


def _heard(scope: str) -> list[Json]:
    by_network = f"max by (country, asn) (qazprobe_probes_heard{{{scope}}})"
    by_country = f"sum by (country) ({by_network})"
    day = f"max_over_time(qazprobe_probes_heard{{{scope}}}[1d])"
    return [
        number(
            "Probes heard",
            "Probes whose heartbeat came within 15 minutes. Probes without consent to heartbeats "
            "do not count.",
            [query(f"sum({by_network})", "probes")],
            unit="short",
            size=(4, 8),
            decimals=0,
            thresholds=thresholds((None, "red"), (1, "yellow"), (3, "green")),
        ),
        lines(
            "Probes heard, by network",
            "Probes whose heartbeat came within 15 minutes. Here a cut shows while it lasts: all "
            "probes of a network fall silent at once.",
            [query(by_network, "{{country}} {{asn}}")],
            unit="short",
            size=(10, 8),
            min=0,
            decimals=0,
        ),
        lines(
            "Reachability, domestic and foreign",
            "Share of anchors that answer, in the country and outside it, and share of the probes "
            "of the last day that are heard. Foreign low with domestic high is a cut at the "
            "border. A network of which no probe is heard has no anchors here: nobody knows.",
            [
                query(
                    f"""avg by (country, class) (qazprobe_connectivity_ratio{{{scope}}}
                    unless on (country, asn) (qazprobe_probes_heard{{{scope}}} == 0))""",
                    "{{country}} {{class}} anchors",
                ),
                query(
                    f"{by_country} / sum by (country) (max by (country, asn) ({day}))",
                    "{{country}} probes heard",
                ),
            ],
            unit="percentunit",
            size=(10, 8),
            min=0,
            max=1,
        ),
    ]


def _so_far(scope: str) -> list[Json]:
    return [
        lines(
            "Throttle ratio",
            "Rate with a target's name divided by the rate with a reference: 100% is the same "
            "speed. The lowest of all targets, and the median. Only the name differs between the "
            "two rates.",
            [
                query(
                    f"min by (country, asn) (qazprobe_throttle_ratio{{{scope}}})",
                    "{{country}} {{asn}} lowest",
                ),
                query(
                    f"quantile by (country, asn) (0.5, qazprobe_throttle_ratio{{{scope}}})",
                    "{{country}} {{asn}} median",
                ),
            ],
            unit="percentunit",
            min=0,
        ),
        table(
            "Events so far",
            "How many events ever came as far as each state. Suspected counts all of them; what "
            "each was is in /v1/events of the collector.",
            [
                query(
                    f"""max by (kind, country, asn, state)
                    (qazprobe_events_total{{{scope}}}) > 0""",
                    table=True,
                )
            ],
            columns={
                "kind": "Kind",
                "country": "Country",
                "asn": "Network",
                "state": "State",
                "Value": "Events",
            },
            unit="short",
            decimals=0,
        ),
    ]


def panels(scope: str) -> list[Json]:
    """The panels about events of the networks in this scope."""
    return [row("Events and cuts"), *_under_way(scope), *_heard(scope), *_so_far(scope)]


def annotations(scope: str) -> list[Json]:
    """Marks on every panel: where events began and ended, and while a line was cut."""
    line = f'qazprobe_event_active{{{scope}, kind=~"shutdown|whitelist"}}'
    return [
        _annotation("Events that began", _more(scope, "confirmed"), "red", "{{kind}} began"),
        _annotation("Events that ended", _more(scope, "ended"), "green", "{{kind}} ended"),
        _annotation("Shutdowns and whitelists", f"{_PLACE} ({line}) > 0", "orange", "{{kind}}"),
    ]


def _annotation(name: str, expr: str, colour: str, title: str) -> Json:
    return {
        "datasource": SOURCE,
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "step": "60s",
        "tagKeys": "kind,country,asn",
        "titleFormat": f"{title} in {{{{country}}}} {{{{asn}}}}",
        "useValueForTime": False,
    }
