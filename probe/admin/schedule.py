"""Run by itself: what is to run, when, and which of the system's own timers is to do it.

Two jobs: the run, every few hours, and, only where the volunteer allowed it, the heartbeat, every
five minutes. The moment is drawn at random when they are installed, so that a country's probes do
not all wake at once, and a missed run (the machine was off) is made up for where the system can.
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
    Backend,
    Plan,
    ScheduleError,
    user_systemd,
)
from probe.paths import VARIABLE

# What every backend can say exactly: these divide an hour or a day.
PERIODS = (15 * MINUTE, 20 * MINUTE, 30 * MINUTE, *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)), DAY)
HEARTBEAT = 5 * MINUTE
_BEATS = "; the heartbeat every five minutes"


def plan(arguments: Sequence[str], every: float, environ: Mapping[str, str] = os.environ) -> Plan:
    """A plan for `qazprobe run --quiet ARGUMENTS`, its offset drawn at random."""
    if every not in PERIODS:
        allowed = "15m 20m 30m 1h 2h 3h 4h 6h 8h 12h 1d"
        raise ScheduleError(f"every {every:g} seconds: timers take one of {allowed}")
    return _plan((*program(), "run", "--quiet", *arguments), int(every), environ)


def heartbeat(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Plan:
    """A plan for the heartbeat: `qazprobe upload`, which also sends what waits."""
    command = (*program(unseen=True), "upload", "--quiet", "--max-time", "60", *arguments)
    return _plan(command, HEARTBEAT, environ)


def _plan(command: tuple[str, ...], every: int, environ: Mapping[str, str]) -> Plan:
    home = environ.get(VARIABLE)
    if not all(word.isprintable() for word in (*command, home or "")):
        raise ScheduleError("a timer's command has no line breaks or control characters")
    return Plan(command, every, secrets.randbelow(every), home)


def program(*, unseen: bool = False) -> tuple[str, ...]:
    """How to start this program again, by absolute paths; `unseen`: without a window on Windows."""
    windows = sys.platform == "win32"
    windowless = Path(sys.executable).with_name("pythonw.exe")
    if unseen and windows and windowless.exists():
        return (str(windowless), "-m", "probe.cli")
    beside = Path(sys.executable).with_name(NAME + (".exe" if windows else ""))
    if beside.exists():
        return (str(beside),)
    return (sys.executable, "-m", "probe.cli")


def choose(named: str | None = None) -> Backend:
    """The timer that this system has; `named` insists on one."""
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
    raise ScheduleError("no timer found: install cron, or run: qazprobe run --every 6h")


def installed() -> list[tuple[Backend, str]]:
    """Every timer of ours on this system, and its state."""
    found = [(one, status) for one in BACKENDS.values() if (status := one.status()) is not None]
    return [(one, status + (_BEATS if one.beats() else "")) for one, status in found]


def beats() -> bool:
    """Whether a timer of ours sends the heartbeat."""
    return any(one.beats() for one in BACKENDS.values())
