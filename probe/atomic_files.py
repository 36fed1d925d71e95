"""Write files so that they are whole after a power cut, and let one process at a time do a thing.

A file is either the old one or the new one, never half of either: the new bytes are written beside
it, forced to the disk, and renamed over it. Everything is private to the user from the first byte.
"""

import contextlib
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
# Windows locks are mandatory and by range: a byte that no file reaches hinders no reader.
_LOCK_BYTE = 1 << 40
_LOOK_EVERY = 0.02


def folder(path: Path) -> Path:
    """Make a folder that only its owner can look into, and give it back."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return path


def private_file(path: Path, flags: int) -> int:
    """Open `path` for binary writing, created for its owner alone."""
    return os.open(path, flags | getattr(os, "O_BINARY", 0), PRIVATE_FILE)


def write(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, all or nothing; an `OSError` names it."""
    folder(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(private_file(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        # A disk that fills up while a file is written does not say which file (write(2)).
        raise OSError(error.errno, error.strerror, str(path)) from error
    settle_folder(path.parent)


def settle_folder(path: Path) -> None:
    """Force a folder's own entries (a new name, a rename) to the disk, where systems have that."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def try_lock(file: BinaryIO) -> bool:
    """Take the exclusive lock of an open file if nobody has it; it ends when the file is closed."""
    try:
        if sys.platform == "win32":
            file.seek(_LOCK_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Lock:
    """A lock that dies with its process, whatever kills it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> bool:
        """Take the lock now, or say that somebody else has it."""
        folder(self._path.parent)
        file = os.fdopen(private_file(self._path, os.O_RDWR | os.O_CREAT), "r+b")
        if not try_lock(file):
            file.close()
            return False
        self._file = file
        return True

    def wait(self, seconds: float) -> bool:
        """Take the lock within some seconds, or say that somebody else still has it."""
        until = time.monotonic() + seconds
        while not self.acquire():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_EVERY)
        return True

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would race with a waiter."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None
