"""Exports: the same columns in every format, pseudonyms, and no more than may be shown."""

import csv
import gzip
import io
import itertools
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from collector import care
from collector.admin import export_columns, export_packing
from collector.api.parameters import SelectionParameters
from collector.cli import cli
from collector.record_numbers import line_state
from collector.store.interface import statements
from collector.store.queries import Selection
from probe import codec
from probe.model import Line
from tests.collector.admin.stored_rows import NOON, fill, key_id, row, url_of
from tests.collector.harness import record

ROOT = Path(__file__).parents[3]
DAY = 86_400.0


def export(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["export", "--store", url_of(folder), *options])


def rows_of(folder: Path, *options: str) -> list[dict[str, str]]:
    done = export(folder, "--format", "csv", *options)
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


# --- columns -------------------------------------------------------------------------------------


def test_every_format_has_the_same_columns(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    fill(tmp_path, [row(1, rate_target=1e6, line_faults="portal", line_loss=0.25)])
    of_csv = rows_of(tmp_path)[0]
    of_jsonl = json.loads(export(tmp_path).stdout)["collector"]
    file = tmp_path / "all.parquet"
    assert export(tmp_path, "-o", str(file)).exit_code == 0
    with duckdb.connect() as connection:
        found = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
    types = {name: type_ for name, type_, *_ in found}
    assert list(types) == list(of_csv) == list(of_jsonl) == list(export_columns.NAMES)
    times = {name for name, type_ in types.items() if "TIMESTAMP" in type_}
    assert times == {"measured_at", "started_at", "received_at"}
    assert {types[name] for name in times} == {"TIMESTAMP WITH TIME ZONE"}
    assert "at" not in types
    assert types["voting"] == "BOOLEAN"


def test_a_row_says_what_was_claimed_found_and_known_of_the_line(tmp_path: Path) -> None:
    numbers = {
        "rate_target": 1e6,
        "rate_reference": 2e6,
        "anchors_foreign": 0.5,
        "anchors_domestic": 1.0,
        "line_round_trip": 0.04,
        "line_loss": 0.25,
    }
    fill(tmp_path, [msgspec.structs.replace(row(1, line_faults="portal resigned"), **numbers)])
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection, connection:
        connection.execute("UPDATE measurement SET counted = 0")
    found = rows_of(tmp_path)[0]
    assert (found["claim"], found["outcome"], found["rule"]) == ("ok", "blocked", "tls.first")
    assert {name: float(found[name]) for name in numbers} == numbers
    assert found["line_faults"] == "portal resigned"
    assert (found["excluded"], found["voting"], found["standing"]) == ("true", "true", "vouched")
    assert found["measured_at"] == "2026-11-25T10:00:00.000Z"
    assert found["received_at"] == "2026-11-25T10:01:00.000Z"


def test_the_probes_clock_is_told_in_utc(tmp_path: Path) -> None:
    fill(tmp_path, [row(1, started_at="2026-11-25T15:00:00+05:00"), row(2, started_at="")])
    first, second = rows_of(tmp_path)
    assert first["started_at"] == "2026-11-25T10:00:00.000Z"
    assert second["started_at"] == ""


def test_the_state_of_a_line_is_in_words() -> None:
    line = Line(alive_after=False, portal=True, resigned_by="x", foreign_alive=0.5, loss=0.1)
    state = line_state(record(line=line))
    assert state.line_faults == "dead_after portal resigned"
    assert (state.anchors_foreign, state.line_loss) == (0.5, 0.1)


def test_every_column_is_described() -> None:
    page = (ROOT / "docs" / "researcher.md").read_text("utf-8")
    missing = [name for name in export_columns.NAMES if f"`{name}`" not in page]
    assert not missing


def test_an_exported_line_is_still_a_record(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    read = codec.decode(export(tmp_path).stdout_bytes.strip())
    assert read.verdict is not None
    assert read.verdict.outcome == "ok"
    assert isinstance(read.collector, dict)
    assert read.collector["outcome"] == "blocked"


# --- keys ----------------------------------------------------------------------------------------


def keys_of(folder: Path, *options: str) -> list[str]:
    return [one["key"] for one in rows_of(folder, *options)]


def test_a_key_is_told_by_a_pseudonym_of_the_release(tmp_path: Path) -> None:
    fill(tmp_path, [row(1, "a"), row(2, "b"), row(3, "a")])
    first, second, third = keys_of(tmp_path, "--release", "2026-11")
    assert first == third != second
    assert keys_of(tmp_path, "--release", "2026-11") == [first, second, third]
    assert not {first, second} & {*keys_of(tmp_path, "--release", "2026-12")}
    assert not {first, second} & {*keys_of(tmp_path)}
    assert len({*keys_of(tmp_path), *keys_of(tmp_path)}) == 4


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_no_export_has_a_key_or_a_secret(tmp_path: Path, format_: str) -> None:
    fill(tmp_path, [row(1, "a"), row(2, "b")])
    text = export(tmp_path, "--format", format_, "--release", "x").stdout
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        secret = connection.execute("SELECT value FROM meta WHERE name = 'release x'").fetchone()[0]
    assert len(secret) == 64
    assert not [one for one in (secret, key_id("a"), key_id("b")) if one in text]


def test_a_release_has_a_plain_name(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    done = export(tmp_path, "--release", "public/2026-11")
    assert "letters, digits" in str(done.exception)


# --- care ----------------------------------------------------------------------------------------


def crowd() -> list[Any]:
    """Three probes on one network, and one alone on another."""
    many = [row(n, key) for n, key in enumerate("abc", 1)]
    return [*many, row(4, "d", at=NOON + 1234.5, asn=48503)]


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_in_public_a_probe_that_is_alone_is_not_told(tmp_path: Path, format_: str) -> None:
    fill(tmp_path, crowd())
    text = export(tmp_path, "--format", format_, "--public").stdout
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = [json.loads(line)["collector"] for line in text.splitlines()]
    alone = rows[3]
    assert [one["measured_at"][14:] for one in rows[:3]] == ["00:00.000Z"] * 3
    assert alone["measured_at"] == alone["started_at"] == "2026-11-25T10:00:00.000Z"
    assert {"id", "run", "key", "region"} <= care.HIDDEN
    hidden = [*care.HIDDEN & {*alone}, "origin", "received_at"]
    assert not [alone[name] for name in hidden if alone[name] and name != "network"]
    # It is the name that everybody uses, not what the probe wrote.
    assert alone["network"] != "JSC Kazakhtelecom"
    assert [str(one["coarse"]).lower() for one in rows] == ["false"] * 3 + ["true"]
    assert all(one["key"] and one["id"] for one in rows[:3])
    assert row(4).id not in text
    assert "10:20:34" not in text
    assert "48503" in text


def test_in_public_evidence_of_few_probes_is_not_told_and_lines_are_records(tmp_path: Path) -> None:
    fill(tmp_path, crowd())
    *many, alone = map(codec.decode, export(tmp_path, "--public").stdout_bytes.splitlines())
    assert all(one.steps for one in many)
    assert (alone.steps, alone.verdict, alone.started_at[:13]) == ((), None, "2026-11-25T10")


def test_in_public_the_place_of_a_row_does_not_tell_when_it_arrived(tmp_path: Path) -> None:
    many = [row(n, "abc"[n % 3], NOON + 60 * n) for n in range(50)]
    alone = [row(100 + n, "d", NOON + 60 * n, asn=48503) for n in range(0, 50, 10)]
    fill(tmp_path, sorted([*many, *alone], key=lambda one: one.at))
    asns = [one["asn"] for one in rows_of(tmp_path, "--public")]
    assert asns == ["9198"] * 50 + ["48503"] * 5


def test_in_public_shorter_periods_do_not_tell_the_time(tmp_path: Path) -> None:
    fill(tmp_path, crowd())

    def shown(since: str, until: str) -> int:
        period = ("--since", f"2026-11-25T{since}Z", "--until", f"2026-11-25T{until}Z")
        return len(rows_of(tmp_path, "--public", "--asn", "48503", *period))

    assert shown("10:00:00", "10:01:00") == 1
    assert shown("10:20:00", "10:21:00") == 0
    assert len(rows_of(tmp_path, "--asn", "48503", "--since", "2026-11-25T10:20:00Z")) == 1


def test_in_public_a_row_that_claims_a_network_with_few_probes_is_coarse(tmp_path: Path) -> None:
    fill(tmp_path, [*crowd(), row(5, "a", claimed_country="KZ", claimed_asn=48503)])
    assert [one["coarse"] for one in rows_of(tmp_path, "--public")] == [
        *["false"] * 3,
        *["true"] * 2,
    ]


def test_in_public_a_key_that_moves_is_another_one(tmp_path: Path) -> None:
    crowds = [row(n, key, asn=asn) for n, (key, asn) in enumerate(itertools.product("abc", (1, 2)))]
    fill(tmp_path, crowds)
    assert len({*keys_of(tmp_path)}) == 3
    public = keys_of(tmp_path, "--public")
    assert "" not in public
    assert len({*public}) == 6


def test_an_operator_sees_everything(tmp_path: Path) -> None:
    fill(tmp_path, crowd())
    assert rows_of(tmp_path)[3]["measured_at"] == "2026-11-25T10:20:34.500Z"


# --- which records, and how packed ---------------------------------------------------------------


def test_the_command_selects_like_the_api() -> None:
    names = {option.name for option in cli.commands["export"].params}
    assert {name.removesuffix("_") for name in SelectionParameters.__struct_fields__} <= {
        (name or "").removesuffix("_") for name in names
    }
    for statement in ("export_page", "export_count"):
        missing = [one.name for one in fields(Selection) if f":{one.name}" not in _sql(statement)]
        assert not missing


def _sql(name: str) -> str:
    return statements()[name]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--target", "other.example"], [2]),
        (["--asn", "AS48503"], [3]),
        (["--country", "ru"], [4]),
        (["--outcome", "ok"], [5]),
        (["--experiment", "dns"], [6]),
        (["--role", "control"], [7]),
        (["--input", "https://OTHER.example"], [8]),
        (["--since", "2026-11-25T11:00:00Z"], [9]),
        (["--until", "2026-11-25"], [10]),
    ],
)
def test_only_what_was_asked_for_is_exported(
    tmp_path: Path, options: list[str], expected: list[int]
) -> None:
    rows = [
        row(1),
        row(2, target="other.example"),
        row(3, asn=48503),
        row(4, country="RU"),
        row(5, outcome="ok"),
        row(6, experiment="dns"),
        row(7, role="control"),
        row(8, input="https://other.example/"),
        row(9, at=NOON + 7200),
        row(10, at=NOON - DAY),
    ]
    fill(tmp_path, rows)
    assert [int(one["id"][-12:]) for one in rows_of(tmp_path, *options)] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--country", "KAZ"], "two letters"),
        (["--asn", "x"], "a number expected"),
        (["--format", "parquet"], "needs -o FILE"),
        (["-o", "x.parquet", "--compress", "gzip"], "compresses itself"),
    ],
)
def test_an_unusable_option_is_named(tmp_path: Path, options: list[str], message: str) -> None:
    fill(tmp_path, [row(1)])
    assert message in str(export(tmp_path, *options).exception)


