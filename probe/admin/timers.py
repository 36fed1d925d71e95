"""A scheduled job, and what every timer of an operating system does with it.

Each backend writes exactly what `--print` shows, reports its state, and removes everything it
wrote. An installation replaces the previous one: a heartbeat that it does not include is removed.
An answer of the system that is not understood stops it, and nothing is changed.
"""

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from probe import system_tools
from probe.errors import UserError
from probe.i18n import _
from probe.system_tools import ToolAnswer

MINUTE, HOUR, DAY = 60, 3600, 86400
DEFAULT_PERIOD = 6 * HOUR
NAME = "qazprobe"
HEARTBEAT_SUFFIX = "-heartbeat"
# Names of the jobs in a timer: the run and the heartbeat.
NAMES = (NAME, NAME + HEARTBEAT_SUFFIX)
# Shortest period of a run; a job with a shorter one is the heartbeat.
_SHORTEST_RUN = 15 * MINUTE


class ScheduleError(UserError):
    """The system's timer cannot be used; the message says why and what to do instead."""


class TimerJob(Struct, frozen=True):
    """One scheduled job: the command and when it runs.

    Attributes:
        every: Period, seconds. offset: Start within the period, seconds.
        environment: Variables that decide where the program's folders are.
    """

    command: tuple[str, ...]
    every: int = DEFAULT_PERIOD
    offset: int = 0
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def is_heartbeat(self) -> bool:
        """Whether this is the heartbeat and not a run."""
        return self.every < _SHORTEST_RUN

    @property
    def name(self) -> str:
        """Name of the job in the system's timer."""
        return NAME + (HEARTBEAT_SUFFIX if self.is_heartbeat else "")

    @property
    def minute(self) -> int:
        """Minute of the hour."""
        return self.offset // MINUTE % 60

    @property
    def hour(self) -> int:
        """First hour of the day."""
        return self.offset // HOUR % 24


class TimerBackend(Protocol):
    """The timer of one system; every method may raise `ScheduleError`."""

    name: str

    def render(self, *jobs: TimerJob) -> str:
        """Return everything that would be installed, as text."""

    def install(self, *jobs: TimerJob) -> None:
        """Install these jobs in place of the previous ones, or leave everything as it was."""

    def status(self) -> str | None:
        """Return what is installed in one line, or None."""

    def has_heartbeat(self) -> bool:
        """Return whether the heartbeat is installed."""

    def remove(self) -> bool:
        """Remove all jobs; return whether there were any."""


def run_or_raise(*command: str) -> ToolAnswer:
    """Run a system tool; `ScheduleError` if it fails."""
    answer = system_tools.run(*command)
    if not answer.ok:
        message = _("{tool} failed: {reason}")
        raise ScheduleError(message.format(tool=command[0], reason=answer.reason))
    return answer


def home_folder() -> Path:
    """Return the user's home; `ScheduleError` for a user without one."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise ScheduleError(_("this user has no home folder; set HOME")) from error
