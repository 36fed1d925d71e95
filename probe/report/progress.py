"""Progress of a run on stderr: a bar on a terminal, nothing otherwise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from probe.escape import plain
from probe.model import Record
from probe.ordering import Job

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_HOST_CELLS = 28


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
    """Shows one bar for each phase."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def phase(self, name: str, total: int) -> None:
        """Start a bar."""
        self._task = self._progress.add_task(name, total=total, host="")

    def done(self, job: Job, record: Record | None) -> None:
        """Advance the newest bar by one."""
        del record
        if self._task is not None:
            host = plain(job.host, _HOST_CELLS).ljust(_HOST_CELLS)
            self._progress.update(self._task, advance=1, host=host)


@contextmanager
def progress_listener(*, quiet: bool) -> Iterator[ProgressListener]:
    """Yield a progress bar if stderr is a terminal and not `quiet`, else a `NullProgress`."""
    if quiet or not sys.stderr.isatty():
        yield NullProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn as Elapsed,
    )

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        TextColumn("{task.fields[host]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress)
