import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from probe import atomic_files
from probe.client.memory_queue import KeptInMemoryError, MemoryQueue
from probe.client.spool import Spool
from probe.client.spool_writer import Writer
from tests.build import record as some_record
from tests.probe.fake_collector import record

A, B = "https://a.example", "https://b.example"
DAY = 86400.0
NOW = 1_800_000_000.0


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill(spool: Spool, numbers: range, to: tuple[str, ...] = (A,), *, padding: int = 0) -> None:
    with spool.writer(to) as writer:
        for number in numbers:
            writer.add(record(number, padding=padding))


def ids(spool: Spool, collector: str) -> list[str]:
    batch = spool.batch(collector)
    return [json.loads(line)["id"] for line in batch.lines] if batch else []


def segments(home: Path) -> list[Path]:
    return sorted((home / "spool").glob("[0-9]*.jsonl"))


def test_what_is_settled_is_gone_and_what_is_not_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(5))
    first = spool.batch(A, records=3)
    assert first is not None
    spool.settle(first)
    assert spool.waiting(A) == 2
    assert ids(Spool(tmp_path), A) == ["r3", "r4"]
    rest = spool.batch(A)
    assert rest is not None
    spool.settle(rest)
    assert spool.batch(A) is None
    assert segments(tmp_path) == []
    assert list((tmp_path / "spool").glob("*.state")) == []


def test_a_batch_spans_segments_and_is_bounded_by_size(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2))
    fill(spool, range(2, 4))
    assert sorted(ids(spool, A)) == ["r0", "r1", "r2", "r3"]
    small = spool.batch(A, size=len(record(0)) * 2)
    assert small is not None
    assert len(small.lines) == 2
    one = spool.batch(A, size=1)
    assert one is not None
    assert len(one.lines) == 1  # a record larger than a batch still goes


def test_each_collector_has_its_own_place_in_the_queue(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(3), (A, B))
    batch = spool.batch(A)
    assert batch is not None
    spool.settle(batch)
    assert (spool.waiting(A), spool.waiting(B)) == (0, 3)
    assert len(segments(tmp_path)) == 1
    batch = spool.batch(B)
    assert batch is not None
    spool.settle(batch)
    assert segments(tmp_path) == []


def test_records_made_without_a_collector_wait_for_the_first_ones_named(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2), ())
    spool.adopt((A, B))
    for url in (A, B):
        batch = spool.batch(url)
        assert batch is not None
        assert len(batch.lines) == 2
        spool.settle(batch)
    assert segments(tmp_path) == []


def test_an_unassigned_segment_survives_a_partial_upload(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(3), ())
    batch = spool.batch(A, records=2)
    assert batch is not None
    spool.settle(batch)
    assert ids(spool, A) == ["r2"]


def test_a_moved_collector_gets_what_the_old_one_never_took(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2), (A,))
    assert spool.waiting(B) == 2


@pytest.mark.parametrize("tail", [b'{"id":"r9","pad', b"\0\0\0\0", b"\0\0\n", b'"text"\n', b"\n"])
def test_a_torn_line_is_passed_over(tmp_path: Path, tail: bytes) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2))
    with segments(tmp_path)[0].open("ab") as file:
        file.write(tail)
    assert ids(spool, A) == ["r0", "r1"]
    batch = spool.batch(A)
    assert batch is not None
    spool.settle(batch)
    assert segments(tmp_path) == []


@given(st.binary(max_size=200))
def test_any_bytes_in_a_segment_cost_at_most_themselves(junk: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        spool = Spool(Path(home))
        fill(spool, range(2))
        path = segments(Path(home))[0]
        path.write_bytes(junk + b"\n" + path.read_bytes())
        assert ids(spool, A)[-2:] == ["r0", "r1"]


def test_a_segment_that_still_grows_is_not_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.writer((A,)) as writer:
        writer.add(record(0))
        batch = spool.batch(A)
        assert batch is not None
        spool.settle(batch)
        spool.adopt((A,))
        writer.add(record(1))
        assert ids(spool, A) == ["r1"]
    assert ids(spool, A) == ["r1"]


def test_a_rejected_record_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2))
    batch = spool.batch(A)
    assert batch is not None
    spool.settle(batch, {1: "no such field"})
    kept = json.loads((tmp_path / "spool/rejected.jsonl").read_bytes())
    assert (kept["reason"], kept["record"]["id"]) == ("no such field", "r1")
    assert spool.batch(A) is None


