"""The results folder: files of records, summaries, lookups, caps."""

import stat
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import codec
from probe.runner.results import (
    Results,
    ResultsError,
    find,
    find_run,
    lines,
    record_headers,
    summaries,
)
from tests.probe import sample


def kept(home: Path, *records: object) -> Results:
    results = Results(home)
    for one in records or (sample.trusted(), sample.blocked(), sample.facts()):
        results.keep(one, codec.encode(one))  # type: ignore[arg-type]
    return results


def test_a_run_is_summarized_from_its_records(tmp_path: Path) -> None:
    (summary,) = summaries(kept(tmp_path).files())
    assert summary.run == sample.RUN
    assert summary.outcomes == {"ok": 1, "blocked": 1}
    assert (summary.records, summary.ended, summary.vantage.asn) == (2, "finished", 9198)


def test_a_record_is_found_by_id_url_or_host_newest_first(tmp_path: Path) -> None:
    newer = replace(
        sample.blocked(),
        id="019aa9d9-0000-7000-8000-000000000000",
        started_at="2026-12-01T00:00:00Z",
    )
    files = kept(tmp_path, sample.blocked(), newer, sample.trusted()).files()
    assert find(files, sample.blocked().id) == sample.blocked()
    assert find(files, "https://b.example/") == newer
    assert find(files, "b.example") == newer
    with pytest.raises(ResultsError, match="no record"):
        find(files, "unknown.example")


def test_of_several_experiments_the_gravest_of_the_newest_run_is_found(tmp_path: Path) -> None:
    grave = replace(sample.blocked(), input="http://xn--d1acpjx3f.xn--p1ai/")
    fine = replace(
        sample.trusted(), experiment="quic", input=grave.input, started_at="2026-11-21T23:00:00Z"
    )
    newer = replace(fine, run="019aa9d9-1111-7000-8000-000000000000")
    files = kept(tmp_path, grave, fine).files()
    for typed in ("яндекс.рф", "http://яндекс.рф/", "HTTP://ЯНДЕКС.РФ", grave.input):
        assert find(files, typed) == grave
    assert find(kept(tmp_path, newer).files(), "яндекс.рф") == newer


def test_a_run_is_found_by_id_prefix_or_as_the_last(tmp_path: Path) -> None:
    other = replace(
        sample.blocked(),
        run="019aa9d9-1111-7000-8000-000000000000",
        started_at="2026-12-01T00:00:00Z",
    )
    files = kept(tmp_path, sample.trusted(), other).files()
    assert find_run(files, "last") == other.run
    assert find_run(files, sample.RUN[:13]) == sample.RUN
    assert find_run(files, "019") is None


def test_torn_and_foreign_lines_are_skipped(tmp_path: Path) -> None:
    results = kept(tmp_path, sample.trusted())
    with results.files()[0].open("ab") as file:
        file.write(b'\n{"id":1}\n\xff\xfe\n' + b"[" * 10_000 + b'\n{"id":"x","run":')
    assert len(list(record_headers(results.files()))) == 1


def test_a_record_of_a_later_version_is_listed_but_cannot_be_opened(tmp_path: Path) -> None:
    results = kept(tmp_path, sample.trusted())
    path = results.files()[0]
    path.write_bytes(path.read_bytes().replace(b'{"id"', b'{"later":1,"id"', 1))
    assert len(list(lines(results.files()))) == 1
    with pytest.raises(ResultsError, match="later"):
        find(results.files(), "a.example")


def test_the_oldest_runs_are_deleted_first_and_the_newest_never(tmp_path: Path) -> None:
    runs = [replace(sample.trusted(), run=f"019aa9d8-{n:04}") for n in range(5)]
    kept(tmp_path, *runs)
    assert Results(tmp_path, cap_runs=3).trim() == 2
    assert Results(tmp_path, cap_bytes=10).trim() == 2
    assert [path.stem for path in Results(tmp_path).files()] == ["019aa9d8-0004"]


def test_results_are_private_and_a_run_id_cannot_be_a_path(tmp_path: Path) -> None:
    results = kept(tmp_path)
    if sys.platform != "win32":
        assert stat.S_IMODE(results.files()[0].stat().st_mode) == 0o600
    with pytest.raises(ResultsError):
        results.keep(replace(sample.trusted(), run="../../x"), b"")
