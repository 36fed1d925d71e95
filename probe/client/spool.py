"""Finished records that a collector does not have yet: a queue that survives everything.

The queue is a folder of segments, each a file of records, one JSON object a line. A run appends to
a segment of its own and forces every record to the disk, so two runs never write to one file.
Beside a segment, a small state file says which collectors it was made for and how far each has
taken it; that file is replaced whole, after a collector's answer. So a crash at any point costs at
most a second sending, which the collector knows by the record's id.

A line that is no whole record (the power went while it was written) is passed over. The queue is
capped by size and by age, and whatever it drops is counted and said.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from probe import atomic_files
from probe.codec import BATCH_RECORDS
from probe.model import Record

CAP_BYTES = 64 * 1024 * 1024
SEGMENT_BYTES = 4 * 1024 * 1024
# Small enough that a mobile line at 64 kbit/s finishes one within a minute.
BATCH_BYTES = 1024 * 1024
REJECTED_BYTES = 4 * 1024 * 1024
MAX_AGE = 30 * 24 * 3600.0
# A machine without a clock of its own wakes up in the past; such a date says nothing about age.
_CREDIBLE = 1_700_000_000.0


class SegmentState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a segment has come: whom it was made for, and bytes taken by each collector."""

    to: tuple[str, ...] = ()
    sent: dict[str, int] = {}


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What the caps cost: whole segments, oldest first. `at` is Unix time."""

    records: int = 0
    bytes: int = 0
    reason: str = ""
    at: float = 0.0

    def told(self) -> str:
        """What was dropped and why, in a line."""
        return f"{self.records} records were dropped from the spool: {self.reason}"


class _Head(msgspec.Struct):
    """The only field of a record that the spool looks at."""

    id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to send to one collector, and where each segment stands once it has them."""

    collector: str
    lines: tuple[bytes, ...]
    through: Mapping[str, int] = field(default_factory=dict)


