"""The timers of operating systems: systemd, cron, launchd and the Windows Task Scheduler.

Each backend writes exactly what `--print` shows, reports its state, and removes everything it
wrote. An installation replaces the previous one: a heartbeat that it does not include is removed.
"""

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from probe import atomic_files
from probe.paths import VARIABLE

MINUTE, HOUR, DAY = 60, 3600, 86400
DEFAULT_PERIOD = 6 * HOUR
NAME = "qazprobe"
LABEL = "org.qazprobe.probe"
_BEGIN, _END = "# BEGIN qazprobe", "# END qazprobe"
_SECONDS = 20.0
# Shortest period of a run; a job with a shorter one is the heartbeat.
_SHORTEST_RUN = 15 * MINUTE
_HEARTBEAT = "-heartbeat"


class ScheduleError(Exception):
    """The system's timer cannot be used; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class TimerJob:
    """One scheduled job: the command and when it runs.

    Attributes:
        every: Period, seconds. offset: Start within the period, seconds.
        home: `$QAZPROBE_HOME` at the time of installation, or None.
    """

    command: tuple[str, ...]
    every: int = DEFAULT_PERIOD
    offset: int = 0
    home: str | None = None

    @property
    def is_heartbeat(self) -> bool:
        """Whether this is the heartbeat and not a run."""
        return self.every < _SHORTEST_RUN

    @property
    def name(self) -> str:
        """Name of the job in the system's timer."""
        return NAME + (_HEARTBEAT if self.is_heartbeat else "")

    @property
    def minute(self) -> int:
        """Minute of the hour."""
        return self.offset // MINUTE % 60

    @property
    def hour(self) -> int:
        """First hour of the day."""
        return self.offset // HOUR % 24


class TimerBackend(Protocol):
    """The timer of one system."""

    name: str

    def render(self, *jobs: TimerJob) -> str:
        """Return everything that would be installed, as text."""

    def install(self, *jobs: TimerJob) -> None:
        """Install these jobs in place of the previous ones."""

    def status(self) -> str | None:
        """Return what is installed in one line, or None."""

    def has_heartbeat(self) -> bool:
        """Return whether the heartbeat is installed."""

    def remove(self) -> bool:
        """Remove all jobs; return whether there were any."""


def user_systemd() -> bool:
    """Return whether systemd runs this user's services (not in a container, or after `su`)."""
    return shutil.which("systemctl") is not None and _run("systemctl", "--user", "show").ok


@dataclass(frozen=True, slots=True)
class _ToolResult:
    ok: bool
    out: str
    error: str


