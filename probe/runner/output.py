"""Write finished records: to `-o`, to the stores, to the counts of outcomes.

A full disk costs one warning and the exit code, never the run, however many files are on it: a
record that cannot be written to `-o` may still be spooled and uploaded, and vice versa.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec

from probe import codec
from probe.model import Record
from probe.runner.dependencies import RecordStore
from probe.runner.journal import Journal
from probe.stdout import STDOUT, STDOUT_HANDLE, silence_stdout

P = ParamSpec("P")

# Journal, results and spool are on one disk, so a full one is reported once for all three.
_STATE = "into the state folder"


class Sink:
    """The output of `-o`: one record a line."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    @classmethod
    def open(cls, path: str | None) -> "Sink":
        """Open a file and truncate it (`-`: stdout, None: no output); raises `OSError`."""
        if path is None:
            return cls(None)
        if path == STDOUT:
            return cls(STDOUT_HANDLE)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        return cls(os.open(Path(path), flags, 0o600))

    def write(self, line: bytes) -> None:
        """Write one line; raises `OSError`."""
        rest = line + b"\n" if self._handle is not None else b""
        while rest and self._handle is not None:
            rest = rest[os.write(self._handle, rest) :]

    def give_up(self) -> None:
        """Close the output; later writes are ignored."""
        self.close()
        self._handle = None

    def close(self) -> None:
        """Close the file, if it is one."""
        if self._handle not in (None, STDOUT_HANDLE):
            os.close(self._handle)
            self._handle = None


class RecordWriter:
    """Writes each record of a run exactly once.

    One thread does all synchronous disk writes, in order, so that a slow SD card delays no
    measurement; `flushed` waits for it.

    Attributes:
        outcomes: Records by outcome.
    """

    def __init__(
        self,
        sink: Sink,
        stores: Sequence[RecordStore],
        journal: Journal,
        *,
        show: Callable[[Record], None],
        warn: Callable[[str], None],
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._sink = sink
        self._stores = list(stores)
        self._journal: Journal | None = journal
        self._show = show
        self._warn = warn
        self._bugs: list[BaseException] = []
        self._warnings: list[str] = []
        self._disk = ThreadPoolExecutor(1, "disk")

    @property
    def trouble(self) -> str | None:
        """The first warning about a disk, or None."""
        return self._warnings[0] if self._warnings else None

    def hold(self, record: Record) -> None:
        """Write a record that is not judged yet to the journal, in case the process is killed."""
        self._enqueue(self._update_journal, lambda journal: journal.hold(record))

    def take(self, record: Record, *, held: bool = False) -> None:
        """Write, store and count one finished record."""
        if record.verdict is not None:
            self.outcomes[record.verdict.outcome] += 1
        line = codec.encode(record)
        self._write(line)
        self._show(record)
        self._enqueue(self._store, record, line)
        if held:
            self._enqueue(self._update_journal, lambda journal: journal.release(record.id))

    def recover(self, judge: Callable[[Record], Record]) -> int:
        """Judge and store the records that a killed run was holding; returns how many."""
        held = () if self._journal is None else self._journal.held()
        for record in held:
            judged = judge(record)
            self._store(judged, codec.encode(judged))
            self._update_journal(lambda journal, id_=record.id: journal.release(id_))  # type: ignore[misc]
        self.clear_journal()
        return len(held)

    def clear_journal(self) -> None:
        """Empty the journal: nothing is held any more."""
        self._enqueue(self._update_journal, lambda journal: journal.clear())

    async def flushed(self) -> None:
        """Wait until everything is written or was refused; raises exceptions of our own code."""
        await self.caught_up()
        for bug in self._bugs:
            raise bug

    async def caught_up(self) -> None:
        """Wait for the queued disk writes; without this the queue could fill the memory."""
        await asyncio.wrap_future(self._disk.submit(lambda: None))

    def close(self) -> None:
        """Stop the disk thread when its queue is empty."""
        self._disk.shutdown()

    def _enqueue(self, write: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        self._disk.submit(write, *args, **kwargs).add_done_callback(self._note_bug)

    def _note_bug(self, done: Future[None]) -> None:
        bug = done.exception()
        if bug is not None:
            self._bugs.append(bug)

    def _store(self, record: Record, line: bytes) -> None:
        for store in tuple(self._stores):
            try:
                store.keep(record, line)
            except OSError as error:
                self._stores.remove(store)
                self._journal = None  # the next run recovers what is still in it
                self._warn_once(_STATE, error)

    def _update_journal(self, update: Callable[[Journal], None]) -> None:
        if self._journal is None:
            return
        try:
            update(self._journal)
        except OSError as error:
            self._journal = None
            self._warn_once(_STATE, error)

    def _write(self, line: bytes) -> None:
        try:
            self._sink.write(line)
        except BrokenPipeError:
            self._sink.give_up()  # the reader closed the pipe, which is no error
            silence_stdout()
        except OSError as error:
            self._sink.give_up()
            self._warn_once("the output file", error)

    def _warn_once(self, what: str, error: OSError) -> None:
        warning = f"cannot write {what}: {error.strerror or error}; going on without"
        if warning not in self._warnings:
            self._warnings.append(warning)
            self._warn(warning)
