"""Write files that the user named, and lose nothing of theirs, however the writing ends.

A file is written beside its name, as `NAME.partial`, and renamed when it is complete. So a process
that is killed leaves the old file as it was, and what it had written as `NAME.partial`; the next
writer keeps that under a name of its own. Pipes, devices and open descriptors (`/dev/stdout`) are
written to directly: they have nothing to lose.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from probe import atomic_files
from probe.i18n import _
from probe.stdout import STDOUT, STDOUT_HANDLE

PARTIAL = ".partial"
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,6})")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_MOST_LINKS = 40
_CHUNK = 64 * 1024
_LONGEST_LINE = 8 * 1024 * 1024


class UserFile(Protocol):
    """A file that is being written; every method raises `OSError`."""

    @property
    def is_stream(self) -> bool:
        """Whether what is written cannot be taken back, and nothing has to be finished."""

    @property
    def unfinished(self) -> Path | None:
        """Where the data is as long as the file is not finished, or None."""

    @property
    def note(self) -> str | None:
        """A message for the user about what was found at the start, or None."""

    def write(self, data: bytes) -> None:
        """Write all of `data`, or nothing of it."""

    def finish(self) -> None:
        """Give the file its name."""

    def discard(self) -> None:
        """Leave the user's file as it was at the start."""

    def close(self) -> None:
        """Stop writing; unfinished data stays where it is."""


def begin(path: str | Path, *, append: bool = False, wait: bool = True) -> UserFile:
    """Begin to write a file (`-`: stdout).

    Args:
        append: Add to an existing file instead of replacing it.
        wait: Wait for the reader of a FIFO; otherwise `OSError` ENXIO if there is none.
    """
    handle = _direct(str(path), wait=wait)
    if handle is not None:
        return _Stream(handle)
    return _Appended(Path(path)) if append else _Replaced(Path(path))


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[UserFile]:
    """Yield a file to write; if anything fails, the user's file stays as it was."""
    file = begin(path)
    try:
        yield file
        file.finish()
    except BaseException:
        with contextlib.suppress(OSError):
            file.discard()
        raise


def write(path: str | Path, parts: Iterable[bytes]) -> None:
    """Write a whole file; if anything fails, the user's file stays as it was."""
    with writing(path) as file:
        for part in parts:
            file.write(part)


class _Stream:
    """A pipe, a device, or an open descriptor."""

    is_stream = True
    unfinished = None
    note = None

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def write(self, data: bytes) -> None:
        if self._handle is not None:
            _write_all(self._handle, data)

    def finish(self) -> None:
        self.close()

    def discard(self) -> None:
        self.close()

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle not in (None, STDOUT_HANDLE):
            os.close(handle)


class _Appended:
    """A file to which lines are added; a last line that was cut off is removed first."""

    is_stream = False
    unfinished = None

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._file = os.fdopen(atomic_files.private_file(path, flags), "r+b", buffering=0)
        try:
            self.note = _repair(self._file, path)
            self._begun = self._end = self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise

    def write(self, data: bytes) -> None:
        self._end = _write_or_undo(self._file, data, self._end)

    def finish(self) -> None:
        os.fsync(self._file.fileno())
        self.close()

    def discard(self) -> None:
        # Another process may have appended meanwhile; its lines are not ours to remove.
        if self._file.seek(0, os.SEEK_END) == self._end:
            self._file.truncate(self._begun)
        self.close()

    def close(self) -> None:
        self._file.close()


