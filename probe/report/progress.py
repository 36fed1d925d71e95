"""Progress of a run on stderr: a bar on a terminal, nothing otherwise.

The bar is one line that is overwritten in place. What is printed meanwhile to a terminal goes above
it; a stream that is no terminal is left alone.
"""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Protocol, TextIO

from probe.escape import plain
from probe.i18n import N_, _
from probe.model import Record
from probe.ordering import Job

_HOST_CELLS = 28
# The phases of a run, for the catalogues.
_PHASES = (N_("measuring"), N_("confirming"), N_("judging"), N_("following up slow pages"))
_BAR_CELLS = 24
_TICK_SECONDS = 1.0


class ProgressListener(Protocol):
    """Receives the progress of a run: a progress bar, or `NullProgress`."""

    def phase(self, name: str, total: int) -> None:
        """A phase of `total` targets begins."""

    def done(self, job: Job, record: Record | None) -> None:
        """One target of the phase is done; `record` is None until it is judged."""


class NullProgress:
    """Ignores progress."""

    def phase(self, name: str, total: int) -> None:
        """Do nothing."""

    def done(self, job: Job, record: Record | None) -> None:
        """Do nothing."""


class Bar:
    """One line on a terminal: phase, bar, count, time, last host."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.RLock()
        self._shown = ""
        self._name, self._host = "", ""
        self._total = self._count = 0
        self._begun = monotonic()

    def phase(self, name: str, total: int) -> None:
        """Start anew for another phase."""
        with self._lock:
            self._name, self._total, self._count, self._host = _(name), total, 0, ""
            self._begun = monotonic()
            self.draw()

    def done(self, job: Job, record: Record | None) -> None:
        """Advance by one."""
        del record
        with self._lock:
            self._count += 1
            self._host = plain(job.host, _HOST_CELLS)
            self.draw()

    def draw(self) -> None:
        """Draw the line over the one that is shown."""
        with self._lock:
            if self._total:
                text = self._line()[: shutil.get_terminal_size().columns - 1].rstrip()
                self._write(f"\r{text.ljust(len(self._shown))}")
                self._shown = text

    def print_above(self, stream: TextIO, text: str) -> int:
        """Print to a stream of this terminal; the bar is drawn again below whole lines."""
        with self._lock:
            self._clear()
            written = stream.write(text)
            stream.flush()
            if text.endswith("\n"):
                self.draw()
            return written

    def end(self) -> None:
        """Remove the line."""
        with self._lock:
            self._total = 0
            self._clear()

    def _clear(self) -> None:
        if self._shown:
            self._write(f"\r{' ' * len(self._shown)}\r")
            self._shown = ""

    def _line(self) -> str:
        filled = min(_BAR_CELLS * self._count // self._total, _BAR_CELLS)
        drawn = "#" * filled + "." * (_BAR_CELLS - filled)
        minutes, seconds = divmod(int(monotonic() - self._begun), 60)
        count = f"{self._count}/{self._total}"
        return f"{self._name:<14} [{drawn}] {count} {minutes}:{seconds:02} {self._host}"

    def _write(self, text: str) -> None:
        try:
            self._terminal.write(text)
            self._terminal.flush()
        except OSError:  # the terminal is gone, and the run goes on
            self._total = 0


class StreamAboveBar:
    """A stream of the terminal; what is written to it appears above the bar."""

    def __init__(self, stream: TextIO, bar: Bar) -> None:
        self._stream = stream
        self._bar = bar

    def write(self, text: str) -> int:
        """Write above the bar."""
        return self._bar.print_above(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def progress_listener(*, quiet: bool) -> Iterator[ProgressListener]:
    """Yield a progress bar if stderr is a terminal and not `quiet`, else a `NullProgress`."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield NullProgress()
        return
    bar = Bar(sys.stderr)
    with _printing_above(bar), _ticking(bar):
        yield bar


@contextmanager
def _printing_above(bar: Bar) -> Iterator[None]:
    """Send what is printed to the terminal above the bar, until the bar is removed."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in before.items():
        if stream.isatty():
            setattr(sys, name, StreamAboveBar(stream, bar))
    try:
        yield
    finally:
        bar.end()
        for name, stream in before.items():
            setattr(sys, name, stream)


@contextmanager
def _ticking(bar: Bar) -> Iterator[None]:
    """Draw the bar every second, so that its time goes on while a slow site is measured."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(_TICK_SECONDS):
            bar.draw()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
