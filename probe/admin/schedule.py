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
from pathlib import Path

from probe.admin.timers import (
    BACKENDS,
    DAY,
    HOUR,
    MINUTE,
    NAME,
    ScheduleError,
    TimerBackend,
    TimerJob,
    user_systemd,
)
from probe.paths import VARIABLE

# Periods that every backend can express: they divide an hour or a day.
PERIODS = (15 * MINUTE, 20 * MINUTE, 30 * MINUTE, *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)), DAY)
HEARTBEAT = 5 * MINUTE


def run_job(
    arguments: Sequence[str], every: float, environ: Mapping[str, str] = os.environ
) -> TimerJob:
    """Return the job `qazprobe run --quiet ARGUMENTS` with a random offset."""
    if every not in PERIODS:
        allowed = "15m 20m 30m 1h 2h 3h 4h 6h 8h 12h 1d"
        raise ScheduleError(f"every {every:g} seconds: timers accept one of {allowed}")
    return _job((*program(), "run", "--quiet", *arguments), int(every), environ)


def heartbeat_job(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> TimerJob:
    """Return the heartbeat job: `qazprobe upload`, which also sends the spool."""
    command = (*program(windowless=True), "upload", "--quiet", "--max-time", "60", *arguments)
    return _job(command, HEARTBEAT, environ)


def _job(command: tuple[str, ...], every: int, environ: Mapping[str, str]) -> TimerJob:
    home = environ.get(VARIABLE)
    if not all(word.isprintable() for word in (*command, home or "")):
        raise ScheduleError("a timer's command must not have line breaks or control characters")
    return TimerJob(command, every, secrets.randbelow(every), home)


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
    raise ScheduleError("no timer found: install cron, or use: qazprobe run --every 6h")


def installed() -> list[tuple[TimerBackend, str]]:
    """Return every installed timer with its state in one line."""
    found = [(one, status) for one in BACKENDS.values() if (status := one.status()) is not None]
    also = "; heartbeat every five minutes"
    return [(one, status + (also if one.has_heartbeat() else "")) for one, status in found]


def heartbeat_installed() -> bool:
    """Return whether an installed timer sends the heartbeat."""
    return any(one.has_heartbeat() for one in BACKENDS.values())
