"""Questions about a lake, on DuckDB (test_spark.py compares the rows with Spark's)."""

import asyncio
import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from collector.cli import cli
from collector.events import storage, waves
from collector.lake import questions, writing
from collector.lake.engines import Engine, engine
from collector.lake.files import LakeFiles
from collector.store import open_store
from collector.store.measurements import MeasurementRow
from tests.collector.admin.stored_rows import DAY, HOUR, NOON, fill, row, url_of
from tests.collector.events.test_reconcile import stored
from tests.collector.lake.test_lake import with_chain

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
FINE = {"outcome": "ok", "mechanisms": ""}


def history() -> Iterator[MeasurementRow]:
    """Four days of three probes at two sites: a block, a throttling, an interception."""
    number = 0
    for turn in range(16):
        for key in "abc":
            number += 1
            at = NOON + turn * 6 * HOUR + number
            seen = {} if 4 <= turn < 9 else FINE
            yield row(number, key, at, **seen)
            number += 1
            rates = {"rate_target": 16e3 * (turn + 1), "rate_reference": 1e6}
            slow = {"outcome": "throttled", "mechanisms": "throttle.policed"} if turn > 8 else FINE
            yield row(number, key, at, target="slow.example", experiment="throttle", **rates | slow)
    certs = (("c" * 64, b"leaf"), ("d" * 64, b"intermediate"))
    forged = row(900, "a", NOON + DAY, outcome="intercepted", mechanisms="tls.mitm", certs=certs)
    yield distrusted(with_chain(forged, *(sha256 for sha256, _ in certs)))
    yield row(901, "a", NOON, target="unlisted")
    yield row(902, "a", NOON, role="control")


def store_wave(folder: Path) -> None:
    """Events of one site on two networks within a day, put in a wave as a collector does; and one
    of another site, which is in none."""

    async def work() -> None:
        store = await open_store(url_of(folder))
        events = [
            stored("a", "listed.example", 9198, NOON),
            stored("b", "listed.example", 21299, NOON + 5 * HOUR),
            stored("c", "slow.example", 21299, NOON),
        ]
        changed = waves.with_waves(events, lambda: "w1", {"a", "b", "c"})
        await store.write(storage.put([events[2], *changed]))
        await store.close()

    asyncio.run(work())


def distrusted(one: MeasurementRow) -> MeasurementRow:
    import json
    import zlib

    body = json.loads(zlib.decompress(one.raw or b""))
    for step in body["steps"]:
        if step["op"] == "tls":
            step["trust"] = {
                "valid": False,
                "reason": "unknown_authority",
                "authority": {"id": "kz-2020", "kind": "interception", "proof": "verified"},
            }
    return replace(one, raw=zlib.compress(json.dumps(body, separators=(",", ":")).encode()))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    fill(folder, sorted(history(), key=lambda one: one.at))
    store_wave(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "SETTLED_SECONDS", -60.0)
        words = ("write", "--store", url_of(folder), "--to", str(folder / "lake"))
        assert CliRunner().invoke(cli, ["lake", *words]).exit_code == 0
    return folder / "lake"


@pytest.fixture(scope="module")
def duckdb(lake: Path) -> Iterator[Engine]:
    with engine("duckdb", LakeFiles(str(lake))) as found:
        yield found


def asked(of: Engine, name: str, **params: str) -> list[dict[str, Any]]:
    one = questions.find(name)
    rows: list[dict[str, Any]] = of.ask(one, questions.filled(one, params)).to_pylist()
    return rows


