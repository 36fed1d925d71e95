"""`qazcollector report`: what it answers, that its bytes repeat, and what it leaves on failure."""

import csv
import hashlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from collector.cli import main
from tests.collector.report.conftest import DAYS, run, written
from tests.collector.report.fortnight import CHANGED, INTERCEPTED, LIFTED, NEW, THROTTLED

COMMAND = (sys.executable, "-c", "from collector.cli import main; main()", "report")
FEW = {"41798", "200590"}
DAYS_OF_IT = ("08-29", "08-30", "08-31", "09-01")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def at(folder: Path, target: str, asn: int) -> dict[str, str]:
    rows = table(folder, "interference")
    (found,) = [one for one in rows if (one["target"], one["asn"]) == (target, str(asn))]
    return found


def test_it_says_which_sites_are_blocked_where_how_and_on_what_evidence(folder: Path) -> None:
    one = at(folder, NEW, 9198)
    assert (one["state"], one["kind"], one["category"]) == ("confirmed", "blocking", "NEWS")
    assert one["mechanisms"] == f"tls.reset:{one['interfered']}"
    assert 0 < int(one["interfered"]) < int(one["conclusive"])
    assert one["probes"] == one["probes_interfered"] == "3"
    assert one["began_after"] < "2024-08-30T00:00" < one["began_by"] < "2024-08-30T12"
    assert at(folder, LIFTED, 9198)["state"] == "ended"
    assert at(folder, INTERCEPTED[0], 9198)["authority"] == "kz.isca"
    assert {one["target"] for one in table(folder, "interference")} >= {*THROTTLED, CHANGED}


def test_what_one_probe_saw_is_not_called_confirmed(folder: Path) -> None:
    lone = [one for one in table(folder, "interference") if one["asn"] == "200590"]
    assert lone
    assert {one["state"] for one in lone} <= {"suspected", "measured"}


def test_it_says_what_began_ended_and_goes_on_otherwise(folder: Path) -> None:
    found = {(one["target"], one["change"]) for one in table(folder, "changes")}
    assert {(NEW, "began"), (LIFTED, "ended"), (CHANGED, "mechanism")} <= found
    changed = next(one for one in table(folder, "changes") if one["target"] == CHANGED)
    assert (changed["mechanisms_before"], changed["mechanisms"]) == (
        "tls.timeout",
        "http.blockpage",
    )


def test_the_interceptions_have_their_certificates(folder: Path) -> None:
    (one,) = table(folder, "interceptions")
    assert (one["authority"], one["proof"]) == ("kz.isca", "claimed")
    assert len(one["intermediate_sha1"]) == 40
    assert one["intermediate_serial"]
    assert one["names"].split() == sorted(INTERCEPTED)
    assert (folder / "certificates" / f"{one['intermediate_sha256']}.pem").exists()


def test_throttling_stands_beside_its_reference(folder: Path) -> None:
    rows = table(folder, "throttling")
    slow = [float(one["ratio"]) for one in rows if one["asn"] == "9198"]
    fine = [float(one["ratio"]) for one in rows if one["asn"] == "206026"]
    assert len(slow) == 4
    assert max(slow) < 0.1
    assert min(fine) > 0.8


def test_the_sums_and_outcomes_of_both_times_are_tables(folder: Path) -> None:
    found = {one["what"]: one for one in table(folder, "summary")}
    data = json.loads((folder / "manifest.json").read_text())["data"]
    assert int(found["records"]["number"]) == data["records"]
    assert int(found["records"]["number_before"]) == data["previous_records"]
    places = table(folder, "interference")
    sites = {one["target"] for one in places if one["state"] in {"confirmed", "ended"}}
    assert found["sites_confirmed"]["number"] == str(len(sites))
    outcomes = {one["outcome"]: one for one in table(folder, "outcomes")}
    assert outcomes["intercepted"]["measurements_before"] == "0"
    counted = sum(int(one["measurements"]) for one in table(folder, "sites"))
    assert sum(int(one["measurements"]) for one in outcomes.values()) == counted


