"""Whether the file of an embedded store is still the one that was opened.

Rule: what is written into a file that was deleted or replaced is lost when the process ends, so it
is not acknowledged. The log (-wal) is part of the file: commits are in it until a checkpoint.
"""

from pathlib import Path

from collector.store.interface import StoreUnavailable


class FileIdentity:
    """The file of one store and its log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = Path(f"{path}-wal")
        self._file_id = _id(path)
        self._log_id: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise `StoreUnavailable` when the file or its log is gone, or is another one."""
        found = _id(self._path)
        if found is None:
            raise StoreUnavailable("its file is gone; put it back")
        if found != self._file_id:
            raise StoreUnavailable("its file is another one now; start the collector again")
        if self._log_id is not None and _id(self._log) != self._log_id:
            raise StoreUnavailable("its -wal file is gone; start the collector again")

    def opened(self) -> None:
        """Note the log, which exists from now on as long as this process has the file open."""
        if self._log_id is None:
            self._log_id = _id(self._log)


def _id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