def ask(lake: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["lake", "query", "--lake", str(lake), *words])


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with numbers and times in one form."""
    return [
        {
            name: round(float(value), 6)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else str(value).removesuffix("+00:00")
            for name, value in row.items()
        }
        for row in rows
    ]


def test_a_block_is_bracketed_by_the_fine_looks_around_it(duckdb: Engine) -> None:
    (blocked,) = [one for one in asked(duckdb, "first_seen") if one["target"] == "listed.example"]
    first, last = blocked["first_seen"].timestamp(), blocked["last_seen"].timestamp()
    assert NOON + 24 * HOUR <= first < NOON + 25 * HOUR
    assert NOON + 48 * HOUR < last < NOON + 49 * HOUR
    assert 0 < first - blocked["fine_before"].timestamp() < 6 * HOUR
    assert 0 < blocked["fine_after"].timestamp() - last < 6 * HOUR + 10


def test_an_interception_is_told_with_what_signed_it(duckdb: Engine) -> None:
    (found,) = asked(duckdb, "interceptions")
    assert (found["authority"], found["proof"], found["intermediate"]) == (
        "kz-2020",
        "verified",
        "d" * 64,
    )
    assert (found["leaves"], found["sites"], found["probes"]) == (1, 1, 1)


def test_throttling_is_told_by_the_ratio_to_the_reference(duckdb: Engine) -> None:
    first = asked(duckdb, "throttling")[0]
    assert first["ratio"] == pytest.approx(0.032)
    assert (first["measurements"], first["probes"], first["throttled"]) == (9, 3, 0)


def test_a_wave_is_told_with_its_networks(duckdb: Engine) -> None:
    (found,) = asked(duckdb, "waves")
    assert (found["wave"], found["events"], found["networks"], found["sites"]) == ("w1", 2, 2, 1)
    spread = found["last_began"].timestamp() - found["first_began"].timestamp()
    assert spread == 5 * HOUR
    assert asked(duckdb, "waves", since="2026-11-27") == []


def test_controls_and_unlisted_sites_are_not_counted(duckdb: Engine) -> None:
    assert {one["target"] for one in asked(duckdb, "sites")} == {"listed.example", "slow.example"}
    assert sum(one["measurements"] for one in asked(duckdb, "coverage")) == 97


def test_without_a_name_the_questions_are_listed(lake: Path) -> None:
    listed = ask(lake).stdout
    assert all(f"{name}: " in listed for name in questions.questions())


def test_rows_come_as_csv_or_as_parquet(lake: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    rows = list(csv.DictReader(io.StringIO(ask(lake, "coverage").stdout)))
    assert rows[0]["day"] == "2026-11-25"
    file = tmp_path / "coverage.parquet"
    assert ask(lake, "coverage", "-o", str(file)).exit_code == 0
    assert parquet.read_table(file).num_rows == len(rows)
    seen = next(csv.DictReader(io.StringIO(ask(lake, "first_seen").stdout)))["first_seen"]
    assert seen.endswith("Z")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nonsense",), "one of coverage, "),
        (("sites", "--param", "colour=red"), "the question knows since, until, country, category"),
        (("sites", "--param", "since"), "NAME=VALUE expected"),
        (("sites", "--param", "since=yesterday"), "since=yesterday: a day such as "),
        (("sites", "--param", "until=2024-02-30"), "until=2024-02-30: a day such as "),
        (("outcomes", "--param", "by=hour"), "by=hour: one of day, week, month, year expected"),
        (("sites", "--sql", "SELECT 1"), "not both"),
        (("--sql", "SELECT colour FROM measurements"), "colour"),
        (("--sql", "CREATE TABLE x (y INT)"), "one question expected"),
        (("sites", "--format", "parquet"), "needs -o FILE"),
        (("sites", "--memory", "lots"), "Memory must have a number"),
    ],
)
def test_a_bad_question_is_one_line(lake: Path, words: tuple[str, ...], told: str) -> None:
    done = ask(lake, *words)
    assert done.exit_code != 0
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)


def test_the_lake_of_an_empty_store_has_empty_tables(tmp_path: Path) -> None:
    fill(tmp_path, [])
    words = ("write", "--store", url_of(tmp_path), "--to", str(tmp_path / "lake"))
    assert CliRunner().invoke(cli, ["lake", *words]).exit_code == 0
    assert ask(tmp_path / "lake", "sites").stdout.count("\n") == 1


def test_outcomes_are_told_by_longer_periods(duckdb: Engine) -> None:
    days, months = (asked(duckdb, "outcomes", by=by) for by in ("day", "month"))
    assert {str(one["day"]) for one in months} == {"2026-11-01"}
    assert len(months) < len(days)
    assert sum(one["measurements"] for one in months) == sum(one["measurements"] for one in days)
    assert max(one["probes"] for one in months) == 3


def test_files_of_a_later_version_are_read_beside_older_ones(lake: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    from collector.lake import manifest as manifests
    from collector.lake.manifest import Manifest

    shutil.copytree(lake, tmp_path / "lake")
    files = LakeFiles(str(tmp_path / "lake"))
    known = manifests.read(files)
    first, *others = known.parts
    assert first.table == "certificates"
    newer = next(part for part in others if part.table == "measurements")
    table = parquet.ParquetFile(tmp_path / "lake" / newer.path).read()
    parquet.write_table(
        table.append_column("colour", table.column("target")), tmp_path / "lake" / newer.path
    )
    parts = tuple(replace(one, schema=2) if one == newer else one for one in known.parts)
    manifests.write(files, Manifest(parts=parts, origins=known.origins))
    told = ask(tmp_path / "lake", "--sql", "SELECT COUNT(*), COUNT(colour) FROM measurements")
    assert told.stdout.splitlines()[1] == f"99,{table.num_rows}"


def test_no_row_hides_a_day_that_is_none(tmp_path: Path) -> None:
    fill(tmp_path, [])
    words = ("write", "--store", url_of(tmp_path), "--to", str(tmp_path / "lake"))
    assert CliRunner().invoke(cli, ["lake", *words]).exit_code == 0
    assert ask(tmp_path / "lake", "sites", "--param", "since=2024-13-45").exit_code != 0