def test_expired_records_are_dropped_and_reported(tmp_path: Path) -> None:
    fill(Spool(tmp_path, clock=lambda: NOW - 40 * DAY), range(3))
    fill(Spool(tmp_path, clock=lambda: NOW - DAY), range(3, 5))
    spool = Spool(tmp_path, clock=lambda: NOW)
    dropped = spool.trim()
    assert (dropped.records, dropped.reason) == (3, "older than 30 days")
    assert ids(spool, A) == ["r3", "r4"]
    assert spool.last_dropped() == dropped
    assert str(dropped) == "3 records were dropped from the spool: older than 30 days"
    assert spool.trim().records == 0


def test_a_machine_that_woke_up_in_1970_loses_nothing(tmp_path: Path) -> None:
    fill(Spool(tmp_path, clock=lambda: 60.0), range(2))
    assert Spool(tmp_path, clock=lambda: NOW).trim().records == 0


def test_discarding_removes_what_it_can_and_says_what_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.client.spool_writer.SEGMENT_BYTES", 1)
    writer = Spool(tmp_path).writer((A,))
    for number in range(3):
        writer.add(record(number))
    stays = segments(tmp_path)[1]
    stays.unlink()
    stays.mkdir()
    with pytest.raises(OSError, match=stays.name):
        writer.discard()
    assert segments(tmp_path) == [stays]


def test_over_the_cap_acknowledged_segments_go_first(tmp_path: Path) -> None:
    for day in range(3):
        made = itertools.repeat(NOW + day)
        fill(Spool(tmp_path, clock=made.__next__), range(day, day + 1), (A, B), padding=1000)
    spool = Spool(tmp_path, cap_bytes=1500, clock=lambda: NOW + 9)
    newest = segments(tmp_path)[-1].name
    spool._keep(newest, type(spool._state(newest))(to=(A, B), sent={A: 10**6}))
    assert spool.trim().records == 2
    assert ids(spool, B) == ["r1"]


def test_a_full_disk_is_an_error_and_keeps_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    with spool.writer((A,)) as writer:
        writer.add(record(0))

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="full"):
            writer.add(record(1))
        monkeypatch.undo()
        writer.add(record(2))
        assert writer.added == 2
    assert ids(spool, A) == ["r0", "r2"]


