"""Judging a lake again: the same verdicts as in the store, by any number of workers."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from collector import record_row
from collector.cli import cli
from collector.lake import rejudging, writing
from collector.store.measurements import Judged
from probe import codec
from probe.lab.cases import read
from probe.model import Record
from tests.collector.admin.stored_rows import DAY, NOON, fill, row, url_of
from tests.collector.lake.test_lake import lake, manifest, rows_of, written

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
CASES = sorted((Path(__file__).parents[2] / "cases" / "web").glob("*.json"))[::8]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)


@pytest.fixture
def stored(tmp_path: Path, settled: None) -> Path:
    laboratory_store(tmp_path)
    del settled
    return tmp_path


def laboratory_store(folder: Path) -> None:
    """A store of records from the laboratory on two days, and its lake."""
    rows = []
    for number, file in enumerate(CASES):
        case = read(file)
        one = row(number, "ab"[number % 2], NOON + (number % 2) * DAY + number)
        sent = replace(case.record, id=one.id, started_at=one.started_at, lab=True)
        body = zlib.compress(codec.encode(replace(sent, certs={})))
        rows.append(replace(one, raw=body, lab=1, input=sent.input, outcome="inconclusive"))
    fill(folder, sorted(rows, key=lambda one: one.at))
    written(folder)


def test_a_lake_is_judged_as_its_store_is(stored: Path) -> None:
    told = lake(stored, "rejudge", "--processes", "1").stdout
    assert told.startswith(f"{len(CASES)} judged again, ")
    assert CliRunner().invoke(cli, ["rejudge", "--store", url_of(stored)]).exit_code == 0
    with closing(sqlite3.connect(stored / "store.sqlite3")) as connection:
        of_store = dict(connection.execute("SELECT id, outcome FROM measurement"))
    of_lake = {one["id"]: one["outcome"] for one in rows_of(stored, "verdicts")}
    assert of_lake == of_store
    assert len(set(of_lake.values())) > 2


def test_judging_again_replaces_the_verdicts(stored: Path) -> None:
    for processes in ("1", "2"):
        lake(stored, "rejudge", "--processes", processes)
        assert len(rows_of(stored, "verdicts")) == len(CASES)
        assert len(manifest(stored).of("verdicts")) == 2
    assert lake(stored, "check").output == ""


def test_a_record_that_no_rule_can_judge_is_told_with_the_first_error(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake(stored, "rejudge", "--processes", "1")
    first = rows_of(stored, "verdicts")[0]["id"]

    def judge_again(record: Record, *more: Any, **named: Any) -> Judged:
        if record.id == first:
            raise ZeroDivisionError("in a rule\n\udc80")
        return record_row.judge_again(record, *more, **named)

    monkeypatch.setattr(rejudging, "judge_again", judge_again)
    done = lake(stored, "rejudge", "--processes", "1")
    assert done.stdout.startswith(f"{len(CASES) - 1} judged again, ")
    why = f"1 could not be judged; the first: {first}: ZeroDivisionError: in a rule\\u000a\\udc80"
    assert done.stderr.splitlines() == [why]
