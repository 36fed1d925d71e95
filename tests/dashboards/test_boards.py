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
