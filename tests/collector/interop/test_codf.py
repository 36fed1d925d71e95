"""Events as IODA writes outages."""

import asyncio
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli import cli
from collector.events.model import Bracket, EventState, TargetEvent
from collector.events.reconcile import StoredEvent
from collector.interop.codf import outage_event
from tests.collector.harness import collector
from tests.collector.web.evidence import fill

CUT = TargetEvent(
    kind="shutdown",
    target="",
    country="KZ",
    asn=9198,
    state=EventState.ENDED,
    began=Bracket(7200.0 + 60.5, 7200.0 + 900.25),
    ended=Bracket(14_400.0, 14_400.0 + 1801.0),
    last_seen_at=14_000.0,
    confirmed_at=8000.0,
    mechanisms=("access.foreign_cut",),
    authority="",
    agree=4,
    able=5,
    confidence=0.97,
    evidence=("1",),
)
STORED = StoredEvent("ab", CUT, 8000.0)


def named(asn: int) -> str | None:
    return "KT" if asn == 9198 else None


def nameless(_asn: int) -> str | None:
    return None


def test_the_fields_have_iodas_meaning_and_units() -> None:
    made = outage_event(STORED, until=99_999.0, coarse=False, network=named)
    assert (made.location, made.location_name) == ("asn/9198", "KT")
    assert (made.start, made.duration, made.uncertainty) == (8101, 16_201 - 8101, 8101 - 7260)
    assert (made.status, made.fraction, made.score) == (0, None, 0.97)
    assert not made.overlaps_window
    assert (made.kind, made.target, made.probes) == ("shutdown", None, 4)


def test_what_lasts_overlaps_the_window_and_what_is_not_known_is_null() -> None:
    lasting = replace(CUT, ended=None, began=Bracket(None, 7200.0), asn=0)
    made = outage_event(
        replace(STORED, event=lasting), until=9000.0, coarse=False, network=nameless
    )
    assert (made.location, made.location_name) == ("country/KZ", "KZ")
    assert (made.start, made.duration, made.uncertainty) == (7200, 1800, None)
    assert made.overlaps_window
    early = outage_event(replace(STORED, event=lasting), until=0.0, coarse=True, network=nameless)
    assert early.duration == 0


def test_a_coarse_event_has_whole_hours_that_contain_the_true_ones() -> None:
    made = outage_event(STORED, until=99_999.0, coarse=True, network=nameless)
    assert made.location_name == "AS9198"
    assert (made.start % 3600, made.duration % 3600, (made.uncertainty or 0) % 3600) == (0, 0, 0)
    assert made.start - (made.uncertainty or 0) <= 7260
    assert made.start >= 8101
    assert made.start + made.duration >= 16_201


@pytest.mark.parametrize("least", [1, 99])
def test_the_route_tells_what_the_list_of_events_does(tmp_path: Path, least: int) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=least) as harness:
            await fill(harness)
            for kind in ("shutdown", "whitelist", "blocking"):
                reply = await harness.ask("GET", f"/v1/outages/events?kind={kind}")
                assert reply.data["type"] == "outages.events"
                told = (await harness.ask("GET", f"/v1/events?kind={kind}")).data["events"]
                made = reply.data["data"]
                standing = [one["id"] for one in told if one["state"] != "withdrawn"]
                assert [one["id"] for one in made] == standing
                assert made
                for one in made:
                    assert one["coarse"] is (least > 1)
                    assert not one["coarse"] or one["start"] % 3600 == 0
            table = await harness.ask("GET", "/v1/outages/events?format=csv")
            rows = list(csv.DictReader(io.StringIO(table.body.decode())))
            assert rows[0]["location"].startswith(("asn/", "country/"))
            assert rows[0]["fraction"] == ""
            wrong = await harness.ask("GET", "/v1/outages/events?kind=no")
            assert wrong.status == 400

    asyncio.run(scenario())


def test_an_export_has_the_same_events_as_the_route(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with collector(tmp_path) as harness:
            await fill(harness)
            told: list[str] = []
            for kind in ("shutdown", "whitelist"):
                reply = await harness.ask("GET", f"/v1/outages/events?kind={kind}")
                told += [one["id"] for one in reply.data["data"]]
            return told

    told = asyncio.run(scenario())
    url = f"sqlite:///{next(tmp_path.glob('*.sqlite3'))}"
    words = ["export", "--store", url, "--format", "ioda", "-o"]
    for name, more in (
        ("a.json", list[str]()),
        ("b.csv", ["--public", "--public-min-probes", "99"]),
    ):
        done = CliRunner().invoke(cli, [*words, str(tmp_path / name), *more])
        assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "a.json").read_text())
    assert made["type"] == "outages.events"
    assert sorted(one["id"] for one in made["data"]) == sorted(told)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "b.csv").read_text())))
    assert sorted(one["id"] for one in rows) == sorted(told)
    assert {one["coarse"] for one in rows} == {"true"}
    assert {int(one["start"]) % 3600 for one in rows} == {0}
    done = CliRunner().invoke(cli, [*words, "-", "--country", "KG"])
    assert json.loads(done.stdout)["data"] == []
    done = CliRunner().invoke(cli, [*words, "-", "--outcome", "ok"])
    assert "--outcome: not with --format ioda" in str(done.exception) + done.output
