"""Finished records go out: to `-o`, to whoever keeps them, to the tally. A disk may say no.

A disk that is full costs one line on stderr and the exit code, never the run, however many files
were to lie on it: what cannot be written here may still be spooled and sent, and the other way
round.
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
from probe.runner.journal import Journal
from probe.runner.ports import RecordStore
from probe.stdout import STDOUT, STDOUT_HANDLE, silence_stdout

P = ParamSpec("P")

# Journal, results and spool lie in one folder, on one disk: for a person that is one trouble.
_STATE = "into the state folder"


class Sink:
    """Where `-o` writes records, one line each, as they come."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    @classmethod
    def open(cls, path: str | None) -> "Sink":
        """Begin a file anew (`-` is stdout, None is nowhere); raises `OSError`."""
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
        """Write nothing any more."""
        self.close()
        self._handle = None

    def close(self) -> None:
        """Close the file, if it is one."""
        if self._handle not in (None, STDOUT_HANDLE):
            os.close(self._handle)
            self._handle = None


class RecordWriter:
    """Takes each record of a run exactly once.

    Whatever forces bytes to a disk is done by one thread, in order, so that a slow card delays no
    measurement; at the end it is waited for.

    Attributes:
        outcomes: How many records came to which outcome.
    """

    def __init__(
        self,
        sink: Sink,
        keepers: Sequence[RecordStore],
        journal: Journal,
        *,
        seen: Callable[[Record], None],
        warn: Callable[[str], None],
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._sink = sink
        self._keepers = list(keepers)
        self._journal: Journal | None = journal
        self._seen = seen
        self._warn = warn
        self._bugs: list[BaseException] = []
        self._told: list[str] = []
        self._disk = ThreadPoolExecutor(1, "disk")

    @property
    def trouble(self) -> str | None:
        """The first complaint of a disk, or None."""
        return self._told[0] if self._told else None

    def hold(self, record: Record) -> None:
        """It is not judged yet: remember it on disk, should we be killed."""
        self._later(self._noting, lambda journal: journal.hold(record))

    def take(self, record: Record, *, held: bool = False) -> None:
        """Write, keep and count one finished record."""
        if record.verdict is not None:
            self.outcomes[record.verdict.outcome] += 1
        line = codec.encode(record)
        self._write(line)
        self._seen(record)
        self._later(self._keep, record, line)
        if held:
            self._later(self._noting, lambda journal: journal.release(record.id))

    def hand_on_left_over(self, finish: Callable[[Record], Record]) -> int:
        """Keep what a killed run was still holding, judged as it is; returns how many."""
        left = () if self._journal is None else self._journal.left_over()
        for record in left:
            finished = finish(record)
            self._keep(finished, codec.encode(finished))
            self._noting(lambda journal, id_=record.id: journal.release(id_))  # type: ignore[misc]
        self.settled()
        return len(left)

    def settled(self) -> None:
        """Nothing is held any more."""
        self._later(self._noting, lambda journal: journal.clear())

    async def flushed(self) -> None:
        """Wait until everything is on the disk, or was refused by it; a bug in there is raised."""
        await self.caught_up()
        for bug in self._bugs:
            raise bug

    async def caught_up(self) -> None:
        """Wait until the disk has seen what it was given: what waits for it fills the memory."""
        await asyncio.wrap_future(self._disk.submit(lambda: None))

    def close(self) -> None:
        """Finish, waiting for the disk."""
        self._disk.shutdown()

    def _later(self, do: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        self._disk.submit(do, *given, **named).add_done_callback(self._look_for_bugs)

    def _look_for_bugs(self, done: Future[None]) -> None:
        bug = done.exception()
        if bug is not None:
            self._bugs.append(bug)

    def _keep(self, record: Record, line: bytes) -> None:
        for keeper in tuple(self._keepers):
            try:
                keeper.keep(record, line)
            except OSError as error:
                self._keepers.remove(keeper)
                self._journal = None  # what is still in it is for the next run to hand on
                self._complain(_STATE, error)

    def _noting(self, note: Callable[[Journal], None]) -> None:
        if self._journal is None:
            return
        try:
            note(self._journal)
        except OSError as error:
            self._journal = None
            self._complain(_STATE, error)

    def _write(self, line: bytes) -> None:
        try:
            self._sink.write(line)
        except BrokenPipeError:
            self._sink.give_up()  # the reader has seen enough; that is no trouble
            silence_stdout()
        except OSError as error:
            self._sink.give_up()
            self._complain("the output file", error)

    def _complain(self, what: str, error: OSError) -> None:
        reason = f"cannot write {what}: {error.strerror or error}; going on without"
        if reason in self._told:
            return
        self._told.append(reason)
        self._warn(reason)