def test_every_table_of_the_page_is_a_file_that_the_guide_names(folder: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    (row,) = re.findall(r"^\| `tables/\*\.csv` \| (.*) \|$", guide, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {one.stem for one in (folder / "tables").iterdir()}


def test_gaps_of_coverage_are_told(folder: Path) -> None:
    rows = table(folder, "coverage")
    assert {one["asn"] for one in rows if one["fewer_than_3_probes"] == "true"} == {
        *("29355", "48503", "206026", "39824"),
        *FEW,
    }
    assert len([one for one in rows if one["asn"] == "39824"]) == 3  # of four days


def test_heartbeats_say_who_was_heard_on_which_day(folder: Path) -> None:
    rows = table(folder, "heartbeats")
    assert {one["day"] for one in rows} == {f"2024-{day}" for day in DAYS_OF_IT}
    second = {one["asn"]: one for one in rows if one["day"] == "2024-08-30"}
    home = second["9198"]
    assert (home["probes"], home["most_at_once"], home["fewer_than_3_probes"]) == (
        "3",
        "3",
        "false",
    )
    # Two hours without them, but for the ten minutes after the last slot with a heartbeat.
    assert home["heard_minutes"] == home["minutes_with_3_probes"] == str(24 * 60 - 100)
    assert home["cut_minutes"] == "60"


def test_the_hours_of_networks_with_few_probes_are_not_told(folder: Path) -> None:
    few = [one for one in table(folder, "heartbeats") if one["asn"] in FEW]
    assert {(one["coarse"], one["fewer_than_3_probes"]) for one in few} == {("true", "true")}
    hours = ("most_at_once", "heard_minutes", "minutes_with_3_probes", "cut_minutes")
    assert {one[name] for one in few for name in hours} == {""}
    assert not FEW & {one["asn"] for one in table(folder, "gaps")}


def test_gaps_between_heartbeats_have_their_reason(folder: Path) -> None:
    found = {(one["asn"], one["since"]): one for one in table(folder, "gaps")}
    off = found["9198", "2024-08-30T20:00Z"]
    assert (off["until"], off["minutes"], off["reason"], off["probes_before"]) == (
        "2024-08-30T21:00Z",
        "60",
        "unknown",
        "3",
    )
    assert found["9198", "2024-08-30T10:00Z"]["reason"] == "cut"
    assert found["9198", "2024-08-31T05:00Z"]["reason"] == "collector"


def test_a_silence_that_nothing_confirms_has_its_place(folder: Path) -> None:
    rows = table(folder, "outages")
    (alone,) = [one for one in rows if one["state"] == "unconfirmed"]
    assert (alone["asn"], alone["kind"], alone["sources"]) == ("9198", "silence", "silence")
    (told,) = [one for one in rows if one["state"] == "suspected" and one["kind"] == "silence"]
    assert (told["asn"], told["sources"]) == ("9198", "silence spool")
    assert "2024-08-30T20:00Z" < alone["began_by"] < "2024-08-30T20:20Z"
    assert alone["probes"] == "3"
    # Events have their own rows.
    events = [one for one in rows if one["event"]]
    assert {one["event"] for one in events} == {
        one["id"] for one in table(folder, "events") if one["kind"] in {"shutdown", "whitelist"}
    }
    assert "206026" in {one["asn"] for one in events}


def without_heartbeats(url: str, folder: Path, where: str) -> str:
    """The URL of a copy of this store that lacks some of its heartbeats."""
    file = folder / "copy.sqlite3"
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as store,
        closing(sqlite3.connect(file)) as copy,
        copy,
    ):
        store.backup(copy)
        copy.execute(f"DELETE FROM beat WHERE hour * 3600 {where}")
    return f"sqlite:///{file}"


def test_what_has_not_passed_yet_is_no_gap(store_url: str, tmp_path: Path) -> None:
    url = without_heartbeats(store_url, tmp_path, ">= unixepoch('2024-09-01 06:00')")
    folder = written(url, tmp_path / "kz")
    last = [one for one in table(folder, "heartbeats") if one["day"] == "2024-09-01"]
    assert {one["known_minutes"] for one in last} == {str(6 * 60)}
    assert max(one["until"] for one in table(folder, "gaps")) < "2024-09-01"


def test_a_time_of_which_no_heartbeats_are_kept_is_unknown(store_url: str, tmp_path: Path) -> None:
    words = ("--since", "2024-08-25", "--until", "2024-08-27", "--country", "KZ")
    url = without_heartbeats(store_url, tmp_path, "< unixepoch('2024-08-26')")
    folder = tmp_path / "kz"
    done = run(url, *words, "-o", str(folder))
    assert done.exit_code == 0, done.output
    assert {one["day"] for one in table(folder, "heartbeats")} == {"2024-08-26"}
    assert "Of 1 days no heartbeats are kept" in (folder / "report.html").read_text()


def test_the_same_store_gives_the_same_bytes(store_url: str, folder: Path, tmp_path: Path) -> None:
    again = files(written(store_url, tmp_path / "again"))
    assert again == files(folder)


def test_the_manifest_has_the_hash_of_every_file(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    found = files(folder)
    del found["manifest.json"]
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert {name: one["sha256"] for name, one in manifest["files"].items()} == hashes
    assert manifest["data"]["sha256"] == hashes["data.parquet"]
    assert manifest["data"]["sha256"] in manifest["citation"]
    assert manifest["data"]["sha256"] in found["CITATION.cff"].decode()


def test_what_few_probes_measured_is_shown_to_the_hour_without_who(folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    data = pandas.read_parquet(folder / "data.parquet")
    few = data[data["asn"].isin([int(asn) for asn in FEW])]
    assert len(few)
    assert few["coarse"].all()
    assert few[["id", "run", "key", "origin", "received_at"]].isna().all(axis=None)
    assert (few["measured_at"].dt.minute == 0).all()
    assert data["measured_at"].is_monotonic_increasing
    keys = set(data["key"].dropna())
    assert all(re.fullmatch("[0-9a-f]{20}", key) for key in keys)


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_languages_change_the_page_and_not_the_data(
    language: str, store_url: str, folder: Path, tmp_path: Path
) -> None:
    other = files(written(store_url, tmp_path / language, "--lang", language))
    ours = files(folder)
    page = other["report.html"].decode()
    assert f'<html lang="{language}">' in page
    assert "Interference" not in page
    data = [name for name in ours if name.startswith(("tables/", "data", "previous"))]
    assert all(ours[name] == other[name] for name in data)


def test_the_page_needs_nothing_from_elsewhere(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    addresses = set(re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')\s>]+)", page))
    assert all(one.startswith("#") for one in addresses)
    assert "<script" not in page
    svgs = "".join(path.read_text() for path in (folder / "charts").iterdir())
    assert set(re.findall(r"https?://[^\"< ]+", svgs)) == {"http://www.w3.org/2000/svg"}


def test_categories_choose_sites(store_url: str, tmp_path: Path) -> None:
    folder = written(store_url, tmp_path / "news", "--categories", "humr,NEWS")
    assert {one["category"] for one in table(folder, "sites")} == {"NEWS", "HUMR"}
    assert {one["asn"] for one in table(folder, "coverage")} > FEW


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"--since": "yesterday"}, "yesterday"),
        ({"--since": "2024-08-29T10:00:00Z"}, "a whole day"),
        ({"--until": "2024-08-29"}, "--until is not after --since"),
        ({"--until": "2034-01-01"}, "at most 366"),
        ({"--since": "2999-01-01", "--until": "2999-01-02"}, "lies in the future"),
        ({"--country": "Kazakhstan"}, "two letters"),
        ({"--country": "RU"}, "no measurements of RU from 2024-08-29 to 2024-09-01"),
        ({"--categories": "NEW"}, "NEWS"),
        ({"--categories": ","}, "no code given"),
        ({"-o": "/proc/none/report"}, "/proc/none/report: No such file or directory"),
    ],
)
def test_every_bad_input_is_one_line(
    changes: dict[str, str], told: str, store_url: str, tmp_path: Path
) -> None:
    options = dict(zip(DAYS[::2], DAYS[1::2], strict=True)) | {"-o": str(tmp_path / "kz")}
    done = refused(store_url, options | changes)
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_touched(store_url: str, tmp_path: Path) -> None:
    options = dict(zip(DAYS[::2], DAYS[1::2], strict=True)) | {"-o": str(tmp_path)}
    assert "is there already" in refused(store_url, options).stderr
    assert list(tmp_path.iterdir()) == []


def refused(url: str, options: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    words = [word for pair in options.items() for word in pair]
    done = subprocess.run(
        [*COMMAND, "--store", url, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    return done


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_killed_midway_it_leaves_no_half_report(
    how: signal.Signals, store_url: str, tmp_path: Path
) -> None:
    words = ["--store", store_url, *DAYS, "-o", str(tmp_path / "kz")]
    process = subprocess.Popen([*COMMAND, *words])
    while process.poll() is None and not list(tmp_path.glob(".kz-*/.work")):
        time.sleep(0.005)
    process.send_signal(how)
    process.wait(timeout=60)
    assert not (tmp_path / "kz").exists()
    if how is signal.SIGTERM:
        assert list(tmp_path.iterdir()) == []
    assert files(written(store_url, tmp_path / "kz"))


def test_without_duckdb_it_says_what_to_install(
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SystemExit) as ended:
        main(["report", "--store", store_url, *DAYS, "-o", str(tmp_path / "kz")])
    assert ended.value.code == 2
    assert "pip install 'qazprobe[analytics]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
