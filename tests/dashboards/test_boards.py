"""What a reader of a board gets: seven boards, names, links to the collector, a word for none."""

import json
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probe import reference_data

pytest.importorskip("grafana_foundation_sdk", reason="the boards are built with Grafana's SDK")

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import board as boards, build

FOLDER = Path(build.__file__).parent / "grafana" / "dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
ADDRESS = "${collector:raw}"
each = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def tables(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in panels(board) if panel["type"] == "table"]


def columns(panel: dict[str, Any]) -> dict[str, str]:
    """The labels of a table's columns, and their names."""
    (organized,) = (one for one in panel["transformations"] if one["id"] == "organize")
    named: dict[str, str] = organized["options"]["renameByName"]
    return named


def properties(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each column of a table is told, by the column's name."""
    found: dict[str, dict[str, Any]] = {}
    for override in panel["fieldConfig"]["overrides"]:
        told = {one["id"]: one["value"] for one in override["properties"]}
        found.setdefault(override["matcher"]["options"], {}).update(told)
    return found


def links(board: dict[str, Any]) -> Iterator[str]:
    yield from (link["url"] for link in board["links"] if not link["url"].startswith("/d/"))
    for panel in panels(board):
        yield from (one["url"] for one in panel["fieldConfig"]["defaults"].get("links", ()))
        for told in properties(panel).values():
            yield from (one["url"] for one in told.get("links", ()))


def test_there_are_seven_boards() -> None:
    assert set(BOARDS) == set(boards.BOARDS) == set(build.BUILDERS)
    assert len(BOARDS) == 7


@each
def test_grafanas_own_models_read_the_board(board: dict[str, Any]) -> None:
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    # Grafana's Prometheus source reads these of an annotation; the models have no fields for them.
    for mark in board["annotations"]["list"]:
        for name in ("step", "tagKeys", "titleFormat", "useValueForTime"):
            del mark[name]
    assert again == board


@each
def test_times_are_utc(board: dict[str, Any]) -> None:
    assert board["timezone"] == "utc"


@each
def test_every_panel_says_so_when_there_is_nothing(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


@each
def test_panels_read_at_the_width_of_a_phone(board: dict[str, Any]) -> None:
    for panel in panels(board):
        legend = panel["options"].get("legend", {"placement": "bottom"})
        assert legend["placement"] == "bottom", panel["title"]
    assert all(len(columns(panel)) <= 6 for panel in tables(board))


@each
def test_every_cell_that_has_a_page_leads_to_it(board: dict[str, Any]) -> None:
    pages = {"target", "asn", "category", "kind", "authority"}
    for panel in tables(board):
        named = columns(panel)
        if not pages & named.keys():
            continue
        for label, column in named.items():
            (link,) = properties(panel)[column]["links"]
            assert link["url"].startswith(ADDRESS), (panel["title"], label)
            assert link["targetBlank"], (panel["title"], label)


def test_only_tables_of_the_collector_itself_have_cells_without_a_page() -> None:
    pages = {"target", "asn", "category", "kind", "authority"}
    without = {
        f"{name}/{panel['title']}"
        for name, board in BOARDS.items()
        for panel in tables(board)
        if not pages & columns(panel).keys()
    }
    assert without == {"qazprobe-collector/Refused in a day", "qazprobe-collector/Versions"}


@each
def test_every_line_that_names_something_with_a_page_leads_to_it(board: dict[str, Any]) -> None:
    for panel in panels(board):
        legends = " ".join(target.get("legendFormat", "") for target in panel["targets"])
        for label in ("target", "asn", "category", "kind", "authority"):
            if panel["type"] != "table" and "{{" + label + "}}" in legends:
                found = [one["url"] for one in panel["fieldConfig"]["defaults"]["links"]]
                assert any("${__field.labels." + label + "}" in one for one in found) or (
                    label == "authority" and f"{ADDRESS}/interceptions" in found
                ), (panel["title"], label)


@each
def test_a_link_uses_only_columns_that_the_table_has(board: dict[str, Any]) -> None:
    for panel in tables(board):
        used = re.findall(r"__data\.fields\.(\w+)", json.dumps(panel))
        assert set(used) <= set(columns(panel).values()), panel["title"]


@each
def test_links_lead_to_pages_that_the_collector_has(board: dict[str, Any]) -> None:
    routes = pytest.importorskip("collector.api.pages.routes", reason="needs the collector")
    known = [re.sub(r"\{\w+\}", "[^/]+", route.path) for route in routes.PAGES]
    for link in links(board):
        assert link.startswith(ADDRESS)
        path = re.sub(r"\$\{[^}]*\}", "9198", link.removeprefix(ADDRESS))
        parts = urllib.parse.urlsplit(path)
        assert any(re.fullmatch(one, parts.path) for one in known), link
        assert set(urllib.parse.parse_qs(parts.query)) <= {"kind", "asn"}


@each
def test_networks_have_their_names_and_stay_numbers_in_links(board: dict[str, Any]) -> None:
    for panel in tables(board):
        if "asn" not in columns(panel):
            continue
        told = properties(panel)[columns(panel)["asn"]]
        (mapping,) = told["mappings"]
        shown = {asn: one["text"] for asn, one in mapping["options"].items()}
        assert shown.pop("0") == "whole country"
        assert shown == {str(a): f"{n} (AS{a})" for a, n in reference_data.networks().items()}
        assert told["unit"] == "none"


@each
def test_a_label_is_not_shown_as_a_number(board: dict[str, Any]) -> None:
    """Grafana formats a text of digits as a number, unless its unit is a string."""
    for panel in tables(board):
        for label, column in columns(panel).items():
            if not label.startswith("Value") and label != "asn":
                assert properties(panel)[column]["unit"] == "string", (panel["title"], column)


def test_throttling_is_never_averaged_over_sites() -> None:
    for board in BOARDS.values():
        for panel in panels(board):
            for target in panel["targets"]:
                if re.search(r"throttle_ratio|throughput", target["expr"]):
                    assert not re.search(r"\b(?:avg|sum|quantile)\b", target["expr"]), panel[
                        "title"
                    ]


def test_the_address_of_the_collector_can_be_set(tmp_path: Path) -> None:
    url = "https://collector.example"
    assert build.main(["--collector", f"{url}/", "--folder", str(tmp_path)]) == 0
    for path in tmp_path.glob("*.json"):
        (chosen,) = (
            one
            for one in json.loads(path.read_text())["templating"]["list"]
            if one["name"] == "collector"
        )
        assert chosen["query"] == chosen["current"]["value"] == url
    assert len([*tmp_path.glob("*.json")]) == 7


# What each board is for, by the metrics that it has to show.
PURPOSES = {
    "qazprobe-overview": {
        "qazprobe_target_outcome",
        "qazprobe_probes_heard",
        "qazprobe_event_active",
    },
    "qazprobe-site": {
        "qazprobe_target_outcome",
        "qazprobe_target_quorum",
        "qazprobe_throttle_ratio",
    },
    "qazprobe-network": {
        "qazprobe_target_outcome",
        "qazprobe_event_active",
        "qazprobe_probes_heard",
    },
    "qazprobe-interception": {"qazprobe_tls_interception", "qazprobe_event_active"},
    "qazprobe-throttling": {"qazprobe_throttle_ratio", "qazprobe_throughput_bytes_per_second"},
    "qazprobe-outages": {
        "qazprobe_probes_heard",
        "qazprobe_connectivity_ratio",
        "qazprobe_event_active",
    },
    "qazprobe-collector": {
        *("qazprobe_measurements_total", "qazcollector_ingest_seconds_bucket"),
        *(
            "qazcollector_rejected_total",
            "qazcollector_store_bytes",
            "qazcollector_disk_free_bytes",
        ),
        *(
            "process_resident_memory_bytes",
            "qazcollector_lease_held",
            "qazcollector_backlog_seconds",
        ),
    },
}
# As Grafana names them.
UNITS = {"short", "percentunit", "s", "bytes", "Bps", "cps", "reqps", "none", "string"}
BAD = re.compile(
    r"qazprobe_event|qazprobe_target_quorum|tls_interception|stranger|_mechanism|_rejected_"
    r'|outcome=~"blocked\|intercepted\|throttled"'
)


@pytest.mark.parametrize("name", PURPOSES)
def test_a_board_shows_what_it_is_for(name: str) -> None:
    asked = " ".join(
        target["expr"] for panel in panels(BOARDS[name]) for target in panel["targets"]
    )
    assert {metric for metric in PURPOSES[name] if metric not in asked} == set()


@each
def test_every_unit_is_one_of_grafanas(board: dict[str, Any]) -> None:
    for panel in panels(board):
        told = [panel["fieldConfig"]["defaults"]["unit"]]
        told += [one["unit"] for one in properties(panel).values() if "unit" in one]
        assert set(told) <= UNITS, panel["title"]
        measured = re.search(
            r"_(seconds|bytes|bytes_per_second|ratio)\b", panel["targets"][0]["expr"]
        )
        if measured and panel["type"] in {"stat", "timeseries", "bargauge"}:
            wanted = {
                "seconds": "s",
                "bytes": "bytes",
                "bytes_per_second": "Bps",
                "ratio": "percentunit",
            }
            counted = re.match(r"\(?count", panel["targets"][0]["expr"])
            assert counted or told[0] == wanted[measured[1]], panel["title"]


@each
def test_numbers_bars_and_stripes_have_thresholds_that_rise(board: dict[str, Any]) -> None:
    for panel in panels(board):
        if panel["type"] in {"stat", "bargauge", "state-timeline"}:
            first, *rest = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert first["value"] is None, panel["title"]
            values = [step["value"] for step in rest]
            assert values == sorted(set(values)), panel["title"]
            assert all(step["color"] for step in (first, *rest)), panel["title"]


@each
def test_one_under_another_the_panels_are_in_the_order_of_reading(board: dict[str, Any]) -> None:
    """So a phone shows them, in the order of the file."""
    places = [(one["gridPos"]["y"], one["gridPos"]["x"]) for one in board["panels"]]
    assert places == sorted(places)


@each
def test_where_nothing_bad_is_an_answer_a_panel_says_none(board: dict[str, Any]) -> None:
    for panel in panels(board):
        none = panel["fieldConfig"]["defaults"]["noValue"]
        for target in panel["targets"]:
            # A share needs what was fine, too, and so measurements.
            if BAD.search(target["expr"]) and "ok|refused" not in target["expr"]:
                said = none.startswith("None") or target["expr"].endswith("or vector(0)")
                assert said, (panel["title"], none)