def test_a_full_disk_does_not_keep_what_has_no_collector_yet_from_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2), to=())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    spool.adopt((A, B))
    for collector in (A, B):
        assert segments(tmp_path)
        batch = spool.batch(collector)
        assert batch is not None
        assert len(batch.lines) == 2
        spool.settle(batch)
    assert segments(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limits on Windows")
def test_half_a_line_on_a_full_disk_is_taken_back(tmp_path: Path) -> None:
    """A real file-size limit cuts a write in the middle, as a full disk does."""
    code = """
        import resource, signal, sys
        from pathlib import Path
        from probe.client.spool import Spool
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
        with Spool(Path(sys.argv[1])).writer(("https://a.example",)) as writer:
            failed = 0
            for number in range(4):
                try:
                    writer.add(b'{"id":"r%d","p":"%s"}' % (number, b"x" * 900))
                except OSError:
                    failed += 1
        print(failed, writer.added)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    failed, added = map(int, done.stdout.split())
    assert failed > 0
    assert len(ids(Spool(tmp_path), A)) == added
    assert all(path.read_bytes().endswith(b"\n") for path in segments(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_killed_run_loses_nothing_it_kept(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from probe.client.spool import Spool
        writer = Spool(Path(sys.argv[1])).writer(("https://a.example",))
        for number in range(10**6):
            writer.add(b'{"id":"r%d"}' % number)
            print(number, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    spool = Spool(tmp_path)
    kept = int(said[-1]) + 1
    assert spool.waiting(A) in (kept, kept + 1)
    while batch := spool.batch(A):
        spool.settle(batch)
    assert segments(tmp_path) == []  # its lock died with it


def test_one_process_sends_at_a_time(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path), Spool(tmp_path)
    assert spool.lock.acquire()
    assert not other.lock.acquire()
    spool.lock.release()
    assert other.lock.acquire()
    other.lock.release()


def test_files_are_private(tmp_path: Path) -> None:
    fill(Spool(tmp_path), range(1))
    if sys.platform != "win32":
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_files.write(tmp_path / "x", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full") as refused:
        atomic_files.write(tmp_path / "x", b"new")
    assert refused.value.filename == str(tmp_path / "x")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here")
def test_a_disk_that_is_really_full_keeps_what_was_there_and_works_again(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from probe.client.spool import Spool
        disk = Path(sys.argv[1])
        spool = Spool(disk / "home")
        kept = refused = 0
        (disk / "ballast").write_bytes(bytes(20_000))
        with spool.writer(("https://a.example",)) as writer:
            for number in range(60):
                try:
                    writer.add(b'{"id":"r%d","p":"%s"}' % (number, b"x" * 2000))
                    kept += 1
                except OSError:
                    refused += 1
                    (disk / "ballast").unlink(missing_ok=True) if refused == 5 else None
        batch = spool.batch("https://a.example")
        spool.settle(batch)
        print(kept, refused, len(batch.lines), spool.waiting("https://a.example"))
    """
    mount = f"mount -t tmpfs -o size=96k none '{tmp_path}' && exec \"$@\""
    command = ["unshare", "-Urm", "sh", "-c", mount, "sh", sys.executable, "-c"]
    done = subprocess.run(
        [*command, textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no name spaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    kept, refused, read, waiting = map(int, done.stdout.split())
    assert (read, waiting) == (kept, 0)
    assert refused >= 5
    assert kept > 20


def keep(writer: Writer, number: int) -> None:
    with pytest.raises(KeptInMemoryError):
        writer.keep(some_record(), record(number))


def test_what_the_disk_refuses_is_sent_from_memory_after_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    with spool.writer((A, B)) as writer:
        writer.keep(some_record(), record(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            keep(writer, 1)
        keep(writer, 2)  # the disk is not tried again in this run
    assert ids(spool, A) == ["r0", "r1", "r2"]
    batch = spool.batch(A, records=2)
    assert batch is not None
    spool.settle(batch)
    assert (ids(spool, A), ids(spool, B)) == (["r2"], ["r0", "r1", "r2"])
    assert spool.save_memory((A, B)) == 0
    assert sorted(ids(Spool(tmp_path), B)) == ["r0", "r1", "r2"]


def test_what_every_collector_has_is_not_saved_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    with spool.writer((A,)) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        keep(writer, 1)
        batch = spool.batch(A)
        assert batch is not None
        spool.settle(batch)
        keep(writer, 2)
        assert spool.save_memory((A,)) == 1
        assert ids(spool, A) == ["r2"]
    assert spool.save_memory((A,)) == 0
    assert ids(Spool(tmp_path), A) == ["r2"]


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    queue = MemoryQueue(cap_bytes=2 * len(record(1)))
    with Writer(tmp_path, (A,), time.time, queue) as writer:
        keep(writer, 1)
        keep(writer, 2)
        with pytest.raises(OSError, match="No space") as refused:
            writer.keep(some_record(), record(3))
        assert not isinstance(refused.value, KeptInMemoryError)


def test_what_cannot_be_set_aside_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    fill(spool, range(2))
    batch = spool.batch(A)
    assert batch is not None
    monkeypatch.setattr(os, "fsync", full)
    assert spool.settle(batch, {0: "bad"}) is False
    assert spool.batch(A) is None