class _Replaced:
    """A file that is written beside and renamed at the end."""

    is_stream = False

    def __init__(self, path: Path) -> None:
        # The target of a symbolic link is replaced, not the link.
        self._target = Path(os.path.realpath(path))
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self.note: str | None = None
        try:
            self._file = self._begin_beside(path)
        except PermissionError:
            if not self._target.exists():
                raise
            self._file = self._begin_elsewhere()
        self._end = 0

    @property
    def unfinished(self) -> Path | None:
        """The file beside, unless it is empty."""
        return self._beside if self._end else None

    def write(self, data: bytes) -> None:
        self._end = _write_or_undo(self._file, data, self._end)

    def finish(self) -> None:
        os.fsync(self._file.fileno())
        _copy_owner(self._target, self._beside)
        if sys.platform == "win32":
            self._file.close()  # Windows renames no open file; elsewhere it stays locked
        try:
            self._beside.replace(self._target)
        except OSError:
            # A folder that takes no new file, or a file that is a mount point of its own.
            _overwrite(self._target, self._beside)
            self._beside.unlink(missing_ok=True)
        self._file.close()
        self._end = 0

    def discard(self) -> None:
        self._end = 0
        self.close()

    def close(self) -> None:
        if self._file.closed:
            return
        self._file.close()
        if not self._end:
            self._beside.unlink(missing_ok=True)

    def _begin_beside(self, path: Path) -> BinaryIO:
        self._beside = self._target.with_name(self._target.name + PARTIAL)
        while True:
            handle = atomic_files.private_file(self._beside, os.O_RDWR | os.O_CREAT)
            file = os.fdopen(handle, "r+b", buffering=0)
            if not atomic_files.try_lock(file):
                file.close()
                raise OSError(errno.EBUSY, _("another process is writing this file"), str(path))
            is_ours = _is_file(self._beside, handle)
            if is_ours and not os.fstat(handle).st_size:
                return file
            file.close()
            if is_ours:
                self._keep_apart()

    def _keep_apart(self) -> None:
        """Rename what a killed process had written, so that this one does not replace it."""
        written = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._beside.stat().st_mtime))
        kept = self._beside.with_name(f"{self._beside.name}-{written}")
        self._beside.replace(kept)
        note = _("{file}: written by a run that was killed, kept under this name")
        self.note = note.format(file=kept)

    def _begin_elsewhere(self) -> BinaryIO:
        """For a file that may be written in a folder that may not."""
        os.close(os.open(self._target, os.O_WRONLY))
        handle, name = tempfile.mkstemp(PARTIAL, f"{self._target.name}.")
        self._beside = Path(name)
        return os.fdopen(handle, "r+b", buffering=0)


def _direct(path: str, *, wait: bool) -> int | None:
    """Open a path that is no regular file; None if it is one, or does not exist."""
    if path == STDOUT:
        return STDOUT_HANDLE
    for _link in range(_MOST_LINKS):
        named = _DESCRIPTOR.fullmatch(path)
        if named or path in _STANDARD:
            # Opened by its path, a file that stdout was redirected to would be overwritten.
            return os.dup(int(named[1]) if named else _STANDARD[path])
        link = Path(path)
        if not link.is_symlink():
            break
        path = str(link.parent / link.readlink())
    try:
        kind = Path(path).stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return None
    no_wait = 0 if wait else getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | no_wait)
    if no_wait:
        os.set_blocking(handle, True)
    return handle


def _is_file(path: Path, handle: int) -> bool:
    """Whether a name still means this open file, which another process may have renamed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _write_or_undo(file: BinaryIO, data: bytes, end: int) -> int:
    """Write at the end of a file and return its new end; a part of `data` never stays."""
    try:
        _write_all(file.fileno(), data)
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(end)
            file.seek(end)
        raise
    return end + len(data)


def _repair(file: BinaryIO, path: Path) -> str | None:
    """Make sure that the last line of a file is whole; return what was done about it."""
    tail, begin_of_tail = _last_line(file)
    if not tail:
        return None
    try:
        msgspec.json.decode(tail)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        if not tail.startswith((b"{", b"\0")):
            raise OSError(errno.EINVAL, _("its last line is not a record"), str(path)) from None
        file.truncate(begin_of_tail)
        note = _("{file}: its last line was cut off after {bytes} bytes, and is removed")
        return note.format(file=path, bytes=len(tail))
    file.write(b"\n")
    return None


def _last_line(file: BinaryIO) -> tuple[bytes, int]:
    """The last line if no newline ends it, and where it begins."""
    begins = file.seek(0, os.SEEK_END)
    tail = b""
    while begins and b"\n" not in tail and len(tail) < _LONGEST_LINE:
        size = min(_CHUNK, begins)
        begins -= size
        file.seek(begins)
        tail = file.read(size) + tail
    last = tail.rpartition(b"\n")[2]  # of a longer line a part, which is no record
    return last, begins + len(tail) - len(last)


def _copy_owner(source: Path, to: Path) -> None:
    """Give a new file the mode of the old one, and its owner where that is permitted."""
    with contextlib.suppress(OSError):
        old = source.stat()
        to.chmod(stat.S_IMODE(old.st_mode))
        if hasattr(os, "chown"):
            os.chown(to, old.st_uid, old.st_gid)


def _overwrite(target: Path, source: Path) -> None:
    """Write over a file in place, for want of a rename; `source` stays if that fails."""
    with source.open("rb") as new, target.open("r+b") as old:
        shutil.copyfileobj(new, old)
        old.truncate()
        old.flush()
        os.fsync(old.fileno())
