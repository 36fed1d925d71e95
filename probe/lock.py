"""One run at a time: an operating-system lock on a file, which dies with its holder.

The lock is advisory and belongs to the open file, so a killed run leaves no stale lock behind; the
file itself stays, and says nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockHeld(Exception):  # noqa: N818 - a state of affairs, not a fault of ours
    """Another run holds the lock."""


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, or raise `LockHeld` at once."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _take(handle)
        except (BlockingIOError, PermissionError) as error:  # EWOULDBLOCK; EACCES on Windows
            raise LockHeld(f"another run holds {path}") from error
        yield
    finally:
        os.close(handle)
