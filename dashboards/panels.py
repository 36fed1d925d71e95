"""The panels of the dashboards, made with Grafana's Foundation SDK.

Every panel has a title, a description, a unit and a text for when there is nothing to show. Legends
are below, so that a panel reads at a phone's width, where Grafana puts one panel under another.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common as common_builders,
    dashboard as builders,
    prometheus,
    stat,
    statetimeline,
    table as table_builders,
    timeseries,
)
from grafana_foundation_sdk.models import common, dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from dashboards import names

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
INTERFERENCE = 'outcome=~"blocked|intercepted|throttled"'
CONCLUSIVE = 'outcome=~"blocked|intercepted|throttled|ok|refused"'
# Recorded sums over sites (prometheus/rules/recording.yml): weeks of them are read at once.
OUTCOMES = "job_country_asn_outcome:qazprobe_target_outcome:sum"
MECHANISMS = "job_country_asn_mechanism:qazprobe_target_mechanism:sum"
AUTHORITIES = "job_country_asn_authority:qazprobe_tls_interception:sum"
# Sizes in Grafana's 24 columns.
WHOLE, HALF, SMALL = (24, 9), (12, 8), (4, 4)
# In `noValue`: nothing happened, which is an answer, or no probe measured, which is none.
NONE, NO_DATA = "None", "No measurements in this time"

_Panel = TypeVar(
    "_Panel",
    bargauge.Panel,
    stat.Panel,
    statetimeline.Panel,
    table_builders.Panel,
    timeseries.Panel,
)
Steps = Sequence[tuple[float | None, str]]
GOOD_IF_NONE: Steps = ((None, "green"), (1, "red"))
ENOUGH_PROBES: Steps = ((None, "red"), (1, "yellow"), (3, "green"))
SHARE: Steps = ((None, "green"), (0.1, "yellow"), (0.5, "red"))
SPEED: Steps = ((None, "red"), (0.3, "orange"), (0.7, "green"))


def query(expr: str, legend: str = "__auto") -> prometheus.Dataquery:
    """One PromQL query over the time of the dashboard."""
    made = prometheus.Dataquery().expr(" ".join(expr.split())).legend_format(legend)
    return made.datasource(SOURCE).editor_mode(QueryEditorMode.CODE).range()


def instant(expr: str) -> prometheus.Dataquery:
    """One PromQL query for the rows of a table, as of the end of the time."""
    return query(expr).instant().format(PromQueryFormat.TABLE)


def thresholds(steps: Steps) -> builders.ThresholdsConfig:
    """Colours from lower bounds on; the first step has none."""
    made = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def _described(
    panel: _Panel,
    title: str,
    description: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    unit: str,
    size: tuple[int, int],
    none: str,
) -> _Panel:
    panel.title(title).description(description).datasource(SOURCE).unit(unit).no_value(none)
    panel.span(size[0]).height(size[1])
    for one, letter in zip(queries, ascii_uppercase, strict=False):
        panel.with_target(one.ref_id(letter))
    return panel


def number(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str = "short",
    size: tuple[int, int] = SMALL,
    steps: Steps = ((None, "blue"),),
    none: str = NO_DATA,
) -> stat.Panel:
    """One big number as of the end of the time, in the colour of its threshold."""
    queries = [query(expr, title.lower()).instant()]
    panel = _described(stat.Panel(), title, description, queries, unit=unit, size=size, none=none)
    return (
        panel.thresholds(thresholds(steps))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def lines(
    title: str,
    description: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    unit: str = "short",
    size: tuple[int, int] = HALF,
    none: str = NO_DATA,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time, each with a link to what it is about."""
    panel = timeseries.Panel()
    _described(panel, title, description, queries, unit=unit, size=size, none=none)
    legend = common_builders.VizLegendOptions().calcs(["lastNotNull"]).show_legend(show_legend=True)
    legend.display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    mode = common.StackingMode.NORMAL if stacked else common.StackingMode.NONE
    return (
        panel.legend(legend)
        .tooltip(tooltip.sort(common.SortOrder.DESCENDING))
        .draw_style(common.GraphDrawStyle.LINE)
        .fill_opacity(40 if stacked else 8)
        .show_points(common.VisibilityMode.AUTO)
        .stacking(common_builders.StackingConfig().mode(mode))
        .data_links(names.links_of_series(one.build().legend_format or "" for one in queries))
    )


