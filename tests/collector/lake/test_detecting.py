"""Events of a lake: those that a replay of its store tells."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from collector.cli import cli
from collector.lake import writing
from tests.collector.admin.stored_rows import fill, looks, url_of
from tests.collector.lake.test_lake import lake, written

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_lake_tells_the_events_that_its_store_does(tmp_path: Path, processes: str) -> None:
    rows = looks()
    abroad = [replace(one, id=f"9{one.id[1:]}", country="RU", asn=8359) for one in looks("def")]
    fill(tmp_path, sorted([*rows, *abroad], key=lambda one: one.at))
    written(tmp_path)
    told = lake(tmp_path, "events", "--quorum", "3", "--processes", processes).stdout
    of_lake = [json.loads(line) for line in told.splitlines()]
    words = ("replay", "--from", url_of(tmp_path), "--quorum", "3", "--format", "json")
    replayed = CliRunner().invoke(cli, ["events", *words])
    of_store = json.loads(replayed.stdout)["events"]
    assert len(of_lake) == 2
    kept = ("kind", "target", "country", "asn", "state", "began", "ended", "probes", "mechanisms")
    shown = [{name: one[name] for name in kept} for one in of_lake]
    wanted = [{name: one[name] for name in kept} for one in of_store]
    assert sorted(shown, key=str) == sorted(wanted, key=str)
