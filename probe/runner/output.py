"""Write finished records: to `-o`, to the stores, to the counts of outcomes.

A full disk costs one warning and the exit code, never the run, however many files are on it: a
record that cannot be written to `-o` may still be spooled and uploaded, and vice versa.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec

from probe import codec, user_files
from probe.client.memory_queue import KeptInMemoryError
from probe.i18n import _
from probe.model import Record
from probe.runner.dependencies import RecordStore
from probe.runner.journal import Journal
from probe.signals import Stop
from probe.stdout import silence_stdout

P = ParamSpec("P")

# Seconds between two looks whether a FIFO has a reader.
_READER_POLL = 0.2


class Sink:
    """The output of `-o`: one record a line.

    `begin` and `finish` enclose a round. A run that is repeated appends its rounds to one file.
    """

    def __init__(self, path: str | None, *, append: bool = False) -> None:
        self._path = path
        self._append = append
        self._file: user_files.UserFile | None = None

    async def begin(self, stop: Stop) -> str | None:
        """Open the output; return a message about what was found there; raises `OSError`."""
        while self._path is not None and self._file is None:
            try:
                self._file = user_files.begin(self._path, append=self._append, wait=False)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                # A FIFO that is not read yet. Waiting in `open` would keep a signal waiting too.
                if await stop.wait(_READER_POLL):
                    return None
            else:
                return self._file.note
        return None

    @property
    def unfinished(self) -> Path | None:
        """Where the records are as long as the file is not finished, or None."""
        return self._file.unfinished if self._file is not None else None

    def write(self, line: bytes) -> None:
        """Write one line; raises `OSError`."""
        if self._file is not None:
            self._file.write(line + b"\n")

    def give_up(self) -> None:
        """Close the output; later writes are ignored, to a file until the next round."""
        if self._file is not None and self._file.is_stream:
            self._path = None
        self.close()

    def finish(self) -> None:
        """Complete the file; a pipe or device stays open for the next round; raises `OSError`."""
        if self._file is not None and not self._file.is_stream:
            self._file.finish()
            self._file = None

    def discard(self) -> None:
        """Take back the records of this round; raises `OSError`."""
        if self._file is not None and not self._file.is_stream:
            self._file.discard()
            self._file = None

    def close(self) -> None:
        """Stop writing; records of an unfinished round stay beside the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


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
            except KeptInMemoryError as error:
                self._journal = None  # the next run recovers what is still in it
                self._warn_about_state(error)
            except OSError as error:
                self._stores.remove(store)
                self._journal = None
                self._warn_about_state(error)

    def _update_journal(self, update: Callable[[Journal], None]) -> None:
        if self._journal is None:
            return
        try:
            update(self._journal)
        except OSError as error:
            self._journal = None
            self._warn_about_state(error)

    def _write(self, line: bytes) -> None:
        try:
            self._sink.write(line)
        except BrokenPipeError:
            self._sink.give_up()  # the reader closed the pipe, which is no error
            silence_stdout()
        except OSError as error:
            self._give_up_output(error)

    def finish_output(self) -> None:
        """Complete the output file of this round."""
        try:
            self._sink.finish()
        except OSError as error:
            self._give_up_output(error)

    def _give_up_output(self, error: OSError) -> None:
        kept = self._sink.unfinished
        self._sink.give_up()
        warning = _("cannot write the output file: {reason}; going on without")
        if kept is not None:
            warning = _(
                "cannot write the output file: {reason}; going on without; "
                "what was written is in {file}"
            )
        self._warn_once(warning.format(reason=_(error.strerror or str(error)), file=kept))

    def _warn_about_state(self, error: OSError) -> None:
        # Journal, results and spool are on one disk, so a full one is reported once for all three.
        warning = _("cannot write into the state folder: {reason}; going on without")
        self._warn_once(warning.format(reason=_(error.strerror or str(error))))

    def _warn_once(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.append(warning)
            self._warn(warning)
