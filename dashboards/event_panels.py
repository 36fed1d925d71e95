"""Panels of events: how many are under way, which began and ended, and how far they came."""

from grafana_foundation_sdk.builders import statetimeline, table as table_builders, timeseries

from dashboards import marks
from dashboards.panels import GOOD_IF_NONE, HALF, WHOLE, changes, instant, query, states, table


def under_way(
    title: str, what: str, scope: str, legend: str = "{{kind}} {{country}} {{asn}}"
) -> statetimeline.Panel:
    """How many confirmed events were under way, as stripes."""
    description = f"How many confirmed events {what}."
    return states(title, description, marks.under_way(scope), legend, steps=GOOD_IF_NONE)


def begun_and_ended(
    title: str, what: str, scope: str, labels: str, legends: tuple[str, str]
) -> timeseries.Panel:
    """Bars for the events that were confirmed, and below the axis for those that ended."""
    description = (
        f"{what} that were confirmed, and that ended, since the point before; ends are below the "
        "axis."
    )
    found = zip(marks.begun_and_ended(scope, labels), legends, strict=True)
    return changes(title, description, [query(expr, legend) for expr, legend in found])


def so_far(title: str, what: str, scope: str, *, half: bool = False) -> table_builders.Panel:
    """How many events ever came as far as each state."""
    columns = {
        "kind": "Kind",
        "country": "Country",
        "asn": "Network",
        "state": "State",
        "Value": "Events",
    }
    return table(
        title,
        f"How many {what} ever came as far as each state. Suspected counts all of them.",
        [instant(f"max by (kind, country, asn, state) (qazprobe_events_total{{{scope}}}) > 0")],
        columns=columns,
        size=HALF if half else WHOLE,
    )