class Spool:
    """The queue in `home/spool`."""

    def __init__(
        self,
        home: Path,
        *,
        cap_bytes: int = CAP_BYTES,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = home / "spool"
        self.lock = atomic_files.Lock(self.folder / "lock")
        self._cap = cap_bytes
        self._age = max_age
        self._clock = clock
        # How far each collector has come in this process, should the disk be too full to say so.
        self._progress: dict[tuple[str, str], int] = {}
        self._adopted: dict[str, tuple[str, ...]] = {}

    def writer(self, collectors: Sequence[str]) -> "Writer":
        """Somewhere to put finished records, as a context manager."""
        return Writer(self.folder, tuple(collectors), self._clock)

    def waiting(self, collector: str) -> int:
        """How many records this collector does not have yet."""
        return sum(1 for _ in self._all_unsent(collector))

    def adopt(self, collectors: Sequence[str]) -> None:
        """Give what was made without a collector to these, and tidy what a crash left behind."""
        for name in self._segments():
            if not self._state(name).to:
                self._adopted[name] = tuple(collectors)
                with contextlib.suppress(OSError):  # a full disk: the next upload adopts it again
                    self._keep(name, self._state(name))
            self._retire(name)

    def batch(
        self, collector: str, *, records: int = BATCH_RECORDS, size: int = BATCH_BYTES
    ) -> Batch | None:
        """The oldest records that this collector does not have yet, or None."""
        lines: list[bytes] = []
        through: dict[str, int] = {}
        total = 0
        for name, line, end in self._all_unsent(collector):
            total += len(line)
            if len(lines) >= records or (lines and total > size):
                break
            lines.append(line)
            through[name] = end
        return Batch(collector, tuple(lines), through) if lines else None

    def settle(self, batch: Batch, rejected: Mapping[int, str] | None = None) -> None:
        """Note that a collector answered for every line of a batch, and tidy what is done with.

        A disk that is too full to note it costs a second sending at most; what everybody has is
        removed all the same, which is what makes room.
        """
        if rejected:
            self._set_aside(batch, rejected)
        for name, offset in batch.through.items():
            self._progress[name, batch.collector] = offset
            if self._retire(name):
                continue
            state = self._state(name)
            sent = {**state.sent, batch.collector: offset}
            with contextlib.suppress(OSError):
                self._keep(name, SegmentState(to=state.to, sent=sent))

    def trim(self) -> Dropped:
        """Keep to the caps: what is too old goes, then what was already taken, then the oldest."""
        records = size = 0
        reasons: list[str] = []
        for name, reason in self._surplus():
            count, length = self._count(name), self._size(name)
            if self._remove(name):
                records, size = records + count, size + length
                reasons.append(reason)
        if not records:
            return Dropped()
        why = ", ".join(dict.fromkeys(reasons))
        dropped = Dropped(records=records, bytes=size, reason=why, at=self._clock())
        with contextlib.suppress(OSError):
            atomic_files.write(self.folder / "dropped.json", msgspec.json.encode(dropped))
        return dropped

    def destinations(self) -> tuple[str, ...]:
        """Every collector that something here was made for."""
        found = (url for name in self._segments() for url in self._state(name).to)
        return tuple(dict.fromkeys(found))

    def last_dropped(self) -> Dropped | None:
        """What was dropped last, if anything ever was."""
        try:
            return msgspec.json.decode((self.folder / "dropped.json").read_bytes(), type=Dropped)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return None

    def size(self) -> int:
        """Bytes of records kept here."""
        return sum(self._size(name) for name in self._segments())

    def _surplus(self) -> Iterator[tuple[str, str]]:
        """Segments to drop, and why."""
        names, now = self._segments(), self._clock()
        old = [name for name in names if _CREDIBLE < _made(name) < now - self._age]
        yield from ((name, f"older than {self._age / 86400:.0f} days") for name in old)
        rest = [name for name in names if name not in old]
        excess = sum(self._size(name) for name in rest) - self._cap
        for name in sorted(rest, key=lambda name: (not self._taken(name), name)):
            if excess <= 0:
                return
            excess -= self._size(name)
            yield name, f"more than {self._cap // 1024 // 1024} MB were waiting"

    def _taken(self, name: str) -> bool:
        """Some collector has all of it."""
        size = self._size(name)
        return any(offset >= size for offset in self._state(name).sent.values())

    def _all_unsent(self, collector: str) -> Iterator[tuple[str, bytes, int]]:
        for name in self._segments():
            yield from ((name, line, end) for line, end in self._unsent(name, collector))

    def _unsent(self, name: str, collector: str) -> Iterator[tuple[bytes, int]]:
        """Whole records past what this collector has, each with the offset that follows it."""
        noted = self._state(name).sent.get(collector, 0)
        offset = max(noted, self._progress.get((name, collector), 0))
        try:
            file = (self.folder / name).open("rb")
        except OSError:
            return
        with file:
            file.seek(offset)
            for line in file:
                offset += len(line)
                if line.endswith(b"\n") and _whole(line):
                    yield line[:-1], offset

    def _retire(self, name: str) -> bool:
        """Remove a segment that everybody it was made for has, unless it still grows."""
        to = self._state(name).to or ("",)  # for nobody yet: nobody has any of it
        return all(not any(self._unsent(name, url)) for url in to) and self._remove(name)

    def _remove(self, name: str) -> bool:
        """Remove a segment and its state, unless somebody is still writing to it."""
        path = self.folder / name
        try:
            with path.open("r+b") as file:
                if not atomic_files.try_lock(file):
                    return False
                if sys.platform != "win32":
                    path.unlink()
            path.unlink(missing_ok=True)
            self._state_file(name).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _set_aside(self, batch: Batch, rejected: Mapping[int, str]) -> None:
        """Keep what a collector would not take, with its reason, where it is not sent again."""
        path = self.folder / "rejected.jsonl"
        if path.exists() and path.stat().st_size > REJECTED_BYTES:
            path.replace(path.with_suffix(".old.jsonl"))
        handle = atomic_files.private_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "ab") as file:
            for number, reason in sorted(rejected.items()):
                note = {
                    "collector": batch.collector,
                    "reason": reason,
                    "record": msgspec.Raw(batch.lines[number]),
                }
                file.write(msgspec.json.encode(note) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _segments(self) -> list[str]:
        """Names of all segments, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.glob("[0-9]*.jsonl"))

    def _count(self, name: str) -> int:
        return sum(1 for _ in self._unsent(name, ""))

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError:
            return 0

    def _state_file(self, name: str) -> Path:
        return _state_file(self.folder / name)

    def _state(self, name: str) -> SegmentState:
        try:
            noted = msgspec.json.decode(self._state_file(name).read_bytes(), type=SegmentState)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            noted = SegmentState()
        return noted if noted.to else SegmentState(to=self._adopted.get(name, ()), sent=noted.sent)

    def _keep(self, name: str, state: SegmentState) -> None:
        atomic_files.write(self._state_file(name), msgspec.json.encode(state))


class Writer:
    """Appends records to segments of its own, each forced to the disk before `add` returns.

    That costs milliseconds on a slow card: call it where waiting hurts nobody's timing. Attributes:
        added: How many records it has kept.
    """

    def __init__(self, home: Path, to: tuple[str, ...], clock: Callable[[], float]) -> None:
        self.added = 0
        self._folder = home
        self._to = to
        self._clock = clock
        self._file: BinaryIO | None = None
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: bytes) -> None:
        """Keep one encoded record, or raise `OSError` and leave the queue as it was."""
        try:
            file = self._open()
            rest = memoryview(line + b"\n")
            while rest:  # a disk that fills up takes a part first, and only then refuses
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            self._undo()
            raise
        self._end += len(line) + 1
        self.added += 1

    def keep(self, _: Record, line: bytes) -> None:
        """The same, as a run hands on its records."""
        self.add(line)

    def close(self) -> None:
        """Finish the segment, so that it may be removed once it is sent."""
        file, self._file, self._end = self._file, None, 0
        if file is not None:
            file.close()

    def _open(self) -> BinaryIO:
        """The current segment, or a new one when that is full."""
        if self._file is not None and self._end < SEGMENT_BYTES:
            return self._file
        self.close()
        atomic_files.folder(self._folder)
        while self._file is None:
            self._file = self._begin()
        atomic_files.settle_folder(self._folder)
        return self._file

    def _begin(self) -> BinaryIO | None:
        """A new segment, locked; None when a tidying process took the empty file away first."""
        path = self._folder / f"{int(self._clock() * 1000):013d}-{secrets.token_hex(4)}.jsonl"
        atomic_files.write(_state_file(path), msgspec.json.encode(SegmentState(to=self._to)))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        # Unbuffered: what could not be written must not be tried again when the file is closed.
        file = os.fdopen(atomic_files.private_file(path, flags), "r+b", buffering=0)
        if atomic_files.try_lock(file) and os.fstat(file.fileno()).st_nlink:
            return file
        file.close()
        return None

    def _undo(self) -> None:
        """Take back half a line, and leave this segment alone from now on."""
        if self._file is not None:
            try:
                self._file.truncate(self._end)
            except OSError:
                self._end = 0  # the torn line is passed over by the reader
        self.close()


def _state_file(segment: Path) -> Path:
    return segment.with_suffix(".state")


def _made(name: str) -> float:
    """When a segment was begun, Unix time, from its name."""
    stamp = name.partition("-")[0]
    return int(stamp) / 1000 if stamp.isdigit() else 0.0


def _whole(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True
