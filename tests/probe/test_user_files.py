"""A file that the user named is replaced when there is something to put there, or not at all."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from probe import codec, user_files
from tests.build import record

LINE = codec.encode(record()) + b"\n"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_beside_and_renamed(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    file = user_files.begin(path)
    file.write(b"new")
    assert path.read_bytes() == b"old"
    assert file.unfinished == tmp_path / "out.partial"
    file.finish()
    file.close()
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["out"])


@posix_only
def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out"
    user_files.write(path, [b"1"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    user_files.write(path, [b"2"])
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o644, b"2")


@posix_only
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "out").symlink_to("far/real")
    user_files.write(tmp_path / "out", [b"1"])
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "far" / "real").read_bytes() == b"1"


def test_what_fails_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        user_files.write(path, parts())
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["out"])


def test_a_file_may_be_read_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"1\n2\n")
    with path.open("rb") as old:
        user_files.write(path, (line * 2 for line in old))
    assert path.read_bytes() == b"1\n1\n2\n2\n"


def test_a_part_of_a_line_never_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = user_files.begin(tmp_path / "out")
    file.write(LINE)
    real = os.write
    left = [5]

    def fills_up(handle: int, data: bytes) -> int:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, bytes(data)[: left.pop()])

    monkeypatch.setattr(os, "write", fills_up)
    with pytest.raises(OSError, match="No space"):
        file.write(LINE)
    monkeypatch.undo()
    file.write(LINE)
    file.finish()
    assert (tmp_path / "out").read_bytes() == LINE * 2


def test_two_writers_of_one_file_are_an_error(tmp_path: Path) -> None:
    first = user_files.begin(tmp_path / "out")
    with pytest.raises(OSError, match="another process"):
        user_files.begin(tmp_path / "out")
    first.close()
    assert names(tmp_path) == []


def test_what_a_killed_process_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_bytes(LINE)
    file = user_files.begin(tmp_path / "out")
    assert file.note is not None
    file.write(b"new")
    file.finish()
    kept, out = sorted(tmp_path.iterdir(), key=lambda path: path.name == "out")
    assert str(kept) in file.note
    assert (kept.read_bytes(), out.read_bytes()) == (LINE, b"new")


@posix_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_file_in_a_folder_that_takes_no_other_is_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"something longer")
    tmp_path.chmod(0o500)
    try:
        user_files.write(tmp_path / "out", [b"new"])
        assert (tmp_path / "out").read_bytes() == b"new"
        with pytest.raises(OSError, match="other"):
            user_files.begin(tmp_path / "other")
    finally:
        tmp_path.chmod(0o700)


@posix_only
def test_where_a_rename_fails_the_file_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EBUSY, "a mount point")

    (tmp_path / "out").write_bytes(b"something longer")
    monkeypatch.setattr(Path, "replace", refuse)
    user_files.write(tmp_path / "out", [b"new"])
    assert ((tmp_path / "out").read_bytes(), names(tmp_path)) == (b"new", ["out"])


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        user_files.begin(tmp_path)


@given(st.binary(max_size=200), st.integers(0, len(LINE)))
@settings(max_examples=50)
def test_after_any_cut_the_appended_file_is_whole_lines(before: bytes, cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        kept = before + b"\n" if before else b""
        path.write_bytes(kept + LINE[:cut])
        file = user_files.begin(path, append=True)
        file.write(LINE)
        file.finish()
        whole = LINE if cut >= len(LINE) - 1 else b""
        assert path.read_bytes() == kept + whole + LINE


def test_a_last_line_of_zeros_after_a_power_cut_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(LINE + b"\0" * 100)
    file = user_files.begin(tmp_path / "out", append=True)
    file.write(LINE)
    file.finish()
    assert (tmp_path / "out").read_bytes() == LINE * 2


@pytest.mark.parametrize("text", [b"my notes", b"1\n2\nthree", b"x" * 10_000_000])
def test_a_file_of_something_else_is_not_appended_to(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "out").write_bytes(text)
    with pytest.raises(OSError, match="not a record"):
        user_files.begin(tmp_path / "out", append=True)
    assert (tmp_path / "out").read_bytes() == text


@posix_only
def test_an_open_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = "import sys; from probe import user_files; user_files.write(sys.argv[1], [b'1\\n'])"
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", str(tmp_path / "link"), "-"):
        if not os.path.lexists(name) and name != "-":
            continue
        with (tmp_path / "out").open("w+b") as out:
            out.write(b"0\n")
            out.flush()
            subprocess.run([sys.executable, "-c", program, name], stdout=out, check=True)
        assert (tmp_path / "out").read_bytes() == b"0\n1\n"


@posix_only
def test_without_a_reader_a_fifo_is_an_error_if_asked_not_to_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        user_files.begin(tmp_path / "pipe", wait=False)
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        user_files.write(tmp_path / "pipe", [b"1"])
        assert reader.read() == b"1"