def _run(*command: str, text: str | None = None) -> _ToolResult:
    """Run a system tool; a missing tool is reported like any other failure."""
    found = shutil.which(command[0])
    if found is None:
        return _ToolResult(ok=False, out="", error=f"{command[0]} is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - fixed tools, arguments as a list, no shell
            [found, *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _ToolResult(ok=False, out="", error=str(error))
    return _ToolResult(done.returncode == 0, done.stdout, done.stderr.strip())


def _run_or_raise(*command: str, text: str | None = None) -> str:
    done = _run(*command, text=text)
    if not done.ok:
        raise ScheduleError(f"{command[0]} failed: {done.error or 'no reason given'}")
    return done.out


class Systemd:
    """Timers and services of the user's own systemd."""

    name = "systemd"

    @property
    def _folder(self) -> Path:
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user"

    def render(self, *jobs: TimerJob) -> str:
        return "\n".join(f"# {file}\n{text}" for file, text in self._files(jobs).items())

    def install(self, *jobs: TimerJob) -> None:
        self._clear({job.name for job in jobs})
        for file, text in self._files(jobs).items():
            atomic_files.write(file, text.encode())
        _run_or_raise("systemctl", "--user", "daemon-reload")
        for job in jobs:
            _run_or_raise("systemctl", "--user", "enable", "--now", f"{job.name}.timer")

    def status(self) -> str | None:
        if not (self._folder / f"{NAME}.timer").exists():
            return None
        enabled = _run("systemctl", "--user", "is-enabled", f"{NAME}.timer").ok
        shown = (
            "systemctl",
            "--user",
            "show",
            f"{NAME}.timer",
            "--property=NextElapseUSecRealtime",
        )
        following = _run(*shown).out.partition("=")[2].strip()
        state = "enabled" if enabled else "installed but not enabled"
        return f"{state}{', next at ' + following if following else ''}"

    def has_heartbeat(self) -> bool:
        return (self._folder / f"{NAME}{_HEARTBEAT}.timer").exists()

    def remove(self) -> bool:
        return self._clear(set())

    def _clear(self, but: set[str]) -> bool:
        """Remove our jobs except those named in `but`; return whether there were any."""
        names = [name for name in (NAME, NAME + _HEARTBEAT) if name not in but]
        files = [self._folder / f"{name}.{kind}" for name in names for kind in ("timer", "service")]
        existing = [file for file in files if file.exists()]
        for timer in (file for file in existing if file.suffix == ".timer"):
            _run("systemctl", "--user", "disable", "--now", timer.name)
        for file in existing:
            file.unlink()
        if existing:
            _run("systemctl", "--user", "daemon-reload")
        return bool(existing)

    def _files(self, jobs: Sequence[TimerJob]) -> dict[Path, str]:
        files: dict[Path, str] = {}
        for job in jobs:
            files[self._folder / f"{job.name}.service"] = self._service(job)
            files[self._folder / f"{job.name}.timer"] = self._timer(job)
        return files

    def _service(self, job: TimerJob) -> str:
        """Return the service, hardened by options that a user's systemd enforces everywhere.

        Options that need namespaces (ProtectSystem, PrivateTmp) are left out: where a distribution
        forbids user namespaces, the service would not start.
        """
        home = f"Environment={_quoted(f'{VARIABLE}={job.home}')}\n" if job.home else ""
        what = "heartbeat" if job.is_heartbeat else "network measurement"
        return (
            f"[Unit]\nDescription=qazprobe: {what}\n\n"
            "[Service]\nType=oneshot\n"
            f"ExecStart={' '.join(_quoted(word) for word in job.command)}\n{home}"
            # Offline, not sent yet, another run, --fail-on: no reason to alert a person.
            "SuccessExitStatus=3 4 5 10\n"
            f"TimeoutStartSec={job.every}\n"
            "Nice=10\nIOSchedulingClass=idle\nUMask=0077\nMemoryMax=512M\nTasksMax=256\n"
            "NoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\n"
            "RestrictSUIDSGID=yes\nSystemCallArchitectures=native\n"
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
        )

    def _timer(self, job: TimerJob) -> str:
        """A run may start late and a missed one is made up for; a heartbeat must be on time."""
        precision = (
            "AccuracySec=1s\n"
            if job.is_heartbeat
            else f"RandomizedDelaySec={job.every // 10}\nPersistent=true\nAccuracySec=1min\n"
        )
        return (
            "[Unit]\nDescription=qazprobe timer\n\n"
            f"[Timer]\nOnCalendar={self._calendar(job)}\n{precision}\n"
            "[Install]\nWantedBy=timers.target\n"
        )

    def _calendar(self, job: TimerJob) -> str:
        if job.every < HOUR:
            step = job.every // MINUTE
            second = job.offset % MINUTE if job.is_heartbeat else 0
            return f"*-*-* *:{job.minute % step:02}/{step}:{second:02}"
        hours = job.every // HOUR
        first = f"{job.hour % hours:02}/{hours}" if hours < 24 else f"{job.hour:02}"
        return f"*-*-* {first}:{job.minute:02}:00"


def _quoted(word: str) -> str:
    """Quote one word for systemd, in whose unit files % and $ have a special meaning."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[^\w@:,./+=-]", word) else escaped


class Cron:
    """Lines between two markers in the user's crontab; other lines are not touched."""

    name = "cron"

    def render(self, *jobs: TimerJob) -> str:
        return "\n".join([_BEGIN, *(self._line(job) for job in jobs), _END, ""])

    def _line(self, job: TimerJob) -> str:
        """Return the crontab line; a heartbeat's output is discarded so that cron sends no mail."""
        words = [shlex.quote(word) for word in job.command]
        if job.home:
            words.insert(0, f"{VARIABLE}={shlex.quote(job.home)}")
        command = " ".join(words).replace("%", "\\%")  # cron turns a bare % into a line break
        return f"{self._times(job)} {command}{' >/dev/null 2>&1' if job.is_heartbeat else ''}"

    def install(self, *jobs: TimerJob) -> None:
        _run_or_raise("crontab", "-", text=self._without(self._read()) + self.render(*jobs))

    def status(self) -> str | None:
        lines = self._ours()
        return None if lines is None else "; ".join(lines)

    def has_heartbeat(self) -> bool:
        return len(self._ours() or ()) > 1

    def _ours(self) -> list[str] | None:
        found = re.search(f"{_BEGIN}\n((?:.*\n)*?){_END}", self._read())
        return found[1].splitlines() if found else None

    def remove(self) -> bool:
        before = self._read()
        after = self._without(before)
        if after == before:
            return False
        if after.strip():
            _run_or_raise("crontab", "-", text=after)
        else:
            _run_or_raise("crontab", "-r")
        return True

    def _read(self) -> str:
        """Return the crontab; empty if there is none (`crontab -l` reports that as an error)."""
        text = _run("crontab", "-l").out
        return text if not text or text.endswith("\n") else text + "\n"

    def _without(self, text: str) -> str:
        return re.sub(f"{_BEGIN}\n(?:.*\n)*?{_END}\n", "", text)

    def _times(self, job: TimerJob) -> str:
        if job.every < HOUR:
            step = job.every // MINUTE
            return f"{job.minute % step}-59/{step} * * * *"
        hours = job.every // HOUR
        first = f"{job.hour % hours}-23/{hours}" if hours < 24 else str(job.hour)
        return f"{job.minute} {first} * * *"


class Launchd:
    """Property lists among the user's launch agents."""

    name = "launchd"

    def _file(self, label: str) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{label}.plist"

    def render(self, *jobs: TimerJob) -> str:
        return "\n".join(self._job(job) for job in jobs)

    def _job(self, job: TimerJob) -> str:
        properties: dict[str, object] = {
            "Label": _label(job),
            "ProgramArguments": list(job.command),
            "StartInterval": job.every,
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "Nice": 10,
        }
        if job.home:
            properties["EnvironmentVariables"] = {VARIABLE: job.home}
        return plistlib.dumps(properties).decode()

    def install(self, *jobs: TimerJob) -> None:
        self.remove()
        for job in jobs:
            file = self._file(_label(job))
            atomic_files.write(file, self._job(job).encode())
            _run_or_raise("launchctl", "bootstrap", self._domain, str(file))

    def status(self) -> str | None:
        if not self._file(LABEL).exists():
            return None
        loaded = _run("launchctl", "print", f"{self._domain}/{LABEL}").ok
        return "loaded" if loaded else "installed but not loaded"

    def has_heartbeat(self) -> bool:
        return self._file(LABEL + _HEARTBEAT).exists()

    def remove(self) -> bool:
        existed = False
        for label in (LABEL, LABEL + _HEARTBEAT):
            _run("launchctl", "bootout", f"{self._domain}/{label}")
            existed = existed or self._file(label).exists()
            self._file(label).unlink(missing_ok=True)
        return existed

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}" if sys.platform != "win32" else "gui"


def _label(job: TimerJob) -> str:
    return LABEL + (_HEARTBEAT if job.is_heartbeat else "")


class Schtasks:
    """Tasks of the Windows task scheduler."""

    name = "schtasks"

    def render(self, *jobs: TimerJob) -> str:
        return "".join(subprocess.list2cmdline(self._create(job)) + "\n" for job in jobs)

    def install(self, *jobs: TimerJob) -> None:
        self.remove()
        for job in jobs:
            _run_or_raise(*self._create(job))

    def status(self) -> str | None:
        done = _run("schtasks", "/Query", "/TN", NAME, "/FO", "LIST")
        return " ".join(done.out.split()) if done.ok else None

    def has_heartbeat(self) -> bool:
        return _run("schtasks", "/Query", "/TN", NAME + _HEARTBEAT).ok

    def remove(self) -> bool:
        names = (NAME, NAME + _HEARTBEAT)
        removed = [_run("schtasks", "/Delete", "/F", "/TN", name).ok for name in names]
        return any(removed)

    def _create(self, job: TimerJob) -> list[str]:
        command = subprocess.list2cmdline(job.command)
        if job.home:
            command = f'cmd /c "set {VARIABLE}={job.home}&& {command}"'
        period = ["/SC", "MINUTE", "/MO", str(job.every // MINUTE)]
        period = ["/SC", "DAILY"] if job.every == DAY else period
        start = ["/ST", f"{job.hour:02}:{job.minute:02}"]
        return ["schtasks", "/Create", "/F", "/TN", job.name, "/TR", command, *period, *start]


BACKENDS: Mapping[str, TimerBackend] = MappingProxyType(
    {one.name: one for one in (Systemd(), Cron(), Launchd(), Schtasks())}
)
