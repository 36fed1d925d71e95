"""Scheduled operation: what runs, when, and which of the system's timers starts it.

Two jobs: the run, every few hours, and the heartbeat, every five minutes and only if the volunteer
allowed it. The offset is drawn at random at installation, so that the probes of a country do not
all start at once. A missed run (the machine was off) is made up for where the timer supports it.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from probe.admin.crontab import Cron
from probe.admin.launchd import Launchd
from probe.admin.schtasks import Schtasks
from probe.admin.systemd import Systemd, user_systemd
from probe.admin.timers import DAY, HOUR, MINUTE, NAME, ScheduleError, TimerBackend, TimerJob
from probe.i18n import _
from probe.paths import VARIABLE

BACKENDS: Mapping[str, TimerBackend] = MappingProxyType(
    {one.name: one for one in (Systemd(), Cron(), Launchd(), Schtasks())}
)
# Periods that every backend can express: they divide an hour or a day.
PERIODS = (15 * MINUTE, 20 * MINUTE, 30 * MINUTE, *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)), DAY)
HEARTBEAT = 5 * MINUTE
# Percent of charge below which a scheduled run on battery is skipped.
MIN_BATTERY = 30
# Variables of the platform's folders. A timer does not have those of the shell.
_FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME")


class Survey(Struct, frozen=True):
    """Which timers are installed.

    Attributes:
        installed: Each installed timer with its state in one line.
        problems: Timers that could not be looked at, and why.
    """

    installed: tuple[tuple[TimerBackend, str], ...]
    problems: tuple[str, ...]


def run_job(
    arguments: Sequence[str], every: float, environ: Mapping[str, str] = os.environ
) -> TimerJob:
    """Return the job `qazprobe run --quiet ARGUMENTS` with a random offset."""
    if every not in PERIODS:
        message = _("every {period}: no timer can do that; possible are {periods}")
        allowed = ", ".join(map(shown, PERIODS))
        raise ScheduleError(message.format(period=shown(every), periods=allowed))
    return _job((*program(), "run", "--quiet", *arguments), int(every), environ)


def shown(seconds: float) -> str:
    """A period as a person writes it, and as `--every` takes it."""
    units = {"d": DAY, "h": HOUR, "m": MINUTE}
    for unit, length in units.items():
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def heartbeat_job(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> TimerJob:
    """Return the heartbeat job: `qazprobe upload`, which also sends the spool."""
    command = (*program(windowless=True), "upload", "--quiet", "--max-time", "60", *arguments)
    return _job(command, HEARTBEAT, environ)


def _job(command: tuple[str, ...], every: int, environ: Mapping[str, str]) -> TimerJob:
    found = tuple(_environment(environ))
    if not all(word.isprintable() for word in (*command, *(value for _, value in found))):
        raise ScheduleError(_("a timer's command must not have line breaks or control characters"))
    return TimerJob(command, every, secrets.randbelow(every), found)


def _environment(environ: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return the variables with which the job finds the same folders as this process."""
    if environ.get(VARIABLE):
        return [(VARIABLE, str(Path(environ[VARIABLE]).expanduser().absolute()))]
    return [(name, environ[name]) for name in _FOLDERS if environ.get(name)]


def program(*, windowless: bool = False) -> tuple[str, ...]:
    """Return the command that starts this program, with absolute paths.

    `windowless` avoids opening a window on Windows.
    """
    windows = sys.platform == "win32"
    pythonw = Path(sys.executable).with_name("pythonw.exe")
    if windowless and windows and pythonw.exists():
        return (str(pythonw), "-m", "probe.cli")
    beside = Path(sys.executable).with_name(NAME + (".exe" if windows else ""))
    if beside.exists():
        return (str(beside),)
    return (sys.executable, "-m", "probe.cli")


def choose(named: str | None = None) -> TimerBackend:
    """Return the timer of this system, or the one called `named`."""
    if named is not None:
        return BACKENDS[named]
    if sys.platform == "darwin":
        return BACKENDS["launchd"]
    if sys.platform == "win32":
        return BACKENDS["schtasks"]
    if user_systemd():
        return BACKENDS["systemd"]
    if shutil.which("crontab"):
        return BACKENDS["cron"]
    raise ScheduleError(_("no timer found: install cron, or use: qazprobe run --every 6h"))


def survey() -> Survey:
    """Look at every timer. One that cannot be looked at is a problem to report, never an error."""
    installed: list[tuple[TimerBackend, str]] = []
    problems: list[str] = []
    for one in BACKENDS.values():
        try:
            status = one.status()
            if status is not None:
                also = _("; heartbeat every five minutes") if one.has_heartbeat() else ""
                installed.append((one, status + also))
        except ScheduleError as error:
            problems.append(f"{one.name}: {error}")
        except OSError as error:
            problems.append(f"{one.name}: {error.filename}: {_(error.strerror or '')}")
    return Survey(tuple(installed), tuple(problems))


def installed() -> list[tuple[TimerBackend, str]]:
    """Return every installed timer with its state in one line."""
    return list(survey().installed)


def heartbeat_installed() -> bool:
    """Return whether an installed timer sends the heartbeat."""
    found = False
    for one in BACKENDS.values():
        with suppress(ScheduleError, OSError):
            found = found or one.has_heartbeat()
    return found
