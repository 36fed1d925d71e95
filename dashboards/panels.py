"""The parts of a Grafana dashboard as plain dicts.

Every panel needs a title, a description and a unit; every panel and variable uses the data source
variable; dashboards are not editable in place, because their JSON is generated.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
INTERFERENCE = 'outcome=~"blocked|intercepted|throttled"'
CONCLUSIVE = 'outcome=~"blocked|intercepted|throttled|ok|refused"'

OUTCOME_COLOURS = {
    "ok": "green",
    "blocked": "red",
    "intercepted": "purple",
    "throttled": "orange",
    "refused": "yellow",
    "down": "text",
    "inconclusive": "blue",
}


def query(expr: str, legend: str = "", *, table: bool = False) -> Json:
    """One PromQL query; for a table an instant query."""
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": " ".join(expr.split()),
        "format": "table" if table else "time_series",
        "instant": table,
        "legendFormat": legend or "__auto",
        "range": not table,
    }


def panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    unit: str,
    size: tuple[int, int] = (12, 8),
    options: Mapping[str, Any] | None = None,
    custom: Mapping[str, Any] | None = None,
    **defaults: object,
) -> Json:
    """One panel; `size` is its width (of 24) and height; `lay_out` sets its position."""
    letters = "ABCDEFGHIJ"
    targets = [{**one, "refId": letters[at]} for at, one in enumerate(queries)]
    return {
        "datasource": SOURCE,
        "description": description,
        "fieldConfig": {
            "defaults": {"unit": unit, "custom": dict(custom or {}), **defaults},
            "overrides": [],
        },
        "gridPos": {"w": size[0], "h": size[1]},
        "options": dict(options or {}),
        "targets": targets,
        "title": title,
        "type": kind,
    }


def lines(title: str, description: str, queries: Sequence[Json], **rest: Any) -> Json:
    """Lines over time; `stacked=True` stacks them."""
    stacked = rest.pop("stacked", False)
    custom = {
        "drawStyle": "line",
        "fillOpacity": 40 if stacked else 8,
        "showPoints": "auto",
        "stacking": {"mode": "normal" if stacked else "none"},
    }
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "right"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, queries, custom=custom, options=options, **rest)


def number(title: str, description: str, queries: Sequence[Json], **rest: Any) -> Json:
    """One big number, in the colour of its threshold if it has any."""
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    rest.setdefault("size", (4, 4))
    return panel("stat", title, description, queries, options=options, **rest)


def bars(title: str, description: str, queries: Sequence[Json], **rest: Any) -> Json:
    """One bar for each series, for the present."""
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel("bargauge", title, description, queries, options=options, **rest)


def states(title: str, description: str, queries: Sequence[Json], **rest: Any) -> Json:
    """The state over time, as a stripe for each series."""
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
    }
    return panel("state-timeline", title, description, queries, options=options, **rest)


def table(
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    columns: Mapping[str, str],
    **rest: Any,
) -> Json:
    """A table of the present labels and values; `columns` names them, in order."""
    options = {"cellHeight": "sm", "showHeader": True}
    made = panel("table", title, description, queries, options=options, **rest)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: at for at, name in enumerate(columns)},
                "renameByName": dict(columns),
            },
        },
    ]
    return made


def coloured(made: Json, colours: Mapping[str, str]) -> Json:
    """The same panel with fixed colours for named series."""
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"fixedColor": colour, "mode": "fixed"}}],
        }
        for name, colour in colours.items()
    ]
    return {**made, "fieldConfig": {**made["fieldConfig"], "overrides": overrides}}


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colours from lower bounds on; the first step has none."""
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for value, colour in steps],
    }


def row(title: str) -> Json:
    """A heading across the dashboard."""
    return {
        "collapsed": False,
        "gridPos": {"w": WIDTH, "h": 1},
        "panels": [],
        "title": title,
        "type": "row",
    }


def lay_out(panels: Iterable[Json]) -> list[Json]:
    """Number panels and lay them out from left to right in rows, without overlap."""
    done: list[Json] = []
    x = y = tallest = 0
    for number_, made in enumerate(panels, start=1):
        width, height = made["gridPos"]["w"], made["gridPos"]["h"]
        if x + width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        done.append({**made, "id": number_, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, tallest = x + width, max(tallest, height)
    return done


def source_variable() -> Json:
    """The variable for the Prometheus data source."""
    return {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "type": "datasource",
    }


def label_variable(name: str, title: str, source: str, *, many: bool = True) -> Json:
    """A variable with the values of one label of the series `source`."""
    expr = f"label_values({source}, {name})"
    return {
        "allValue": ".*" if many else None,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]} if many else {},
        "datasource": SOURCE,
        "definition": expr,
        "hide": 0,
        "includeAll": many,
        "label": title,
        "multi": many,
        "name": name,
        "options": [],
        "query": {
            "qryType": 1,
            "query": expr,
            "refId": "PrometheusVariableQueryEditor-VariableQuery",
        },
        "refresh": 2,
        "sort": 1,
        "type": "query",
    }


def dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[Json],
    panels: Iterable[Json],
    links: Sequence[Json] = (),
    annotations: Sequence[Json] = (),
) -> Json:
    """A whole dashboard in Grafana's classic JSON."""
    return {
        "annotations": {"list": list(annotations)},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": list(links),
        "panels": lay_out(panels),
        "refresh": "1m",
        "schemaVersion": 39,
        "tags": ["qazprobe"],
        "templating": {"list": [source_variable(), *variables]},
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def link(title: str, uid: str) -> Json:
    """A link to another dashboard that keeps the time range and the variables."""
    return {
        "asDropdown": False,
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "tags": [],
        "targetBlank": False,
        "title": title,
        "tooltip": "",
        "type": "link",
        "url": f"/d/{uid}",
    }
