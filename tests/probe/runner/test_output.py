"""Records go out once; a disk that says no costs one line each, and never the run."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import codec
from probe.model import Outcome, Record, Verdict
from probe.runner.journal import Journal
from probe.runner.output import RecordWriter, Sink
from probe.runner.ports import RecordStore
from tests.build import record
from tests.probe.stage import Kept

DONE = replace(record(), verdict=Verdict(outcome=Outcome.OK))


class Full:
    """A keeper on a full disk."""

    def __init__(self) -> None:
        self.asked = 0

    def keep(self, record: Record, line: bytes) -> None:
        self.asked += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def finish(outlet: RecordWriter) -> None:
    asyncio.run(outlet.flushed())
    outlet.close()


def outlet(
    folder: Path, sink: Sink, keepers: tuple[RecordStore, ...], warnings: list[str]
) -> tuple[RecordWriter, list[Record]]:
    seen: list[Record] = []
    made = RecordWriter(sink, keepers, Journal(folder), seen=seen.append, warn=warnings.append)
    return made, seen


def test_a_record_goes_everywhere_once(tmp_path: Path) -> None:
    kept = Kept()
    sink = Sink.open(str(tmp_path / "out.jsonl"))
    out, seen = outlet(tmp_path, sink, (kept,), [])
    out.take(DONE)
    finish(out)
    sink.close()
    assert (tmp_path / "out.jsonl").read_bytes() == codec.encode(DONE) + b"\n"
    assert kept.records == seen == [DONE]
    assert out.outcomes == {"ok": 1}
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")
    Sink.open(str(tmp_path / "out.jsonl")).close()
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_a_full_disk_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    full, kept = Full(), Kept()
    warnings: list[str] = []
    out, _ = outlet(tmp_path, Sink(None), (full, kept), warnings)
    for _ in range(3):
        out.take(DONE)
    finish(out)
    assert full.asked == 1
    assert len(kept.records) == 3
    assert len(warnings) == 1
    assert out.trouble == warnings[0]
    assert "No space left" in warnings[0]


def test_one_full_disk_is_one_line_however_many_files_lie_on_it(tmp_path: Path) -> None:
    warnings: list[str] = []
    out, _ = outlet(tmp_path, Sink(None), (Full(), Full()), warnings)
    out.take(DONE)
    finish(out)
    assert warnings == [
        "cannot write into the state folder: No space left on device; going on without"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_output_is_given_up(tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = Kept()
    out, _ = outlet(tmp_path, Sink.open("/dev/full"), (kept,), warnings)
    out.take(DONE)
    out.take(DONE)
    finish(out)
    assert len(warnings) == 1
    assert len(kept.records) == 2


def test_a_journal_that_cannot_be_written_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "held.jsonl").mkdir()
    warnings: list[str] = []
    out, _ = outlet(tmp_path, Sink(None), (), warnings)
    out.hold(record())
    out.hold(record())
    out.take(DONE, held=True)
    finish(out)
    assert len(warnings) == 1


def test_what_is_left_over_is_handed_on_once(tmp_path: Path) -> None:
    Journal(tmp_path).hold(record())
    kept = Kept()
    for expected in (1, 0):
        out, _ = outlet(tmp_path, Sink(None), (kept,), [])
        assert out.hand_on_left_over(lambda _: DONE) == expected
        finish(out)
    assert kept.records == [DONE]


def test_what_could_not_be_kept_is_left_for_the_next_run(tmp_path: Path) -> None:
    Journal(tmp_path).hold(record())
    out, _ = outlet(tmp_path, Sink(None), (Full(),), [])
    out.hand_on_left_over(lambda _: DONE)
    finish(out)
    assert len(Journal(tmp_path).left_over()) == 1


def test_a_bug_on_the_way_to_the_disk_does_not_get_lost(tmp_path: Path) -> None:
    class Broken:
        def keep(self, record: Record, line: bytes, /) -> None:
            raise ZeroDivisionError

    out, _ = outlet(tmp_path, Sink(None), (Broken(),), [])
    out.take(DONE)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(out.flushed())
    out.close()
