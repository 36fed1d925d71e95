"""Atomic file writes and inter-process locks.

After a power cut a file is either the old or the new one: new bytes go to a temporary file, are
forced to disk, and the file is renamed over the old one. All files are private to the user.
"""

import contextlib
import errno
import os
import secrets
import sys
import time
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# Windows locks are mandatory byte ranges: a byte beyond any file's end does not block readers.
_LOCK_BYTE = 1 << 40
_POLL_SECONDS = 0.02
_NO_NEW_FILE = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS") if hasattr(errno, name)
)


def folder(path: Path) -> Path:
    """Create a folder that only its owner can read, and return it."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return path


def private_file(path: Path, flags: int) -> int:
    """Open `path` as binary with these flags; a new file is private to its owner."""
    return os.open(path, flags | getattr(os, "O_BINARY", 0), PRIVATE_FILE)


def write(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Replace the contents of `path` atomically; an `OSError` names the path.

    Args:
        mode: Who may read and write the file; by default its owner alone.
    """
    folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(private_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            if mode != PRIVATE_FILE:
                temporary.chmod(mode)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # The error of write(2) on a full disk has no file name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Force a folder's entries (new names, renames) to disk; does nothing on Windows."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def try_lock(file: BinaryIO) -> bool:
    """Try to lock an open file exclusively; closing the file releases the lock."""
    try:
        if sys.platform == "win32":
            _lock_a_byte(file)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_a_byte(file: BinaryIO) -> None:
    """Lock as Windows does, from the file's position, which is put back: bytes may follow there."""
    if sys.platform == "win32":
        position = file.tell()
        file.seek(_LOCK_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(position)


class Lock:
    """An inter-process lock that ends with its process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._folder: int | None = None

    def acquire(self) -> bool:
        """Try to take the lock; return whether that succeeded."""
        folder(self._path.parent)
        try:
            file = os.fdopen(private_file(self._path, os.O_RDWR | os.O_CREAT), "r+b")
        except OSError as error:
            if error.errno not in _NO_NEW_FILE or sys.platform == "win32":
                raise
            return self._lock_folder()
        if not try_lock(file):
            file.close()
            return False
        self._file = file
        return True

    def _lock_folder(self) -> bool:
        """On a disk that takes no new file, lock the folder itself."""
        if sys.platform == "win32":
            return False
        handle = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._folder = handle
        return True

    def wait(self, seconds: float) -> bool:
        """Try to take the lock for some seconds; return whether that succeeded."""
        until = time.monotonic() + seconds
        while not self.acquire():
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def release(self) -> None:
        """Release the lock; the file stays, since removing it would race with a waiting process."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
            if self._folder is not None:
                os.close(self._folder)
        self._file = self._folder = None
