"""The spool: a crash-safe queue of finished records that collectors do not have yet.

The queue is a folder of segments, files with one JSON record a line. A run appends to its own
segment and forces every record to disk, so two runs never write to one file. Beside each segment a
state file lists its collectors and the bytes that each has acknowledged; it is replaced atomically
after a collector's reply. A crash causes at most a repeated sending, which the collector recognises
by the record's id.

Incomplete lines (a power cut during a write) are skipped. The queue is limited in size and age;
dropped records are counted and reported. Records that a full disk refuses stay in memory
(`memory_queue.py`) and are sent by the same run.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.client.memory_queue import MemoryQueue
from probe.client.spool_writer import SegmentState, Writer, state_file
from probe.codec import BATCH_RECORDS
from probe.i18n import _

CAP_BYTES = 64 * 1024 * 1024
# Small enough for a connection of 64 kbit/s to finish one within a minute.
BATCH_BYTES = 1024 * 1024
REJECTED_BYTES = 4 * 1024 * 1024
MAX_AGE = 30 * 24 * 3600.0
# Stands for the records in memory where segments have their names.
_MEMORY = "memory"
# Unix time. A machine without a battery-backed clock boots in the past; such a time gives no age.
_CREDIBLE = 1_700_000_000.0


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Records dropped by the limits (whole segments). `at` is Unix time."""

    records: int = 0
    bytes: int = 0
    reason: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        return _("{records} records were dropped from the spool: {reason}").format(
            records=self.records, reason=self.reason
        )


class _RecordId(msgspec.Struct):
    """The only field of a record that the spool reads."""

    id: str


