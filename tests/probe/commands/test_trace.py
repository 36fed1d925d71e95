"""`qazprobe trace` before it sends anything, and what it says afterwards."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from probe.analysis import trace_analysis
from probe.asn_table import Owner
from probe.commands.trace import command
from probe.errors import Exit, UserError
from probe.lab.cases import judged, read
from probe.model import Record, Vantage
from probe.report.trace_json import summary
from probe.report.trace_text import conclusions, place, table

CASES = Path(__file__).parents[2] / "cases" / "trace"
HOME = Vantage(country="KZ")
TABLE = {"92.47.145.2": Owner(9198, "KZ", "JSC Kazakhtelecom"), "62.115.10.2": Owner(1299, "SE")}


def case(name: str) -> Record:
    return judged(read(CASES / f"{name}.json"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one.example"], "consent"),
        (["ftp://one.example/"], "http"),
        (["one.example", "-o", "-", "--json"], "choose one"),
        (["one.example", "--ca-file", "/nowhere"], "--lab"),
    ],
)
def test_nothing_is_sent_before_all_is_well(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert result.exception.code == Exit.USAGE


def test_a_table_that_is_none_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.commands.trace.agreed", lambda *_: None)
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, ["one.example", "--asn-table", str(tmp_path / "none")])
    assert isinstance(result.exception, UserError)
    assert "cannot be read" in str(result.exception)


def test_a_person_reads_where_and_how() -> None:
    record = case("on_path")
    lines = list(table(record, TABLE))
    assert lines[1].startswith("  1  (near you; not told)")
    assert "92.47.145.2 (AS9198, JSC Kazakhtelecom, KZ)" in lines[4]
    assert "RESET / goes on" in lines[4]
    assert lines[-1].startswith("  7  the server")
    said = "\n".join(conclusions(record, TABLE))
    assert "the name meets reset between hop 3 and hop 4" in said
    assert "on the path" in said
    assert "IP TTL 125" in said
    assert "HTTP: both names fared alike" in said


def test_a_trace_without_raw_packets_says_so() -> None:
    record = case("in_path")
    assert "no CAP_NET_RAW" in list(conclusions(record, {}))[-1]


@pytest.mark.parametrize(
    ("name", "owners", "home", "where"),
    [
        ("in_path", TABLE, "KZ", "at the border of KZ"),
        ("in_path", TABLE, "SE", "outside SE"),
        ("in_path", {"92.47.145.2": Owner(1, "KZ")}, "KZ", "in KZ or at its border"),
        ("in_path", {}, "KZ", "in which country is not known"),
        ("in_path", TABLE, None, "in which country is not known"),
        ("on_path", TABLE, "KZ", "inside KZ"),  # behind routers that are too near to be told
    ],
)
def test_a_place_is_told_by_the_networks_around_it(
    *, name: str, owners: dict[str, Owner], home: str | None, where: str
) -> None:
    record = replace(case(name), vantage=replace(HOME, country=home))
    found = trace_analysis.locate(record.steps, "tls")
    assert found is not None
    assert place(record, found, owners) == where


def test_a_script_gets_the_same_as_json() -> None:
    said = json.loads(summary(case("on_path"), TABLE))
    assert said["outcome"] == "blocked"
    assert said["routers"][3]["owner"]["asn"] == 9198
    assert said["routers"][0]["address"] is None
    assert said["layers"]["tls"]["finding"]["stands"] == "on"
    assert said["layers"]["dns"]["finding"] is None
