"""Run by itself: through the timer that the system already has, and nothing of our own.

Each backend writes exactly what `--print` shows, can say whether it is there, and removes all of
it. The minute is drawn at random when it is installed, so that a country's probes do not all wake
at the full hour, and a missed run (the machine was off) is made up for where the system can.
"""

import os
import plistlib
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from probe import durable
from probe.home import VARIABLE

MINUTE, HOUR, DAY = 60, 3600, 86400
# What every backend can say exactly: these divide an hour or a day.
PERIODS = (15 * MINUTE, 20 * MINUTE, 30 * MINUTE, *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)), DAY)
DEFAULT_PERIOD = 6 * HOUR
NAME = "qazprobe"
LABEL = "org.qazprobe.probe"
_BEGIN, _END = "# BEGIN qazprobe", "# END qazprobe"
_SECONDS = 20.0


class ScheduleError(Exception):
    """The system's timer cannot be used; one line saying why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run, and when.

    Attributes:
        every: Seconds, one of `PERIODS`. offset: seconds into the period, drawn once.
        home: `$QAZPROBE_HOME` as it was when this was installed, or None.
    """

    command: tuple[str, ...]
    every: int = DEFAULT_PERIOD
    offset: int = 0
    home: str | None = None

    @property
    def minute(self) -> int:
        """Minute of the hour."""
        return self.offset // MINUTE % 60

    @property
    def hour(self) -> int:
        """First hour of the day."""
        return self.offset // HOUR % 24


class Backend(Protocol):
    """One system's timer."""

    name: str

    def render(self, plan: Plan) -> str:
        """Everything that would be installed, as text."""

    def install(self, plan: Plan) -> None:
        """Install it, in the place of what was there."""

    def status(self) -> str | None:
        """What is installed, in a line, or None."""

    def remove(self) -> bool:
        """Remove it; whether there was anything."""


def plan(arguments: Sequence[str], every: float, environ: Mapping[str, str] = os.environ) -> Plan:
    """A plan for `qazprobe run --quiet ARGUMENTS`, its offset drawn at random."""
    if every not in PERIODS:
        allowed = "15m 20m 30m 1h 2h 3h 4h 6h 8h 12h 1d"
        raise ScheduleError(f"every {every:g} seconds: timers take one of {allowed}")
    command = (*program(), "run", "--quiet", *arguments)
    home = environ.get(VARIABLE)
    if not all(word.isprintable() for word in (*command, home or "")):
        raise ScheduleError("a timer's command has no line breaks or control characters")
    return Plan(command, int(every), secrets.randbelow(int(every)), home)


def program() -> tuple[str, ...]:
    """How to start this program again, by absolute paths."""
    beside = Path(sys.executable).with_name(NAME + (".exe" if sys.platform == "win32" else ""))
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
    if _user_systemd():
        return BACKENDS["systemd"]
    if shutil.which("crontab"):
        return BACKENDS["cron"]
    raise ScheduleError("no timer found: install cron, or run: qazprobe run --every 6h")


def _user_systemd() -> bool:
    """Whether systemd runs this user's services (not so in a container, or after `su`)."""
    return shutil.which("systemctl") is not None and _run("systemctl", "--user", "show").ok


@dataclass(frozen=True, slots=True)
class _Done:
    ok: bool
    out: str
    error: str


def _run(*command: str, text: str | None = None) -> _Done:
    """Run one of the system's own tools; a missing one is a failure like any other."""
    found = shutil.which(command[0])
    if found is None:
        return _Done(ok=False, out="", error=f"{command[0]} is not installed")
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
        return _Done(ok=False, out="", error=str(error))
    return _Done(done.returncode == 0, done.stdout, done.stderr.strip())


def _must(*command: str, text: str | None = None) -> str:
    done = _run(*command, text=text)
    if not done.ok:
        raise ScheduleError(f"{command[0]} failed: {done.error or 'no reason given'}")
    return done.out


class Systemd:
    """A timer and a service of the user's own systemd."""

    name = "systemd"

    @property
    def _folder(self) -> Path:
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user"

    def render(self, plan: Plan) -> str:
        return "\n".join(f"# {file}\n{text}" for file, text in self._files(plan).items())

    def install(self, plan: Plan) -> None:
        for file, text in self._files(plan).items():
            durable.write(file, text.encode())
        _must("systemctl", "--user", "daemon-reload")
        _must("systemctl", "--user", "enable", "--now", f"{NAME}.timer")

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

    def remove(self) -> bool:
        files = [self._folder / f"{NAME}.{kind}" for kind in ("timer", "service")]
        there = [file for file in files if file.exists()]
        if there:
            _run("systemctl", "--user", "disable", "--now", f"{NAME}.timer")
        for file in there:
            file.unlink()
        if there:
            _run("systemctl", "--user", "daemon-reload")
        return bool(there)

    def _files(self, plan: Plan) -> dict[Path, str]:
        return {
            self._folder / f"{NAME}.service": self._service(plan),
            self._folder / f"{NAME}.timer": self._timer(plan),
        }

    def _service(self, plan: Plan) -> str:
        """Hardened by what a user's systemd enforces everywhere.

        Not by name spaces (ProtectSystem, PrivateTmp): where a distribution forbids those to users,
        the service would not start at all, which is worse for a volunteer than a softer one.
        """
        home = f"Environment={_quoted(f'{VARIABLE}={plan.home}')}\n" if plan.home else ""
        return (
            "[Unit]\nDescription=qazprobe: look at what this network does\n\n"
            "[Service]\nType=oneshot\n"
            f"ExecStart={' '.join(_quoted(word) for word in plan.command)}\n{home}"
            # Offline, not sent yet, another run, --fail-on: nothing that needs a person.
            "SuccessExitStatus=3 4 5 10\n"
            f"TimeoutStartSec={plan.every}\n"
            "Nice=10\nIOSchedulingClass=idle\nUMask=0077\nMemoryMax=512M\nTasksMax=256\n"
            "NoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\n"
            "RestrictSUIDSGID=yes\nSystemCallArchitectures=native\n"
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
        )

    def _timer(self, plan: Plan) -> str:
        return (
            "[Unit]\nDescription=qazprobe, every so often\n\n"
            f"[Timer]\nOnCalendar={self._calendar(plan)}\n"
            f"RandomizedDelaySec={plan.every // 10}\nPersistent=true\nAccuracySec=1min\n\n"
            "[Install]\nWantedBy=timers.target\n"
        )

    def _calendar(self, plan: Plan) -> str:
        if plan.every < HOUR:
            step = plan.every // MINUTE
            return f"*-*-* *:{plan.minute % step:02}/{step}:00"
        hours = plan.every // HOUR
        first = f"{plan.hour % hours:02}/{hours}" if hours < 24 else f"{plan.hour:02}"
        return f"*-*-* {first}:{plan.minute:02}:00"