def shares(
    title: str, description: str, queries: Sequence[prometheus.Dataquery], **rest: str
) -> timeseries.Panel:
    """Lines over time between 0 and 100 %."""
    made = lines(title, description, queries, unit="percentunit", none=rest.get("none", NO_DATA))
    return made.min(0).max(1)


def changes(
    title: str, description: str, queries: Sequence[prometheus.Dataquery], *, none: str = NONE
) -> timeseries.Panel:
    """Bars at the points in time at which something changed."""
    made = lines(title, description, queries, none=none).interval("1m").decimals(0)
    return made.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80)


def bars(
    title: str,
    description: str,
    expr: str,
    legend: str,
    *,
    unit: str,
    steps: Steps,
    none: str = NO_DATA,
) -> bargauge.Panel:
    """One bar for each series, for the present."""
    queries = [query(expr, legend).instant()]
    size = (12, 12)
    panel = bargauge.Panel()
    _described(panel, title, description, queries, unit=unit, size=size, none=none)
    return (
        panel.thresholds(thresholds(steps))
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .orientation(common.VizOrientation.HORIZONTAL)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .data_links(names.links_of_series([legend]))
        .min(0)
    )


def states(
    title: str, description: str, expr: str, legend: str, *, steps: Steps, none: str = NONE
) -> statetimeline.Panel:
    """The state over time, as a stripe for each series."""
    queries = [query(expr, legend)]
    panel = statetimeline.Panel()
    _described(panel, title, description, queries, unit="short", size=HALF, none=none)
    legends = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    return (
        panel.thresholds(thresholds(steps))
        .decimals(0)
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .merge_values(merge_values=True)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(70)
        .show_value(common.VisibilityMode.AUTO)
        .legend(legends.placement(common.LegendPlacement.BOTTOM).show_legend(show_legend=True))
        .data_links(names.links_of_series([legend]))
    )


def table(
    title: str,
    description: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    columns: Mapping[str, str],
    unit: str = "short",
    size: tuple[int, int] = WHOLE,
    none: str = NONE,
) -> table_builders.Panel:
    """A table of the present labels and values; `columns` names them, in order.

    Every cell leads to the collector's page of what it names.
    """
    panel = table_builders.Panel()
    _described(panel, title, description, queries, unit=unit, size=size, none=none)
    panel.cell_height(common.TableCellHeight.SM).show_header(show_header=True).filterable(
        filterable=True
    )
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    organized = {
        "excludeByName": {"Time": True},
        "indexByName": {name: at for at, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organized))
    for label, column in columns.items():
        if wanted := names.properties_of_column(label, columns):
            panel.override_by_name(column, wanted)
    return panel


def percent_of_speed(panel: table_builders.Panel, column: str) -> table_builders.Panel:
    """The same table with one column as a coloured share."""
    return panel.override_by_name(
        column,
        [
            models.DynamicConfigValue(id_val="unit", value="percentunit"),
            models.DynamicConfigValue(id_val="thresholds", value=thresholds(SPEED).build()),
            models.DynamicConfigValue(
                id_val="custom.cellOptions", value=common.TableColorTextCellOptions()
            ),
        ],
    )


def fixed_colours(panel: timeseries.Panel, colours: Mapping[str, str]) -> timeseries.Panel:
    """The same panel with fixed colours for named series."""
    for name, colour in colours.items():
        value = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(name, [models.DynamicConfigValue(id_val="color", value=value)])
    return panel


def row(title: str) -> builders.Row:
    """A heading across the dashboard."""
    return builders.Row(title)
