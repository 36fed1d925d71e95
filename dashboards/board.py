"""A whole dashboard: its variables, links, marks, and where each panel is."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards import marks, names
from dashboards.panels import SOURCE

JOB = 'job=~"$job"'
SCOPE = f'{JOB}, country=~"$country", asn=~"$asn"'
# The collector of compose.yaml; `python -m dashboards.build --collector URL` sets another.
COLLECTOR = "http://127.0.0.1:8080"
BOARDS = {
    "qazprobe-overview": "Overview",
    "qazprobe-site": "Site",
    "qazprobe-network": "Network",
    "qazprobe-interception": "Interception",
    "qazprobe-throttling": "Throttling",
    "qazprobe-outages": "Outages",
    "qazprobe-collector": "Collector",
}

Panel = Builder[models.Panel] | builders.Row


def label(name: str, title: str, series: str, *, many: bool = True) -> builders.QueryVariable:
    """A variable with the values of one label of these series."""
    expr = f"label_values({series}, {name})"
    reference = "PrometheusVariableQueryEditor-VariableQuery"
    made = builders.QueryVariable(name).label(title).datasource(SOURCE)
    made.query({"qryType": 1, "query": expr, "refId": reference})
    made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.sort(models.VariableSort.ALPHABETICAL_ASC).multi(many).include_all(many)
    if many:
        chosen = models.VariableOption(selected=True, text=["All"], value=["$__all"])
        made.all_value(".*").current(chosen)
    return made


def places(
    series: str = "qazprobe_probes_active", scope: str = JOB
) -> list[builders.QueryVariable]:
    """The variables for countries and their networks."""
    return [
        label("country", "Country", f"{series}{{{scope}}}"),
        label("asn", "Network", f'{series}{{{scope}, country=~"$country"}}'),
    ]


def job(series: str = "qazprobe_probes_active") -> builders.QueryVariable:
    """The variable for the job of Prometheus: collectors that do not belong together."""
    return label("job", "Job", series)


def dashboard(
    uid: str,
    description: str,
    *,
    variables: Sequence[Builder[models.VariableModel]],
    panels: Sequence[Panel],
    page: str,
    since: str = "now-24h",
    scope: str = SCOPE,
) -> models.Dashboard:
    """The dashboard; `page` is the collector's page about the same."""
    made = builders.Dashboard(f"Qazprobe: {BOARDS[uid].lower()}").uid(uid).description(description)
    made.tags(["qazprobe"]).readonly().timezone("utc").refresh("1m").time(since, "now")
    made.tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.with_variable(
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    )
    for variable in (*variables, _collector()):
        made.with_variable(variable)
    for link in _links(uid, page):
        made.link(link)
    for mark in marks.annotations(scope):
        made.annotation(mark)
    for panel in panels:
        if isinstance(panel, builders.Row):
            made.with_row(panel)
        else:
            made.with_panel(panel)
    return _numbered(made.build())


def _numbered(made: models.Dashboard) -> models.Dashboard:
    for at, panel in enumerate(made.panels or (), start=1):
        panel.id_val = at
    return made


def _collector() -> builders.TextBoxVariable:
    chosen = models.VariableOption(selected=True, text=COLLECTOR, value=COLLECTOR)
    made = builders.TextBoxVariable("collector").label("Address of the collector's pages")
    return made.default_value(COLLECTOR).current(chosen).options([chosen])


def _links(uid: str, page: str) -> list[builders.DashboardLink]:
    others = [
        builders.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{other}")
        .icon("dashboard")
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
        for other, title in BOARDS.items()
        if other != uid
    ]
    pages = builders.DashboardLink("The collector's page").type(models.DashboardLinkType.LINK)
    pages.url(names.collector_page(page)).icon("external link").target_blank(target_blank=True)
    return [*others, pages]
