"""`qazprobe trace`: checks before it sends anything, and its output."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from probe import consent_record
from probe.analysis import trace_analysis
from probe.asn_table import Owner
from probe.commands.trace import command
from probe.errors import Exit, UserError
from probe.failure import Failure
from probe.lab.cases import judged, read
from probe.model import Ping, Record, Role, Step, Tcp, Travel, Vantage
from probe.report.trace_json import summary
from probe.report.trace_text import conclusions, location, table

CASES = Path(__file__).parents[2] / "cases" / "trace"
HOME = Vantage(country="KZ")
TABLE = {"92.47.145.2": Owner(9198, "KZ", "JSC Kazakhtelecom"), "62.115.10.2": Owner(1299, "SE")}


def case(name: str, owners: dict[str, Owner] | None = TABLE) -> Record:
    """A case, with the networks of these owners; None: with its own."""
    found = read(CASES / f"{name}.json")
    if owners is None:
        return judged(found)
    steps = tuple(_owned(step, owners) for step in found.record.steps)
    return judged(replace(found, record=replace(found.record, steps=steps)))


def _owned(step: Step, owners: dict[str, Owner]) -> Step:
    if not isinstance(step, Ping):
        return step
    owner = owners.get(step.address or "", Owner())
    return replace(step, asn=owner.asn, country=owner.country)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one.example"], "consent"),
        (["ftp://one.example/"], "http"),
        (["one.example", "-o", "-", "--json"], "choose one"),
        (["one.example", "--ca-file", "/nowhere"], "--lab"),
        (["192.168.1.1"], "public address"),
        (["http://router.lan/"], "private networks"),
        (["one.example", "--address", "one"], "IP address"),
        (["one.example", "--address", "10.0.0.1"], "public address"),
        (["one.example", "--address", "2001:4860:4860::8888"], "IPv4"),
        (["one.example", "--harmless", "a b"], "--harmless"),
        (["one.example", "--harmless", "not a name!"], "--harmless"),
        (["one.example", "--harmless", "8.8.8.8"], "--harmless"),
        (["one.example", "--harmless", "ONE.example"], "--harmless"),
        (["8.8.8.8"], "a name expected"),
    ],
)
def test_nothing_is_sent_on_a_usage_error(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert result.exception.code == Exit.USAGE


def test_an_unreadable_asn_table_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent_record.record(tmp_path, "en", heartbeat=False)
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    table = ["--asn-table", str(tmp_path / "none")]
    result = CliRunner().invoke(command, ["one.example", "--accept-risk", *table])
    assert isinstance(result.exception, UserError)
    assert "cannot be read" in str(result.exception)


@pytest.mark.parametrize("option", ["--pcap", "-o"])
def test_files_are_opened_before_anything_is_sent(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent_record.record(tmp_path, "en", heartbeat=False)
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    monkeypatch.setattr("probe.runner.single_trace.trace", None)
    nowhere = str(tmp_path / "none" / "file")
    result = CliRunner().invoke(command, ["one.example", "--accept-risk", option, nowhere])
    assert isinstance(result.exception, UserError)
    assert f"{option} {nowhere}: " in str(result.exception)


def test_the_text_names_hop_and_kind() -> None:
    record = case("on_path")
    lines = list(table(record, TABLE))
    assert lines[1].startswith("  1  (near you; not recorded)")
    assert "92.47.145.2 (AS9198, JSC Kazakhtelecom, KZ)" in lines[4]
    assert "RESET / forwarded" in lines[5]
    assert lines[-1].startswith("  7  the server")
    said = "\n".join(conclusions(record))
    assert (
        "the target's name is reset between hop 4 and hop 5, at the border of KZ (AS9198)" in said
    )
    assert "on-path" in said
    assert "IP TTL 124" in said
    assert "HTTP: both names had the same result" in said


def test_what_locates_nothing_is_said_as_what_it_is() -> None:
    once = next(iter(conclusions(case("punished_after_one_look"))))
    assert "at hop 3 the target's name met: silence; the harmless one: forwarded" in once
    assert "afterwards the address did not answer the harmless name either" in once
    nearer = next(iter(conclusions(case("ttl_rewritten"))))
    assert "distances do not show where" in nearer
    near = "\n".join(conclusions(case("differs_near_the_server")))
    assert "it may be the server's own network" in near
    edge = "\n".join(conclusions(case("servers_own_network", None)))
    assert "it may be the server's own network" in edge


def test_ways_of_different_length_are_named() -> None:
    record = case("in_path")
    ways = [s for s in record.steps if isinstance(s, Tcp) and s.role is Role.NEUTRAL]
    answered = [s for s in ways if s.failure is None and s.travel and s.travel.ttl]
    assert answered
    assert "ways of different length" not in "\n".join(conclusions(record))
    late = answered[-1].try_
    steps = tuple(
        replace(s, failure=Failure.TIMEOUT) if s in answered and s.try_ == late else s
        for s in record.steps
    )
    longer = replace(answered[-1], id=9000, travel=Travel(ttl=9, expired=False))
    assert "one is 2 hops longer" in next(
        iter(conclusions(replace(record, steps=(*steps, longer))))
    )


def test_a_trace_without_raw_packets_reports_it() -> None:
    record = case("in_path")
    assert "no CAP_NET_RAW" in list(conclusions(record))[-1]


@pytest.mark.parametrize(
    ("name", "owners", "home", "where"),
    [
        ("on_path", TABLE, "KZ", "at the border of KZ (AS9198)"),
        ("on_path", TABLE, "SE", "outside SE (AS9198)"),
        ("on_path", {"92.47.145.2": Owner(1, "KZ")}, "KZ", "in KZ or at its border (AS1)"),
        ("on_path", {}, "KZ", "in an unknown country"),
        ("on_path", TABLE, None, "in an unknown country (AS9198)"),
        ("in_path", TABLE, "KZ", "inside KZ"),  # behind routers that are too near to be recorded
    ],
)
def test_the_location_follows_from_the_neighbouring_networks(
    *, name: str, owners: dict[str, Owner], home: str | None, where: str
) -> None:
    record = replace(case(name, owners), vantage=replace(HOME, country=home))
    found = trace_analysis.locate(record.steps, "tls")
    assert found is not None
    assert location(record, found) == where


def test_the_summary_is_json() -> None:
    said = json.loads(summary(case("on_path"), TABLE))
    assert said["outcome"] == "blocked"
    assert said["routers"][3]["owner"]["asn"] == 9198
    assert said["routers"][0]["address"] is None
    assert said["layers"]["tls"]["finding"]["stands"] == "on"
    assert said["layers"]["dns"]["finding"] is None
    assert said["place"]["where"] == "border"
    assert said["place"]["asn"] == 9198
    once = json.loads(summary(case("punished_after_one_look"), {}))["layers"]["tls"]["once"]
    assert once == {"hop": 3, "target": "silent", "harmless": "expired", "punished": True}