class Batch(msgspec.Struct, frozen=True):
    """Records for one collector, and the offset in each segment once it has them."""

    collector: str
    lines: tuple[bytes, ...]
    through: Mapping[str, int] = msgspec.field(default_factory=dict)


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
        # Progress by segment and collector, in case the disk is too full to store it.
        self._progress: dict[tuple[str, str], int] = {}
        self._adopted: dict[str, tuple[str, ...]] = {}
        self._memory = MemoryQueue()

    @property
    def rejected(self) -> Path:
        """The file of the records that collectors rejected."""
        return self.folder / "rejected.jsonl"

    def writer(self, collectors: Sequence[str]) -> "Writer":
        """Return a writer for records to these collectors, a context manager."""
        return Writer(self.folder, tuple(collectors), self._clock, self._memory)

    def save_memory(self, collectors: Sequence[str]) -> int:
        """Write records in memory that are not sent to disk; return how many it still refuses."""
        left = self._memory.take(collectors)
        with self.writer(collectors) as writer:
            for number, line in enumerate(left):
                try:
                    writer.add(line)
                except OSError:
                    return sum(self._memory.add(rest) for rest in left[number:])
        return 0

    def waiting(self, collector: str) -> int:
        """Return the number of records that this collector does not have yet."""
        return sum(1 for _ in self._all_unsent(collector))

    def adopt(self, collectors: Sequence[str]) -> None:
        """Assign segments without collectors to these; remove finished segments left by a crash."""
        for name in self._segments():
            if not self._state(name).to:
                self._adopted[name] = tuple(collectors)
                with contextlib.suppress(OSError):  # full disk: the next upload adopts it again
                    self._keep(name, self._state(name))
            self._retire(name)

    def batch(
        self, collector: str, *, records: int = BATCH_RECORDS, size: int = BATCH_BYTES
    ) -> Batch | None:
        """Return the oldest records that this collector does not have yet, or None."""
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

    def settle(self, batch: Batch, rejected: Mapping[int, str] | None = None) -> bool:
        """Store that a collector handled every record of a batch; remove finished segments.

        Returns whether there were rejected records and they were set aside.

        If the disk is too full to store it, the batch is sent once more at most; finished segments
        are removed in any case, which frees space.
        """
        kept = bool(rejected)
        try:
            self._set_aside(batch, rejected or {})
        except OSError:  # a full disk: what was rejected would be rejected again
            kept = False
        for name, offset in batch.through.items():
            if name == _MEMORY:
                self._memory.note_sent(batch.collector, offset)
                continue
            self._progress[name, batch.collector] = offset
            if self._retire(name):
                continue
            state = self._state(name)
            sent = {**state.sent, batch.collector: offset}
            with contextlib.suppress(OSError):
                self._keep(name, SegmentState(to=state.to, sent=sent))
        return kept

    def trim(self) -> Dropped:
        """Enforce the limits: drop expired segments, then acknowledged ones, then the oldest."""
        records = size = 0
        reasons: list[str] = []
        for name, reason in self._surplus():
            count, length = sum(1 for _ in self._unsent(name, "")), self._size(name)
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
        """Return every collector that a segment is meant for."""
        found = (url for name in self._segments() for url in self._state(name).to)
        return tuple(dict.fromkeys(found))

    def last_dropped(self) -> Dropped | None:
        """Return what was dropped last, or None."""
        try:
            return msgspec.json.decode((self.folder / "dropped.json").read_bytes(), type=Dropped)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return None

    def size(self) -> int:
        """Return the bytes of records in the spool."""
        return sum(self._size(name) for name in self._segments())

    def _surplus(self) -> Iterator[tuple[str, str]]:
        """Yield the segments to drop with the reason."""
        names, now = self._segments(), self._clock()
        old = [name for name in names if _CREDIBLE < _begun(name) < now - self._age]
        yield from ((name, f"older than {self._age / 86400:.0f} days") for name in old)
        rest = [name for name in names if name not in old]
        excess = sum(self._size(name) for name in rest) - self._cap
        for name in sorted(rest, key=lambda name: (not self._acknowledged(name), name)):
            if excess <= 0:
                return
            excess -= self._size(name)
            yield name, f"the spool exceeded {self._cap // 1024 // 1024} MB"

    def _acknowledged(self, name: str) -> bool:
        """Return whether some collector has all of a segment."""
        size = self._size(name)
        return any(offset >= size for offset in self._state(name).sent.values())

    def _all_unsent(self, collector: str) -> Iterator[tuple[str, bytes, int]]:
        for name in self._segments():
            yield from ((name, line, end) for line, end in self._unsent(name, collector))
        yield from ((_MEMORY, line, end) for line, end in self._memory.unsent(collector))

    def _unsent(self, name: str, collector: str) -> Iterator[tuple[bytes, int]]:
        """Yield the complete records a collector lacks, each with the offset after it."""
        stored = self._state(name).sent.get(collector, 0)
        offset = max(stored, self._progress.get((name, collector), 0))
        try:
            file = (self.folder / name).open("rb")
        except OSError:
            return
        with file:
            file.seek(offset)
            for line in file:
                offset += len(line)
                if line.endswith(b"\n") and _is_record(line):
                    yield line[:-1], offset

    def _retire(self, name: str) -> bool:
        """Remove a segment that all its collectors have, unless it is still being written."""
        to = self._state(name).to or ("",)  # no collector yet: nothing is acknowledged
        return all(not any(self._unsent(name, url)) for url in to) and self._remove(name)

    def _remove(self, name: str) -> bool:
        """Remove a segment and its state, unless a process is still writing to it."""
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
        """Store rejected records with the reason in a file that is not sent again."""
        if not rejected:
            return
        path = self.rejected
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
        """Return the names of all segments, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.glob("[0-9]*.jsonl"))

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError:
            return 0

    def _state_file(self, name: str) -> Path:
        return state_file(self.folder / name)

    def _state(self, name: str) -> SegmentState:
        try:
            state = msgspec.json.decode(self._state_file(name).read_bytes(), type=SegmentState)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            state = SegmentState()
        return state if state.to else SegmentState(to=self._adopted.get(name, ()), sent=state.sent)

    def _keep(self, name: str, state: SegmentState) -> None:
        atomic_files.write(self._state_file(name), msgspec.json.encode(state))


def _begun(name: str) -> float:
    """Return when a segment was created, Unix time, from its name."""
    stamp = name.partition("-")[0]
    return int(stamp) / 1000 if stamp.isdigit() else 0.0


def _is_record(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=_RecordId)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True
