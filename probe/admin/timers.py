"""The timers that systems already have: systemd, cron, launchd, and Windows' own.

Each backend writes exactly what `--print` shows, can say whether it is there, and removes all of
it. What is installed takes the place of all that was: a heartbeat that is not in it is gone.
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
# Faster than any run may be: that is the heartbeat.
_OFTEN = 15 * MINUTE
_BEAT = "-heartbeat"


class ScheduleError(Exception):
    """The system's timer cannot be used; one line saying why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One job: what is to run, and when.

    Attributes:
        every: Seconds. offset: seconds into the period, drawn once.
        home: `$QAZPROBE_HOME` as it was when this was installed, or None.
    """

    command: tuple[str, ...]
    every: int = DEFAULT_PERIOD
    offset: int = 0
    home: str | None = None

    @property
    def beats(self) -> bool:
        """It is the heartbeat, and not a run."""
        return self.every < _OFTEN

    @property
    def name(self) -> str:
        """What this job is called."""
        return NAME + (_BEAT if self.beats else "")

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

    def render(self, *plans: Plan) -> str:
        """Everything that would be installed, as text."""

    def install(self, *plans: Plan) -> None:
        """Install these jobs, in the place of what was there."""

    def status(self) -> str | None:
        """What is installed, in a line, or None."""

    def beats(self) -> bool:
        """Whether the heartbeat is installed."""

    def remove(self) -> bool:
        """Remove it; whether there was anything."""


def user_systemd() -> bool:
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
    """Timers and services of the user's own systemd."""

    name = "systemd"

    @property
    def _folder(self) -> Path:
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user"

    def render(self, *plans: Plan) -> str:
        return "\n".join(f"# {file}\n{text}" for file, text in self._files(plans).items())

    def install(self, *plans: Plan) -> None:
        self._clear({plan.name for plan in plans})
        for file, text in self._files(plans).items():
            atomic_files.write(file, text.encode())
        _must("systemctl", "--user", "daemon-reload")
        for plan in plans:
            _must("systemctl", "--user", "enable", "--now", f"{plan.name}.timer")

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

    def beats(self) -> bool:
        return (self._folder / f"{NAME}{_BEAT}.timer").exists()

    def remove(self) -> bool:
        return self._clear(set())

    def _clear(self, but: set[str]) -> bool:
        """Remove our jobs except those that are about to be written again."""
        names = [name for name in (NAME, NAME + _BEAT) if name not in but]
        files = [self._folder / f"{name}.{kind}" for name in names for kind in ("timer", "service")]
        there = [file for file in files if file.exists()]
        for timer in (file for file in there if file.suffix == ".timer"):
            _run("systemctl", "--user", "disable", "--now", timer.name)
        for file in there:
            file.unlink()
        if there:
            _run("systemctl", "--user", "daemon-reload")
        return bool(there)

    def _files(self, plans: Sequence[Plan]) -> dict[Path, str]:
        files: dict[Path, str] = {}
        for plan in plans:
            files[self._folder / f"{plan.name}.service"] = self._service(plan)
            files[self._folder / f"{plan.name}.timer"] = self._timer(plan)
        return files

    def _service(self, plan: Plan) -> str:
        """Hardened by what a user's systemd enforces everywhere.

        Not by name spaces (ProtectSystem, PrivateTmp): where a distribution forbids those to users,
        the service would not start at all, which is worse for a volunteer than a softer one.
        """
        home = f"Environment={_quoted(f'{VARIABLE}={plan.home}')}\n" if plan.home else ""
        what = "say that this machine is here" if plan.beats else "look at what this network does"
        return (
            f"[Unit]\nDescription=qazprobe: {what}\n\n"
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
        """A run may be late and is made up for; a heartbeat counts only when it is due."""
        manner = (
            "AccuracySec=1s\n"
            if plan.beats
            else f"RandomizedDelaySec={plan.every // 10}\nPersistent=true\nAccuracySec=1min\n"
        )
        return (
            "[Unit]\nDescription=qazprobe, every so often\n\n"
            f"[Timer]\nOnCalendar={self._calendar(plan)}\n{manner}\n"
            "[Install]\nWantedBy=timers.target\n"
        )

    def _calendar(self, plan: Plan) -> str:
        if plan.every < HOUR:
            step = plan.every // MINUTE
            second = plan.offset % MINUTE if plan.beats else 0
            return f"*-*-* *:{plan.minute % step:02}/{step}:{second:02}"
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

    def render(self, *plans: Plan) -> str:
        return "\n".join([_BEGIN, *(self._line(plan) for plan in plans), _END, ""])

    def _line(self, plan: Plan) -> str:
        """A heartbeat that failed is no letter from cron: the next one is minutes away."""
        words = [shlex.quote(word) for word in plan.command]
        if plan.home:
            words.insert(0, f"{VARIABLE}={shlex.quote(plan.home)}")
        command = " ".join(words).replace("%", "\\%")  # cron makes a new line of a bare %
        return f"{self._times(plan)} {command}{' >/dev/null 2>&1' if plan.beats else ''}"

    def install(self, *plans: Plan) -> None:
        _must("crontab", "-", text=self._without(self._read()) + self.render(*plans))

    def status(self) -> str | None:
        lines = self._ours()
        return None if lines is None else "; ".join(lines)

    def beats(self) -> bool:
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
    """Property lists among the user's launch agents."""

    name = "launchd"

    def _file(self, label: str) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{label}.plist"

    def render(self, *plans: Plan) -> str:
        return "\n".join(self._job(plan) for plan in plans)

    def _job(self, plan: Plan) -> str:
        job: dict[str, object] = {
            "Label": _label(plan),
            "ProgramArguments": list(plan.command),
            "StartInterval": plan.every,
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "Nice": 10,
        }
        if plan.home:
            job["EnvironmentVariables"] = {VARIABLE: plan.home}
        return plistlib.dumps(job).decode()

    def install(self, *plans: Plan) -> None:
        self.remove()
        for plan in plans:
            file = self._file(_label(plan))
            atomic_files.write(file, self._job(plan).encode())
            _must("launchctl", "bootstrap", self._domain, str(file))

    def status(self) -> str | None:
        if not self._file(LABEL).exists():
            return None
        loaded = _run("launchctl", "print", f"{self._domain}/{LABEL}").ok
        return "loaded" if loaded else "installed but not loaded"

    def beats(self) -> bool:
        return self._file(LABEL + _BEAT).exists()

    def remove(self) -> bool:
        there = False
        for label in (LABEL, LABEL + _BEAT):
            _run("launchctl", "bootout", f"{self._domain}/{label}")
            there = there or self._file(label).exists()
            self._file(label).unlink(missing_ok=True)
        return there

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}" if sys.platform != "win32" else "gui"


