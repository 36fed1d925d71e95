"""The committed dashboards are up to date, and follow the conventions of Grafana."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("grafana_foundation_sdk", reason="the boards are built with Grafana's SDK")

from dashboards import build

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in FOLDER.rglob("*.json")}
METRIC = re.compile(r"\b(?:qazprobe|qazcollector)_[a-z_]+")
each = pytest.mark.parametrize("board", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def test_the_committed_files_are_up_to_date() -> None:
    assert build.stale() == []


@each
def test_the_dashboard_can_be_found_and_is_not_edited_in_place(board: dict[str, Any]) -> None:
    assert re.fullmatch(r"qazprobe-[a-z]+", board["uid"])
    assert board["title"]
    assert board["description"]
    assert board["editable"] is False
    assert "id" not in board


@each
def test_every_panel_has_a_title_a_description_and_a_unit(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


@each
def test_panels_do_not_overlap_and_have_unique_ids(board: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))
    for one, other in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


@each
def test_panel_titles_are_unique_within_their_row(board: dict[str, Any]) -> None:
    seen: set[tuple[str, str]] = set()
    heading = ""
    for panel in board["panels"]:
        heading = panel["title"] if panel["type"] == "row" else heading
        assert (heading, panel["title"]) not in seen or panel["type"] == "row"
        seen.add((heading, panel["title"]))


@each
def test_every_query_uses_the_chosen_data_source(board: dict[str, Any]) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = board["templating"]["list"]
    assert variables[0]["type"] == "datasource"
    assert variables[0]["name"] == "datasource"
    querying = [
        *panels(board),
        *(target for panel in panels(board) for target in panel["targets"]),
        *(variable for variable in variables if variable["type"] == "query"),
        *board["annotations"]["list"],
    ]
    assert all(one["datasource"] == source for one in querying)


@each
def test_variables_are_refreshed_with_the_time_range(board: dict[str, Any]) -> None:
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert "job" in names
    assert len(names) == len(set(names))
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            assert variable["name"] in {"datasource", "collector"}
            continue
        assert variable["refresh"] == 2, variable["name"]
        assert variable["query"]["query"].startswith("label_values("), variable["name"]


@each
def test_queries_use_only_defined_variables_and_select_the_job(board: dict[str, Any]) -> None:
    known = {variable["name"] for variable in board["templating"]["list"]} | {
        "__rate_interval",
        "__interval",
    }
    for title, expr in expressions(board):
        assert set(re.findall(r"\$\{?(\w+)", expr)) <= known, title
        for selector in re.findall(r"\w+\{([^}]*)\}", expr):
            assert 'job=~"$job"' in selector, title


@each
def test_counters_are_read_as_rates_over_grafanas_interval(board: dict[str, Any]) -> None:
    for title, expr in expressions(board):
        named = re.findall(r"\b\w+_(?:total|bucket)\b", expr)
        # These are counts of what is stored; the next test is about them.
        counters = [name for name in named if name != "qazprobe_events_total"]
        rates = re.findall(r"\brate\(\w+_(?:total|bucket)\{[^}]*\}\[\$__rate_interval\]\)", expr)
        rates += re.findall(r"\bincrease\(\w+_total\{[^}]*\}\[1d\]\)", expr)
        assert len(counters) == len(rates), title
        assert "[5m]" not in expr, title


@each
def test_counts_of_events_are_compared_with_more_than_zero_and_never_read_as_rates(
    board: dict[str, Any],
) -> None:
    for title, expr in expressions(board):
        assert not re.search(r"(?:rate|increase|delta)\(qazprobe_events?_", expr), title
        assert not re.search(r"qazprobe_events?_\w+\{[^}]*\}\)*\s*==", expr), title
    marks = [one["expr"] for one in board["annotations"]["list"]]
    assert all(expr.endswith(" > 0") for expr in marks)
    assert any('state="confirmed"' in expr for expr in marks)
    assert any('state="ended"' in expr for expr in marks)


def test_reachability_is_left_out_where_nobody_is_heard() -> None:
    """Its window is a day: a cut line would show its last good measurements until it is over."""
    shown = [
        expr
        for board in DASHBOARDS.values()
        for _, expr in expressions(board)
        if "qazprobe_connectivity_ratio" in expr
    ]
    assert shown
    assert all(re.search(r"unless on .*qazprobe_probes_heard\{.*\} == 0", expr) for expr in shown)


@each
def test_a_share_or_percentile_of_a_counter_keeps_its_labels(board: dict[str, Any]) -> None:
    for title, expr in expressions(board):
        if "histogram_quantile" in expr:
            assert re.search(r"by \([^)]*\ble\b[^)]*\)", expr), title


@each
def test_links_lead_to_our_dashboards_and_to_the_collector(board: dict[str, Any]) -> None:
    *others, page = board["links"]
    assert {link["url"].removeprefix("/d/") for link in others} == {*DASHBOARDS} - {board["uid"]}
    assert all(link["includeVars"] and link["keepTime"] for link in others)
    assert page["url"].startswith("${collector:raw}/")


def test_every_metric_of_the_contract_is_on_a_dashboard() -> None:
    shown = {name for board in DASHBOARDS.values() for name in METRIC.findall(json.dumps(board))}
    assert {
        "qazprobe_target_outcome",
        "qazprobe_target_mechanism",
        "qazprobe_target_interference_ratio",
        "qazprobe_tls_interception",
        "qazprobe_throughput_bytes_per_second",
        "qazprobe_throttle_ratio",
        "qazprobe_handshake_seconds_bucket",
        "qazprobe_probes_active",
        "qazprobe_connectivity_ratio",
        "qazprobe_event_active",
        "qazprobe_events_total",
        "qazprobe_probes_heard",
        "qazprobe_measurements_total",
        "qazcollector_requests_total",
        "qazcollector_rejected_total",
        "qazcollector_ingest_seconds_bucket",
    } <= shown


def test_grafana_is_provisioned_with_one_source_and_the_folder_of_dashboards() -> None:
    source = yaml.safe_load(
        (FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )
    (only,) = source["datasources"]
    assert only["type"] == "prometheus"
    assert only["uid"]
    assert only["editable"] is False
    provider = yaml.safe_load(
        (FOLDER / "provisioning" / "dashboards" / "qazprobe.yaml").read_text()
    )
    (only,) = provider["providers"]
    assert only["type"] == "file"
    assert only["allowUiUpdates"] is False
