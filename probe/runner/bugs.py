"""Exceptions of our own code: each costs the record of one target, never the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe import crash_log
from probe.i18n import _
from probe.ordering import Job
from probe.report.console import Console

ReportBug = Callable[[Job, BaseException], None]


class BugCounter:
    """Reports exceptions.

    Attributes:
        jobs: The jobs that raised one.
    """

    def __init__(self, report: ReportBug) -> None:
        self.jobs: set[Job] = set()
        self._report = report

    def add(self, job: Job, error: BaseException) -> None:
        """Report one exception."""
        self.jobs.add(job)
        self._report(job, error)

    @contextmanager
    def guarded(self, job: Job) -> Iterator[None]:
        """Report an exception instead of raising it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a bug costs one target, not the run
            self.add(job, error)


def bug_reporter(console: Console) -> ReportBug:
    """Save tracebacks in the log of this machine, and warn the user."""

    def report(job: Job, error: BaseException) -> None:
        warning = _("internal error while measuring {target} ({name}); {where}")
        where = crash_log.save_traceback(error, job.url)
        console.warn(warning.format(target=job.url, name=crash_log.name(error), where=where))

    return report