def _label(plan: Plan) -> str:
    return LABEL + (_BEAT if plan.beats else "")


class Schtasks:
    """Tasks of the Windows task scheduler."""

    name = "schtasks"

    def render(self, *plans: Plan) -> str:
        return "".join(subprocess.list2cmdline(self._create(plan)) + "\n" for plan in plans)

    def install(self, *plans: Plan) -> None:
        self.remove()
        for plan in plans:
            _must(*self._create(plan))

    def status(self) -> str | None:
        done = _run("schtasks", "/Query", "/TN", NAME, "/FO", "LIST")
        return " ".join(done.out.split()) if done.ok else None

    def beats(self) -> bool:
        return _run("schtasks", "/Query", "/TN", NAME + _BEAT).ok

    def remove(self) -> bool:
        done = [_run("schtasks", "/Delete", "/F", "/TN", n).ok for n in (NAME, NAME + _BEAT)]
        return any(done)

    def _create(self, plan: Plan) -> list[str]:
        command = subprocess.list2cmdline(plan.command)
        if plan.home:
            command = f'cmd /c "set {VARIABLE}={plan.home}&& {command}"'
        often = ["/SC", "MINUTE", "/MO", str(plan.every // MINUTE)]
        often = ["/SC", "DAILY"] if plan.every == DAY else often
        start = ["/ST", f"{plan.hour:02}:{plan.minute:02}"]
        return ["schtasks", "/Create", "/F", "/TN", plan.name, "/TR", command, *often, *start]


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {one.name: one for one in (Systemd(), Cron(), Launchd(), Schtasks())}
)