def test_the_name_of_the_file_says_format_and_compression(tmp_path: Path) -> None:
    fill(tmp_path, [row(n) for n in range(30)])
    plain = export(tmp_path, "--format", "csv", "--release", "r").stdout_bytes
    assert export(tmp_path, "-o", f"{tmp_path}/a.csv.gz", "--release", "r").exit_code == 0
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == plain
    assert export(tmp_path, "-o", f"{tmp_path}/a.jsonl.gz").exit_code == 0
    assert len(gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()) == 30
    piped = export(tmp_path, "--compress", "gzip", "--format", "csv", "--release", "r")
    assert gzip.decompress(piped.stdout_bytes) == plain


def test_zstandard_is_written(tmp_path: Path) -> None:
    try:
        zstd = export_packing.zstd()
    except ModuleNotFoundError:
        pytest.skip("Zstandard is not installed")
    fill(tmp_path, [row(n) for n in range(30)])
    assert export(tmp_path, "-o", f"{tmp_path}/a.jsonl.zst").exit_code == 0
    assert len(zstd.decompress((tmp_path / "a.jsonl.zst").read_bytes()).splitlines()) == 30


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["jsonl.gz", "csv", "parquet"])
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path, format_: str) -> None:
    if format_ == "parquet":
        pytest.importorskip("duckdb")
    sizes = []
    for number in (2_500, 10_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        raw = row(0).raw
        fill(folder, (row(n, raw=raw) for n in range(number)))
        sizes.append(_peak(folder, f"{folder}/all.{format_}"))
    assert sizes[1] < 1.25 * sizes[0]


def _peak(folder: Path, output: str) -> int:
    """The most memory of an export in a process of its own, kilobytes."""
    code = (
        "import resource, sys; from collector.cli import cli;"
        "cli(sys.argv[1:], standalone_mode=False);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    words = [sys.executable, "-c", code, "export", "--store", url_of(folder), "-o", output]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(done.stdout)
