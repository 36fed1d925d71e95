"""Archives into a lake without a store: each measurement once, without a vote."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.lake import archives, lots, manifest as manifests, writing
from collector.lake.files import LakeFiles
from collector.lake.manifest import Manifest
from collector.settings import SettingsError
from probe import codec
from tests.collector.admin.stored_rows import fill, row
from tests.collector.admin.test_import_ooni import CHOSEN, archive, made
from tests.collector.harness import record
from tests.collector.lake.test_lake import lake, rows_of, written

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")


def imported(folder: Path, *words: str, fails: bool = False) -> Result:
    return lake(folder, "import", *words, fails=fails)


def of_ooni(folder: Path, *files: Path, name: str = "kz-2019") -> Result:
    return imported(folder, "--format", "ooni", "--as", name, *map(str, files))


def test_an_archive_is_judged_and_has_no_vote(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.jsonl.gz", CHOSEN)
    done = of_ooni(tmp_path, file)
    assert "4 records, " in done.stdout
    assert "CC BY-NC-SA 4.0" in done.stderr
    found = rows_of(tmp_path, "measurements")
    assert sorted(one["outcome"] for one in found) == [
        "blocked",
        "inconclusive",
        "intercepted",
        "ok",
    ]
    assert {one["made_from"] for one in found} == {"ooni"}
    assert {one["voting"] for one in found} == {False}
    assert {(one["country"], str(one["dt"])) for one in found} == {("KZ", "2019-07-18")}
    assert rows_of(tmp_path, "votes") == []
    assert {one["id"] for one in rows_of(tmp_path, "steps")} == {one["id"] for one in found}
    counted = lake(tmp_path, "query", "--sql", "SELECT COUNT(*) FROM counted").stdout
    assert counted.splitlines()[1] == "0"
    assert "ooni-kz-2019" in manifests.read(LakeFiles(str(tmp_path / "lake"))).origins


def test_a_bug_of_a_rule_costs_its_record_alone_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> NoReturn:
        raise ZeroDivisionError("of a rule")

    monkeypatch.setattr("probe.judge.judge", broken)
    done = of_ooni(tmp_path, archive(tmp_path / "a.jsonl.gz", CHOSEN))
    first = rows_of(tmp_path, "measurements")
    assert {one["outcome"] for one in first} == {"inconclusive"}
    assert "4 kept as inconclusive, not judged: bug\n" in done.stderr
    assert ": ZeroDivisionError('of a rule')\n" in done.stderr


def test_a_measurement_is_there_once_whoever_brings_it(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.jsonl.gz", CHOSEN)
    again = archive(tmp_path / "b.jsonl.gz", CHOSEN, made(9, "https works"))
    of_ooni(tmp_path, file)
    assert "1 records, " in (done := of_ooni(tmp_path, again, again, name="other")).stdout
    assert "9 were there" in done.stdout
    found = [one["id"] for one in rows_of(tmp_path, "measurements")]
    assert len(found) == len(set(found)) == 5
    assert lake(tmp_path, "check").output == ""


def test_an_import_that_was_killed_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [made(number, "https works", f"2019-07-{number}") for number in range(10, 20)]
    file = archive(tmp_path / "a.jsonl.gz", (), *days)
    monkeypatch.setattr(lots, "LOT_RECORDS", 3)
    monkeypatch.setattr(archives, "_IDS", 2)
    write, kept = manifests.write, list[Manifest]()

    def killed(files: LakeFiles, changed: Manifest) -> None:
        kept.append(changed)
        if len(kept) == 4:
            raise KeyboardInterrupt
        write(files, changed)

    with monkeypatch.context() as patched:
        patched.setattr(manifests, "write", killed)
        words = ["lake", "import", "--format", "ooni", str(file), "--to", str(tmp_path / "lake")]
        assert CliRunner().invoke(cli, words).exit_code != 0
    assert len(rows_of(tmp_path, "measurements")) == 6
    done = of_ooni(tmp_path, file, name="import")
    assert ("4 records, " in done.stdout, "6 were there" in done.stdout) == (True, True)
    assert len({one["id"] for one in rows_of(tmp_path, "measurements")}) == 10
    assert lake(tmp_path, "check").output == ""


def test_both_sources_lie_beside_a_store_and_are_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)
    fill(tmp_path, [row(1)])
    written(tmp_path)
    own = tmp_path / "own.jsonl"
    sent = [record(id=f"00000000-0000-0000-0000-{number:012}") for number in (1, 2)]
    own.write_bytes(b"".join(codec.encode(one) + b"\n" for one in sent))
    imported(tmp_path, "--as", "laptop", str(own))
    of_ooni(tmp_path, archive(tmp_path / "a.jsonl.gz", CHOSEN))
    judged = len(rows_of(tmp_path, "measurements"))
    told = lake(tmp_path, "rejudge", "--processes", "1").stdout
    assert told.startswith(f"{judged} judged again, ")
    assert len(rows_of(tmp_path, "verdicts")) == judged
    imports = [one for one in rows_of(tmp_path, "measurements") if one["id"] != row(1).id]
    assert len(imports) == 5
    of_day = {one["id"]: one["outcome"] for one in rows_of(tmp_path, "verdicts")}
    assert all(of_day[one["id"]] == one["outcome"] for one in imports)


def test_what_is_no_measurement_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    other = {**made(2, "https works"), "test_name": "ndt"}
    lines = ["nonsense", json.dumps(made(1, "https works")), json.dumps(other), '{"test_keys":{}}']
    file.write_text("\n".join(lines))
    done = imported(tmp_path, "--format", "ooni", str(file), fails=True)
    assert done.exit_code == 1
    assert done.stdout.startswith("1 records, ")
    assert done.stdout.endswith("; 0 were there; 1 refused\n")
    assert f"{file}:1: no JSON" in done.stderr
    assert "1 left out: ndt has no counterpart" in done.stderr
    assert "1 left out: unnamed has no counterpart" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl: is not there"),
        (("/",), "/: Is a directory"),
        (("--as", "../x", "/"), "--as “../x”"),
        (("--targets", "nonsense", "/"), "nonsense"),
    ],
)
def test_a_bad_input_is_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = imported(tmp_path, *words, fails=True)
    assert isinstance(done.exception, SettingsError)
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    done = imported(tmp_path, str(tmp_path), fails=True)
    assert isinstance(done.exception, SettingsError)
    assert str(tmp_path / "lake") in str(done.exception)
