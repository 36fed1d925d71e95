"""Archives of OONI's measurements in a store: without a vote, once, and with the table."""

import asyncio
import csv
import gzip
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.store import open_store, queries
from collector.store.queries import MeasurementSummary, Selection
from tests.probe.interop.ooni.incoming.measured import Entry
from tests.probe.interop.ooni.incoming.situations import SITUATIONS

CHOSEN = {
    "https works": (True, False),
    "a reset after the hello": (False, "http-failure"),
    "an unknown authority here alone": (False, "http-failure"),
    "NXDOMAIN here, no control": (False, "dns"),
}


def made(number: int, name: str, day: str = "2019-07-18") -> Entry:
    found = SITUATIONS[name].make()
    found["measurement_uid"] = f"{day}-{number}"
    found["measurement_start_time"] = f"{day} 10:00:00"
    found["test_keys"]["accessible"], found["test_keys"]["blocking"] = CHOSEN[name]
    return found


def archive(file: Path, names: Iterable[str], *more: Entry) -> Path:
    every = [*(made(number, name) for number, name in enumerate(names)), *more]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, every)).encode()))
    return file


def import_into(url: str, file: Path, *options: str) -> Result:
    arguments = ["import", "--store", url, "--format", "ooni", str(file), *options]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def rows(url: str) -> list[MeasurementSummary]:
    async def read() -> list[MeasurementSummary]:
        store = await open_store(url)
        try:
            every = queries.page(Selection(), cursor=None, limit=1000)
            return list(await store.read(every))
        finally:
            await store.close()

    return asyncio.run(read())


def test_an_archive_is_stored_judged_and_has_no_vote(tmp_path: Path, any_store: str) -> None:
    done = import_into(any_store, archive(tmp_path / "a.jsonl.gz", CHOSEN), "--as", "kz-2019")
    assert done.exit_code == 0, done.output
    assert "CC BY-NC-SA 4.0" in done.output
    assert "4 stored, all new; without a vote" in done.output
    found = rows(any_store)
    assert sorted(row.outcome for row in found) == ["blocked", "inconclusive", "intercepted", "ok"]
    assert {row.voting for row in found} == {0}
    assert {row.stage for row in found} == {"suspected"}
    assert {(row.country, row.asn) for row in found} == {("KZ", 9198)}
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "http-failure intercepted 1" in lines
    assert "dns → inconclusive: 1 (unclear.no_control)" in lines


def test_nothing_of_it_is_in_what_is_counted_for_quorums(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite3"
    import_into(f"sqlite:///{store}", archive(tmp_path / "a.jsonl.gz", CHOSEN))
    with sqlite3.connect(store) as read:
        for table in ("vote", "newest"):
            assert read.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)


def test_one_key_confirms_nothing_of_its_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.sqlite3"
    later = {**made(9, "a reset after the hello", "2019-07-19"), "report_id": "another"}
    import_into(url, archive(tmp_path / "a.jsonl.gz", CHOSEN, later))
    assert [row.stage for row in rows(url) if row.outcome == "blocked"] == ["suspected"] * 2


def test_an_export_says_what_was_made_of_ooni_s_and_its_licence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.sqlite3"
    import_into(url, archive(tmp_path / "a.jsonl.gz", CHOSEN))
    for name in ("all.csv", "all.jsonl"):
        file = tmp_path / name
        done = CliRunner().invoke(cli, ["export", "--store", url, "-o", str(file)])
        assert done.exit_code == 0, done.output
        assert "CC BY-NC-SA 4.0" in done.output
    head, *lines = csv.reader((tmp_path / "all.csv").read_text().splitlines())
    assert {line[head.index("made_from")] for line in lines} == {"ooni"}
    kept = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {one["origin"] for one in kept} == {"ooni"}


def test_it_has_no_vote_either_where_an_export_is_imported(tmp_path: Path) -> None:
    first, second = (f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("one", "two"))
    import_into(first, archive(tmp_path / "a.jsonl.gz", CHOSEN))
    file = str(tmp_path / "all.jsonl")
    assert CliRunner().invoke(cli, ["export", "--store", first, "-o", file]).exit_code == 0
    done = CliRunner().invoke(cli, ["import", "--store", second, file])
    assert done.exit_code == 0, done.output
    assert [row.voting for row in rows(second)] == [0] * 4


def test_it_is_stored_once_also_after_an_import_that_was_ended(
    tmp_path: Path, any_store: str
) -> None:
    import_into(any_store, archive(tmp_path / "part.jsonl.gz", list(CHOSEN)[:2]))
    whole = archive(tmp_path / "whole.jsonl.gz", CHOSEN)
    assert "2 stored, 2 were there" in import_into(any_store, whole).output
    again = import_into(any_store, whole)
    assert "0 stored, 4 were there" in again.output
    assert "measurements judged" in again.output
    assert len(rows(any_store)) == 4


def test_what_is_refused_or_left_out_is_told_and_the_rest_is_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.sqlite3"
    broken = {**made(7, "https works"), "input": None}
    other = {**made(8, "https works"), "test_name": "dash"}
    file = archive(tmp_path / "a.jsonl.gz", CHOSEN, broken, other)
    done = import_into(url, file)
    assert done.exit_code == 1
    assert f"{file}:5: input is no http(s) URL" in done.output
    assert "left out, without a counterpart here: dash 1" in done.output
    assert len(rows(url)) == 4


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_table_has_other_forms(form: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.sqlite3"
    done = import_into(url, archive(tmp_path / "a.jsonl.gz", CHOSEN), "--table", form)
    if form == "json":
        assert json.loads(done.stdout)["judged"] == 4
    else:
        assert done.stdout.startswith("said,outcome,same,count,rule,reason,input,place\n")


def test_what_a_probe_uploads_may_not_say_that_it_was_imported() -> None:
    from msgspec.structs import replace

    from collector.places import RequestOrigin
    from collector.record_row import BatchContext, refusal
    from tests.collector.harness import record

    context = BatchContext("k", "probe", lab=True, now=1.8e9, origin=RequestOrigin())
    sent = replace(record("https://site.example/"), origin="ooni", lab=False)
    assert "only the operator imports" in (refusal(sent, context) or "")
