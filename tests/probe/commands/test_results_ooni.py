"""Exports in OONI's format: where the lines stand, what is counted, and what an accident leaves."""

import contextlib
import gzip
import itertools
import json
import subprocess
import sys
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from probe import codec
from probe.commands.results import command
from probe.errors import UserError
from probe.interop.ooni.kept import record_in
from probe.interop.ooni.out import bucket_files, exporting
from probe.interop.ooni.out.bucket_files import writing_buckets
from probe.interop.ooni.out.exporting import CountLine
from probe.model import Record
from probe.runner.results import Results
from tests.probe import sample

LATER = "2026-11-22T00:05:00.000Z"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "home"))
    keep(tmp_path, *KEPT)
    return tmp_path


def keep(home: Path, *records: Record) -> None:
    results = Results(home / "home")
    for one in records:
        results.keep(one, codec.encode(one))


KEPT = (
    replace(sample.trusted(), started_at="2026-11-21T21:00:00.000Z"),
    sample.intercepted("aa"),
    replace(sample.blocked(), started_at=LATER),
    replace(sample.blocked("ee"), experiment="throttle"),
    replace(sample.blocked("ff"), vantage=replace(sample.KAZAKHTELECOM, asn=None)),
    sample.facts(),
)


def export(*arguments: str) -> Result:
    return CliRunner().invoke(
        command, ["export", "--format", "ooni", *arguments], catch_exceptions=False
    )


def measurements(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_is_laid_out_as_buckets_are(home: Path) -> None:
    done = export("-o", str(home / "out"))
    files = {path.relative_to(home / "out").as_posix() for path in (home / "out").rglob("*.gz")}
    assert files == {
        "raw/20261121/21/KZ/webconnectivity/2026112121_KZ_webconnectivity.qazprobe.0.jsonl.gz",
        "raw/20261122/00/KZ/webconnectivity/2026112200_KZ_webconnectivity.qazprobe.0.jsonl.gz",
    }
    lines = [gzip.decompress((home / "out" / file).read_bytes()) for file in sorted(files)]
    first, second = map(measurements, lines)
    assert [one["input"] for one in first] == [KEPT[0].input, KEPT[1].input]
    assert second[0]["measurement_uid"].startswith("20261122000500.000000_KZ_webconnectivity_")
    assert record_in(lines[1]) == KEPT[2]
    assert done.stderr.splitlines() == [
        "3 measurements in OONI's format",
        "left out: 1 (throttle: OONI has no experiment of this meaning)",
        "left out: 1 (AS0: its network is not known)",
        "left out: 1 (run: OONI has no experiment of this meaning)",
    ]


def test_one_file_or_stdout(home: Path) -> None:
    export("-o", str(home / "all.jsonl.gz"))
    export("-o", str(home / "all.jsonl"))
    packed = gzip.decompress((home / "all.jsonl.gz").read_bytes())
    assert packed == (home / "all.jsonl").read_bytes()
    assert export().stdout_bytes == packed
    assert len(measurements(packed)) == 3


def test_only_what_is_chosen(home: Path) -> None:
    assert len(measurements(export("--outcome", "intercepted").stdout_bytes)) == 1


def test_two_exports_are_not_mixed(home: Path) -> None:
    export("-o", str(home / "out"))
    with pytest.raises(UserError, match="not empty"):
        export("-o", str(home / "out"))
    (home / "file").write_text("mine")
    with pytest.raises(UserError):
        export("-o", str(home / "file"))
    assert (home / "file").read_text() == "mine"


def test_an_empty_folder_may_be_there(home: Path) -> None:
    (home / "out").mkdir()
    export("-o", str(home / "out"))
    assert list((home / "out").rglob("*.gz"))


def test_what_ends_early_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), writing_buckets(tmp_path / "out") as folder:
        folder.add("raw/a.jsonl.gz", b"{}")
        folder.flush()
        assert not (tmp_path / "out").exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_little_waits_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_files, "HELD", 100)
    with writing_buckets(tmp_path / "out") as folder:
        for number in range(50):
            folder.add(f"raw/{number % 3}.jsonl.gz", b"%d" % number + b" " * 30)
            assert sum(len(one) for lines in folder._waiting.values() for one in lines) <= 100
    read = [gzip.decompress(path.read_bytes()) for path in (tmp_path / "out").rglob("*.gz")]
    assert sum(text.count(b"\n") for text in read) == 50


def test_a_record_that_cannot_be_read_is_counted(home: Path) -> None:
    line = codec.encode(KEPT[0]).replace(b'"steps":[', b'"of_next_year":1,"steps":[')
    (home / "odd.jsonl").write_bytes(line + b"\n")
    done = export("--file", str(home / "odd.jsonl"))
    assert "left out: 1 (this version cannot read it)" in done.stderr


def test_imported_data_keeps_its_licence_and_its_client(home: Path) -> None:
    where = replace(sample.KAZAKHTELECOM, version="miniooni/3.29.1")
    keep(home, replace(sample.trusted("gg"), origin="ooni", vantage=where))
    done = export()
    assert "CC BY-NC-SA 4.0" in done.stderr
    last = measurements(done.stdout_bytes)[-1]
    assert (last["software_name"], last["software_version"]) == ("miniooni", "3.29.1")
    assert last["annotations"]["qazprobe_origin"] == "ooni"


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_REDRAW_SECONDS", -1.0)
    shown, quiet = _Terminal(), StringIO()
    for terminal in (shown, quiet):
        numbers = map("{} so far".format, itertools.count(1))
        line = CountLine(terminal, partial(next, numbers))
        for _ in range(3):
            line.tick()
        line.end()
    assert shown.getvalue() == "\r1 so far\r2 so far\r3 so far\r\033[K"
    assert quiet.getvalue() == ""


def test_an_ordinary_export_does_not_load_it(home: Path) -> None:
    code = (
        "import sys\n"
        "from probe.commands.results import command\n"
        "command.main(['export'], standalone_mode=False)\n"
        "print(*(one for one in sys.modules if one.startswith('probe.interop')), file=sys.stderr)\n"
    )
    exported = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert exported.stdout
    assert not exported.stderr.strip()