def _quoted(word: str) -> str:
    """One word as systemd reads it: % and $ would otherwise stand for something else."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[^\w@:,./+=-]", word) else escaped


class Cron:
    """Lines between two markers in the user's crontab; the rest of it is not touched."""

    name = "cron"

    def render(self, plan: Plan) -> str:
        words = [shlex.quote(word) for word in plan.command]
        if plan.home:
            words.insert(0, f"{VARIABLE}={shlex.quote(plan.home)}")
        command = " ".join(words).replace("%", "\\%")  # cron makes a new line of a bare %
        return f"{_BEGIN}\n{self._times(plan)} {command}\n{_END}\n"

    def install(self, plan: Plan) -> None:
        _must("crontab", "-", text=self._without(self._read()) + self.render(plan))

    def status(self) -> str | None:
        found = re.search(f"{_BEGIN}\n(.*)\n{_END}", self._read())
        return found[1] if found else None

    def remove(self) -> bool:
        before = self._read()
        after = self._without(before)
        if after == before:
            return False
        if after.strip():
            _must("crontab", "-", text=after)
        else:
            _must("crontab", "-r")
        return True

    def _read(self) -> str:
        """The crontab as it is; none at all is an error to `crontab -l` and nothing to us."""
        text = _run("crontab", "-l").out
        return text if not text or text.endswith("\n") else text + "\n"

    def _without(self, text: str) -> str:
        return re.sub(f"{_BEGIN}\n(?:.*\n)*?{_END}\n", "", text)

    def _times(self, plan: Plan) -> str:
        if plan.every < HOUR:
            step = plan.every // MINUTE
            return f"{plan.minute % step}-59/{step} * * * *"
        hours = plan.every // HOUR
        first = f"{plan.hour % hours}-23/{hours}" if hours < 24 else str(plan.hour)
        return f"{plan.minute} {first} * * *"


class Launchd:
    """A property list among the user's launch agents."""

    name = "launchd"

    @property
    def _file(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    def render(self, plan: Plan) -> str:
        job: dict[str, object] = {
            "Label": LABEL,
            "ProgramArguments": list(plan.command),
            "StartInterval": plan.every,
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "Nice": 10,
        }
        if plan.home:
            job["EnvironmentVariables"] = {VARIABLE: plan.home}
        return plistlib.dumps(job).decode()

    def install(self, plan: Plan) -> None:
        durable.write(self._file, self.render(plan).encode())
        _run("launchctl", "bootout", f"{self._domain}/{LABEL}")
        _must("launchctl", "bootstrap", self._domain, str(self._file))

    def status(self) -> str | None:
        if not self._file.exists():
            return None
        loaded = _run("launchctl", "print", f"{self._domain}/{LABEL}").ok
        return "loaded" if loaded else "installed but not loaded"

    def remove(self) -> bool:
        _run("launchctl", "bootout", f"{self._domain}/{LABEL}")
        there = self._file.exists()
        self._file.unlink(missing_ok=True)
        return there

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}" if sys.platform != "win32" else "gui"


class Schtasks:
    """A task of the Windows task scheduler."""

    name = "schtasks"

    def render(self, plan: Plan) -> str:
        return subprocess.list2cmdline(self._create(plan)) + "\n"

    def install(self, plan: Plan) -> None:
        _must(*self._create(plan))

    def status(self) -> str | None:
        done = _run("schtasks", "/Query", "/TN", NAME, "/FO", "LIST")
        return " ".join(done.out.split()) if done.ok else None

    def remove(self) -> bool:
        return _run("schtasks", "/Delete", "/F", "/TN", NAME).ok

    def _create(self, plan: Plan) -> list[str]:
        command = subprocess.list2cmdline(plan.command)
        if plan.home:
            command = f'cmd /c "set {VARIABLE}={plan.home}&& {command}"'
        often = ["/SC", "MINUTE", "/MO", str(plan.every // MINUTE)]
        often = ["/SC", "DAILY"] if plan.every == DAY else often
        start = ["/ST", f"{plan.hour:02}:{plan.minute:02}"]
        return ["schtasks", "/Create", "/F", "/TN", NAME, "/TR", command, *often, *start]


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {one.name: one for one in (Systemd(), Cron(), Launchd(), Schtasks())}
)


def installed() -> list[tuple[Backend, str]]:
    """Every timer of ours on this system, and its state."""
    found = ((one, one.status()) for one in BACKENDS.values())
    return [(one, status) for one, status in found if status is not None]
