"""Append records to the spool: each run to segments of its own, forced to disk one by one.

A record that a full disk refuses is kept in memory (`memory_queue.py`).
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from probe import atomic_files
from probe.client.memory_queue import KeptInMemoryError, MemoryQueue
from probe.model import Record

SEGMENT_BYTES = 4 * 1024 * 1024


class SegmentState(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a segment: its collectors, and the bytes that each has acknowledged."""

    to: tuple[str, ...] = ()
    sent: dict[str, int] = {}


def state_file(segment: Path) -> Path:
    """Return the state file of a segment."""
    return segment.with_suffix(".state")


class Writer:
    """Appends records to its own segments; `add` returns once the record is on disk.

    That takes milliseconds on a slow memory card: do not call it during a timed measurement.

    Attributes:
        added: Number of records stored.
    """

    def __init__(
        self, home: Path, to: tuple[str, ...], clock: Callable[[], float], memory: MemoryQueue
    ) -> None:
        self.added = 0
        self._folder = home
        self._to = to
        self._clock = clock
        self._memory = memory
        self._refused: OSError | None = None
        self._file: BinaryIO | None = None
        self._end = 0
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: bytes) -> None:
        """Store one encoded record, or raise `OSError` and leave the queue unchanged."""
        try:
            file = self._open()
            rest = memoryview(line + b"\n")
            while rest:  # a disk that fills up accepts a part before it fails
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            self._undo()
            raise
        self._end += len(line) + 1
        self.added += 1

    def keep(self, _: Record, line: bytes) -> None:
        """Store one record; the interface of a run's record stores.

        After the disk has refused a record, the rest of the run goes to memory.
        """
        if self._refused is None:
            try:
                self.add(line)
            except OSError as error:
                self._refused = error
            else:
                return
        if not self._memory.add(line):
            raise self._refused
        raise KeptInMemoryError(self._refused.errno, self._refused.strerror) from self._refused

    def discard(self) -> None:
        """Remove every segment of this writer, also those that are not sent yet.

        Raises:
            OSError: A segment stays; the others were removed.
        """
        self.close()
        self._memory.take(())
        made, self._made = self._made, []
        refused: list[OSError] = []
        for path in made:
            try:
                path.unlink(missing_ok=True)
                state_file(path).unlink(missing_ok=True)
            except OSError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    def close(self) -> None:
        """Close the segment, so that it can be removed once it is sent."""
        file, self._file, self._end = self._file, None, 0
        if file is not None:
            file.close()

    def _open(self) -> BinaryIO:
        """Return the current segment, or a new one if it is full."""
        if self._file is not None and self._end < SEGMENT_BYTES:
            return self._file
        self.close()
        atomic_files.folder(self._folder)
        while self._file is None:
            self._file = self._begin()
        atomic_files.sync_folder(self._folder)
        return self._file

    def _begin(self) -> BinaryIO | None:
        """Create and lock a segment; None if another process removed the empty file first."""
        now = max(int(self._clock() * 1000), 0)  # a clock may be before 1970
        path = self._folder / f"{now:013d}-{secrets.token_hex(4)}.jsonl"
        self._made.append(path)
        atomic_files.write(state_file(path), msgspec.json.encode(SegmentState(to=self._to)))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        # Unbuffered: data that could not be written must not be written again at close.
        file = os.fdopen(atomic_files.private_file(path, flags), "r+b", buffering=0)
        if atomic_files.try_lock(file) and os.fstat(file.fileno()).st_nlink:
            return file
        file.close()
        return None

    def _undo(self) -> None:
        """Truncate a partial line and close this segment."""
        if self._file is not None:
            try:
                self._file.truncate(self._end)
            except OSError:
                self._end = 0  # the reader skips the partial line
        self.close()
