"""Records are written once; a full disk costs one warning, never the run."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import codec
from probe.model import Outcome, Record, Verdict
from probe.runner.dependencies import RecordStore
from probe.runner.journal import Journal
from probe.runner.output import RecordWriter, Sink
from probe.signals import Stop
from tests.build import record
from tests.probe.fake_run import MemoryStore

DONE = replace(record(), verdict=Verdict(outcome=Outcome.OK))


class FullDisk:
    """A store on a full disk."""

    def __init__(self) -> None:
        self.calls = 0

    def keep(self, record: Record, line: bytes) -> None:
        self.calls += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def opened(path: Path) -> Sink:
    sink = Sink(str(path))
    asyncio.run(sink.begin(Stop()))
    return sink


def finish(writer: RecordWriter) -> None:
    asyncio.run(writer.flushed())
    writer.close()


def new_writer(
    folder: Path, sink: Sink, stores: tuple[RecordStore, ...], warnings: list[str]
) -> tuple[RecordWriter, list[Record]]:
    shown: list[Record] = []
    writer = RecordWriter(sink, stores, Journal(folder), show=shown.append, warn=warnings.append)
    return writer, shown


def test_a_record_is_written_to_each_output_once(tmp_path: Path) -> None:
    store = MemoryStore()
    sink = opened(tmp_path / "out.jsonl")
    writer, shown = new_writer(tmp_path, sink, (store,), [])
    writer.take(DONE)
    writer.finish_output()
    finish(writer)
    assert (tmp_path / "out.jsonl").read_bytes() == codec.encode(DONE) + b"\n"
    assert store.records == shown == [DONE]
    assert writer.outcomes == {"ok": 1}
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")
    sink = opened(tmp_path / "out.jsonl")
    sink.write(b"new")
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    sink.finish()
    assert (tmp_path / "out.jsonl").read_text() == "new\n"


def test_rounds_are_appended(tmp_path: Path) -> None:
    sink = Sink(str(tmp_path / "out.jsonl"), append=True)
    for line in (b"1", b"2"):
        asyncio.run(sink.begin(Stop()))
        sink.write(line)
        sink.finish()
    assert (tmp_path / "out.jsonl").read_text() == "1\n2\n"


def test_a_round_can_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("1\n")
    for append in (False, True):
        sink = Sink(str(tmp_path / "out.jsonl"), append=append)
        asyncio.run(sink.begin(Stop()))
        sink.write(b"2")
        sink.discard()
        assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
        assert (tmp_path / "out.jsonl").read_text() == "1\n"


def test_a_signal_ends_the_wait_for_the_reader_of_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    stop = Stop()

    async def begin() -> None:
        asyncio.get_running_loop().call_later(0.1, stop.ask)
        sink = Sink(str(tmp_path / "pipe"))
        assert await sink.begin(stop) is None
        sink.write(b"1")

    asyncio.run(asyncio.wait_for(begin(), 5))


def test_a_failing_output_file_stays_beside_and_is_tried_again_in_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")
    warnings: list[str] = []
    sink = opened(tmp_path / "out.jsonl")
    writer, _ = new_writer(tmp_path, sink, (), warnings)
    writer.take(DONE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk().write)
        writer.take(DONE)
    writer.take(DONE)
    writer.finish_output()
    finish(writer)
    partial = tmp_path / "out.jsonl.partial"
    expected = "cannot write the output file: No space left on device; going on without; "
    assert warnings == [f"{expected}what was written is in {partial}"]
    assert partial.read_bytes() == codec.encode(DONE) + b"\n"
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert asyncio.run(sink.begin(Stop())) is not None
    sink.close()


def test_a_full_disk_is_reported_once_and_the_other_stores_go_on(tmp_path: Path) -> None:
    full, store = FullDisk(), MemoryStore()
    warnings: list[str] = []
    writer, _ = new_writer(tmp_path, Sink(None), (full, store), warnings)
    for _ in range(3):
        writer.take(DONE)
    finish(writer)
    assert full.calls == 1
    assert len(store.records) == 3
    assert len(warnings) == 1
    assert writer.trouble == warnings[0]
    assert "No space left" in warnings[0]


def test_one_full_disk_is_one_warning_for_all_files_on_it(tmp_path: Path) -> None:
    warnings: list[str] = []
    writer, _ = new_writer(tmp_path, Sink(None), (FullDisk(), FullDisk()), warnings)
    writer.take(DONE)
    finish(writer)
    assert warnings == [
        "cannot write into the state folder: No space left on device; going on without"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_on_a_full_disk_is_closed(tmp_path: Path) -> None:
    warnings: list[str] = []
    store = MemoryStore()
    writer, _ = new_writer(tmp_path, opened(Path("/dev/full")), (store,), warnings)
    writer.take(DONE)
    writer.take(DONE)
    finish(writer)
    assert len(warnings) == 1
    assert len(store.records) == 2


def test_an_unwritable_journal_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "held.jsonl").mkdir()
    warnings: list[str] = []
    writer, _ = new_writer(tmp_path, Sink(None), (), warnings)
    writer.hold(record())
    writer.hold(record())
    writer.take(DONE, held=True)
    finish(writer)
    assert len(warnings) == 1


def test_the_records_of_a_killed_run_are_recovered_once(tmp_path: Path) -> None:
    Journal(tmp_path).hold(record())
    store = MemoryStore()
    for expected in (1, 0):
        writer, _ = new_writer(tmp_path, Sink(None), (store,), [])
        assert writer.recover(lambda _: DONE) == expected
        finish(writer)
    assert store.records == [DONE]


def test_what_could_not_be_stored_stays_for_the_next_run(tmp_path: Path) -> None:
    Journal(tmp_path).hold(record())
    writer, _ = new_writer(tmp_path, Sink(None), (FullDisk(),), [])
    writer.recover(lambda _: DONE)
    finish(writer)
    assert len(Journal(tmp_path).held()) == 1


def test_an_exception_in_the_disk_thread_is_raised(tmp_path: Path) -> None:
    class Broken:
        def keep(self, record: Record, line: bytes, /) -> None:
            raise ZeroDivisionError

    writer, _ = new_writer(tmp_path, Sink(None), (Broken(),), [])
    writer.take(DONE)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(writer.flushed())
    writer.close()
