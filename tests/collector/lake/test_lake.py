"""A lake: what is written, once each, also after a kill; and what is removed from it."""

import asyncio
import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.lake import flatten, lots, manifest as manifests, writing
from collector.lake.files import LakeFiles
from collector.lake.manifest import Manifest
from collector.settings import SettingsError
from collector.store import keys, open_store
from collector.store.measurements import MeasurementRow
from probe import codec
from tests.collector.admin.stored_rows import DAY, NOON, fill, fill_store, key_id, row, url_of

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrived this moment has settled."""
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)


def lake(folder: Path, *words: str, fails: bool = False) -> Result:
    done = CliRunner().invoke(cli, ["lake", *words, "--lake", str(folder / "lake")])
    assert fails or done.exit_code == 0, done.output
    return done


def written(folder: Path, *, url: str = "") -> Result:
    return lake(folder, "write", "--store", url or url_of(folder))


def manifest(folder: Path) -> Manifest:
    return manifests.read(LakeFiles(str(folder / "lake")))


def rows_of(folder: Path, table: str, name: str = "lake") -> list[dict[str, Any]]:
    duckdb = pytest.importorskip("duckdb")
    known = manifests.read(LakeFiles(str(folder / name)))
    files = [str(folder / name / part.path) for part in known.of(table)]
    if not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT * FROM read_parquet($1, hive_partitioning = true)", [files]
        )
        names = [one[0] for one in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def some(count: int = 6) -> list[MeasurementRow]:
    """Records of three keys on two days."""
    return [row(n, "abc"[n % 3], NOON + (n % 2) * DAY + n) for n in range(count)]


def test_each_record_is_written_once_in_its_day_and_country(tmp_path: Path, any_store: str) -> None:
    fill_store(any_store, some())
    assert "6 records" in written(tmp_path, url=any_store).stdout
    assert "0 records, 0 rows in 0 files" in written(tmp_path, url=any_store).stdout
    fill_store(any_store, [row(50, "d"), row(51, "d", country="RU")])
    assert "2 records" in written(tmp_path, url=any_store).stdout
    found = rows_of(tmp_path, "measurements")
    assert len({one["id"] for one in found}) == len(found) == 8
    days = {(str(one["dt"]), one["country"]) for one in found}
    assert days == {("2026-11-25", "KZ"), ("2026-11-26", "KZ"), ("2026-11-25", "RU")}
    assert {one["outcome"] for one in found} == {"blocked"}
    assert len({one["key"] for one in found}) == 4
    assert not {key_id(name) for name in "abcd"} & {one["key"] for one in found}
    assert len(rows_of(tmp_path, "votes")) == 8


def test_an_export_whose_release_is_named_lake_has_other_pseudonyms(tmp_path: Path) -> None:
    url = fill(tmp_path, [row(1)])
    written(tmp_path)
    words = ("export", "--store", url, "--release", "lake", "--format", "jsonl")
    (line,) = CliRunner().invoke(cli, words).stdout.splitlines()
    (found,) = rows_of(tmp_path, "measurements")
    assert json.loads(line)["collector"]["key"] not in {None, found["key"]}


def test_what_arrived_just_now_waits_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, [row(1)])
    with monkeypatch.context() as patched:
        patched.setattr(writing, "SETTLED_SECONDS", 120.0)
        assert "0 records" in written(tmp_path).stdout
    assert "1 records" in written(tmp_path).stdout


def test_a_record_comes_back_from_its_steps(tmp_path: Path) -> None:
    sent = some(2)
    fill(tmp_path, sent)
    written(tmp_path)
    found = rows_of(tmp_path, "steps")
    for one in sent:
        parts = [(r["number"], r["step"]) for r in found if r["id"] == one.id]
        body = json.loads(flatten.record(parts))
        assert codec.decode(json.dumps(body).encode()).id == one.id
        assert body["steps"], "without steps nothing is shown"
    steps = [one for one in found if one["number"] > 0]
    assert {one["op"] for one in steps} >= {"dns", "tcp", "tls"}
    assert all(one["name"] for one in steps if one["op"] == "dns")


def test_evidence_that_is_not_readable_is_counted(tmp_path: Path) -> None:
    fill(tmp_path, [row(1, raw=b"no zlib"), row(2)])
    done = written(tmp_path)
    assert "the evidence of 1 records is not readable" in done.stderr
    assert len(rows_of(tmp_path, "measurements")) == 2


def test_a_step_of_another_type_is_a_null(tmp_path: Path) -> None:
    body = b'{"id":"x","steps":[{"op":"tcp","port":"eighty","address":[1],"at":1}]}'
    fill(tmp_path, [row(1, raw=zlib.compress(body)), row(2)])
    written(tmp_path)
    (odd,) = [one for one in rows_of(tmp_path, "steps") if one["id"] == row(1).id and one["number"]]
    assert (odd["port"], odd["address"], odd["at"]) == (None, None, 1.0)
    assert json.loads(odd["step"])["port"] == "eighty"


def test_a_writer_that_was_killed_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, some())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(manifests, "write", killed)
        lake(tmp_path, "write", "--store", url_of(tmp_path), fails=True)
    assert not (tmp_path / "lake" / manifests.NAME).exists()
    assert list((tmp_path / "lake").rglob("*.parquet"))
    assert "6 records" in written(tmp_path).stdout
    assert len(rows_of(tmp_path, "measurements")) == 6
    assert lake(tmp_path, "check").output == ""


def test_large_records_are_written_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"id": "x", "steps": [{"op": "http", "failure": "x" * 500_000}]}).encode()
    fill(tmp_path, [row(number, raw=zlib.compress(body)) for number in range(10)])
    monkeypatch.setattr(lots, "LOT_BYTES", 2_000_000)
    assert "10 records" in written(tmp_path).stdout
    assert len(manifest(tmp_path).of("steps")) == 3
    assert {one["id"] for one in rows_of(tmp_path, "steps")} == {row(n).id for n in range(10)}


def test_small_files_become_one(tmp_path: Path) -> None:
    for number in range(3):
        fill(tmp_path, [row(number)])
        written(tmp_path)
    before = rows_of(tmp_path, "measurements")
    assert len(manifest(tmp_path).of("measurements")) == 3
    lake(tmp_path, "compact")
    assert len(manifest(tmp_path).of("measurements")) == 1
    after = rows_of(tmp_path, "measurements")
    assert sorted(one["id"] for one in after) == sorted(one["id"] for one in before)
    assert lake(tmp_path, "check").output == ""


def test_the_erasure_of_a_key_reaches_the_lake(tmp_path: Path, any_store: str) -> None:
    shared, own = b"shared", b"own"
    certs = ((("a" * 64, shared), ("b" * 64, own)), (("a" * 64, shared),))
    fill_store(
        any_store,
        [
            with_chain(row(number, key, certs=served), *(sha256 for sha256, _ in served))
            for number, key, served in ((1, "a", certs[0]), (2, "b", certs[1]))
        ],
    )
    written(tmp_path, url=any_store)
    assert {one["der"] for one in rows_of(tmp_path, "certificates")} == {shared, own}

    erase(any_store, "a")
    assert "1 records of erased keys removed" in written(tmp_path, url=any_store).stdout
    for table in ("measurements", "steps", "votes"):
        assert {one["id"] for one in rows_of(tmp_path, table)} == {row(2).id}, table
    assert {one["der"] for one in rows_of(tmp_path, "certificates")} == {shared}
    everything = b"".join(p.read_bytes() for p in (tmp_path / "lake").rglob("*.parquet"))
    assert row(1).id.encode() not in everything
    assert "removed" not in written(tmp_path, url=any_store).stdout


def erase(url: str, name: str, at: float = NOON) -> None:
    async def work() -> None:
        store = await open_store(url)
        await store.write(keys.erase(key_id(name), at))
        await store.close()

    asyncio.run(work())


def test_a_key_that_came_back_is_erased_again(tmp_path: Path, any_store: str) -> None:
    for number in (1, 3):
        fill_store(any_store, [row(number, "a"), row(number + 1, "b")])
        written(tmp_path, url=any_store)
        erase(any_store, "a")
        assert "1 records of erased keys removed" in written(tmp_path, url=any_store).stdout
        assert "removed" not in written(tmp_path, url=any_store).stdout
    assert {one["id"] for one in rows_of(tmp_path, "measurements")} == {row(2).id, row(4).id}


def test_a_record_with_the_id_of_another_keys_record_is_left_out(
    tmp_path: Path, any_store: str
) -> None:
    # Ids are public: who sends one again under a key of its own, and has that key erased, would
    # take the other record out of the lake, and its evidence could not be told from the other's.
    fill_store(any_store, [row(1, "a"), row(2, "b")])
    fill_store(any_store, [row(1, "c"), row(3, "c")])
    assert "3 records" in written(tmp_path, url=any_store).stdout
    fill_store(any_store, [row(2, "c"), row(4, "a")])
    assert "1 records" in written(tmp_path, url=any_store).stdout
    found = rows_of(tmp_path, "measurements")
    assert sorted(one["id"] for one in found) == [row(number).id for number in (1, 2, 3, 4)]
    erase(any_store, "c")
    assert "1 records of erased keys removed" in written(tmp_path, url=any_store).stdout
    for table in ("measurements", "votes", "steps"):
        ids = {one["id"] for one in rows_of(tmp_path, table)}
        assert ids == {row(number).id for number in (1, 2, 4)}, table


@pytest.mark.parametrize("kept", range(6))
def test_an_erasure_that_was_killed_is_continued(
    tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = (("b" * 64, b"own"),)
    gone = with_chain(row(1, "a", certs=served), "b" * 64)
    fill(tmp_path, [gone, row(2, "b")])
    written(tmp_path)
    lake(tmp_path, "rejudge", "--processes", "1")
    assert {one["id"] for one in rows_of(tmp_path, "verdicts")} == {gone.id, row(2).id}
    erase(url_of(tmp_path), "a")
    write, calls = manifests.write, []

    def killed(files: LakeFiles, changed: Manifest) -> None:
        calls.append(changed)
        if len(calls) > kept:
            raise KeyboardInterrupt
        write(files, changed)

    with monkeypatch.context() as patched:
        patched.setattr(manifests, "write", killed)
        lake(tmp_path, "write", "--store", url_of(tmp_path), fails=True)
    assert len(calls) == kept + 1, "it was not killed"
    written(tmp_path)
    for table in ("measurements", "steps", "votes", "verdicts"):
        assert {one["id"] for one in rows_of(tmp_path, table)} == {row(2).id}, table
    assert rows_of(tmp_path, "certificates") == []
    assert lake(tmp_path, "check").output == ""


def with_chain(one: MeasurementRow, *chain: str) -> MeasurementRow:
    """The record with a handshake in which these certificates were served."""
    body = json.loads(zlib.decompress(one.raw or b""))
    for step in body["steps"]:
        if step["op"] == "tls":
            step["chain"] = list(chain)
    return msgspec.structs.replace(
        one, raw=zlib.compress(json.dumps(body, separators=(",", ":")).encode())
    )


def test_old_days_and_old_evidence_are_dropped(tmp_path: Path) -> None:
    fill(tmp_path, some())
    written(tmp_path)
    lake(tmp_path, "prune", "--evidence-before", "2026-11-26")
    assert {str(one["dt"]) for one in rows_of(tmp_path, "steps")} == {"2026-11-26"}
    assert len(rows_of(tmp_path, "measurements")) == 6
    lake(tmp_path, "prune", "--before", "2026-11-26")
    assert {str(one["dt"]) for one in rows_of(tmp_path, "measurements")} == {"2026-11-26"}
    assert "0 records" in written(tmp_path).stdout  # they do not come back
    assert "expected" in str(lake(tmp_path, "prune", fails=True).exception)


def test_what_is_not_as_the_manifest_says_is_told(tmp_path: Path) -> None:
    fill(tmp_path, some())
    written(tmp_path)
    first, second, *_ = [tmp_path / "lake" / part.path for part in manifest(tmp_path).parts]
    first.write_bytes(b"PAR1")
    second.unlink()
    (second.parent / "stray.parquet").write_bytes(b"")
    told = lake(tmp_path, "check", fails=True)
    assert told.exit_code == 1
    assert [line.rpartition(": ")[2][:8] for line in sorted(told.output.splitlines())] != []
    assert "SHA-256" in told.output
    assert "missing" in told.output
    assert "not in the manifest" in told.output


@pytest.mark.parametrize("text", ["", "[]", '{"format":"other/9"}', '{"parts":[{"table":1}]}'])
def test_a_damaged_manifest_is_one_line(tmp_path: Path, text: str) -> None:
    fill(tmp_path, some(1))
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / manifests.NAME).write_text(text)
    done = lake(tmp_path, "write", "--store", url_of(tmp_path), fails=True)
    assert manifests.NAME in str(done.exception) or "expected" in str(done.exception)


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("compact",),
        ("prune", "--before", "2026-01-01"),
        ("query", "sites"),
        ("rejudge",),
        ("events",),
    ],
)
def test_a_mistyped_lake_is_no_empty_lake(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = lake(tmp_path, *words, fails=True)
    assert done.exit_code != 0
    assert "is not there" in str(done.exception)
    assert not (tmp_path / "lake").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    fill(tmp_path, some(1))
    (tmp_path / "lake").write_text("a file")
    done = lake(tmp_path, "write", "--store", url_of(tmp_path), fails=True)
    assert isinstance(done.exception, SettingsError)
    assert "\n" not in str(done.exception)


def test_a_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    for number in range(2):
        fill(tmp_path, [row(number)])
        written(tmp_path)
    damaged = manifest(tmp_path).of("measurements")[0].path
    (tmp_path / "lake" / damaged).write_bytes(b"PAR1")
    done = lake(tmp_path, "compact", fails=True)
    assert isinstance(done.exception, SettingsError)
    assert damaged in str(done.exception)


@pytest.mark.parametrize("root", ["s3://", "gopher://x"])
def test_what_is_no_place_is_one_line(root: str) -> None:
    done = CliRunner().invoke(cli, ["lake", "check", "--lake", root])
    assert isinstance(done.exception, SettingsError)
    assert root in str(done.exception)
