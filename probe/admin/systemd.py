"""Timers and services of the user's own systemd.

The service is confined. Options that a user's systemd enforces everywhere are always there; those
that need user namespaces, which some distributions forbid, are tried first, because a service with
them would not start there.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from probe import atomic_files, system_tools
from probe.admin.timers import (
    HOUR,
    MINUTE,
    NAME,
    NAMES,
    ScheduleError,
    TimerJob,
    home_folder,
    run_or_raise,
)
from probe.i18n import _

# Enforced by seccomp and prctl, so without any privilege and on every kernel.
ALWAYS = (
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
)
# A user's systemd may drop capabilities only in a user namespace; without it, the service ends with
# 217 or 218. Options that mount (ProtectSystem, PrivateTmp) would also hide where -o may write.
IN_USER_NAMESPACE = ("CapabilityBoundingSet=", "PrivateUsers=yes")
LIMITS = ("IOSchedulingClass=idle", "MemoryMax=512M", "Nice=10", "TasksMax=256", "UMask=0077")
# Offline, not sent yet, another run, --fail-on: no reason to alert a person.
NO_ALARM = "SuccessExitStatus=3 4 5 10"


def user_systemd() -> bool:
    """Return whether systemd runs this user's services (not in a container, or after `su`)."""
    return (
        shutil.which("systemctl") is not None and system_tools.run("systemctl", "--user", "show").ok
    )


class Systemd:
    """The user's systemd."""

    name = "systemd"

    def render(self, *jobs: TimerJob) -> str:
        return "\n".join(f"# {file}\n{text}" for file, text in self._files(jobs).items())

    def install(self, *jobs: TimerJob) -> None:
        files = self._files(jobs)
        try:
            with self._restored_on_failure():
                self._clear({job.name for job in jobs})
                for file, text in files.items():
                    atomic_files.write(file, text.encode())
                run_or_raise("systemctl", "--user", "daemon-reload")
                for job in jobs:
                    run_or_raise("systemctl", "--user", "enable", "--now", f"{job.name}.timer")
        except OSError as error:
            raise ScheduleError(f"{error.filename}: {_(error.strerror or '')}") from error

    def status(self) -> str | None:
        if not self._unit(f"{NAME}.timer").exists():
            return None
        enabled = system_tools.run("systemctl", "--user", "is-enabled", f"{NAME}.timer").ok
        following = _property(f"{NAME}.timer", "NextElapseUSecRealtime")
        result = _property(f"{NAME}.service", "Result")
        return (
            (_("enabled") if enabled else _("installed but not enabled"))
            + (_(", next at {time}").format(time=following) if following else "")
            + (
                _(", the last run failed ({result})").format(result=result)
                if result not in ("", "success")
                else ""
            )
        )

    def has_heartbeat(self) -> bool:
        return self._unit(f"{NAMES[1]}.timer").exists()

    def remove(self) -> bool:
        existed = self._clear(set())
        for folder in (self._link("").parent, self._folder, self._folder.parent):
            with suppress(OSError):  # others may have units there
                folder.rmdir()
        if existed and user_systemd():
            for name in NAMES:
                if _property(f"{name}.timer", "ActiveState") == "active":
                    message = _(
                        "the files are removed, but systemd still has {name}.timer; run: {fix}"
                    )
                    fix = f"systemctl --user stop {name}.timer"
                    raise ScheduleError(message.format(name=name, fix=fix))
        return existed

    def _clear(self, but: set[str]) -> bool:
        """Remove our jobs except those named in `but`; return whether there were any."""
        names = [name for name in NAMES if name not in but]
        files = [self._unit(f"{name}.{kind}") for name in names for kind in ("timer", "service")]
        existing = [file for file in files if file.exists()]
        for timer in (file for file in existing if file.suffix == ".timer"):
            system_tools.run("systemctl", "--user", "disable", "--now", timer.name)
            # Where systemd does not answer, its link to the timer would stay.
            self._link(timer.name).unlink(missing_ok=True)
        for file in existing:
            file.unlink()
        if existing:
            system_tools.run("systemctl", "--user", "daemon-reload")
        return bool(existing)

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Put every file and timer back as it was if the installation fails."""
        units = [self._unit(f"{name}.{kind}") for name in NAMES for kind in ("service", "timer")]
        before = {unit: unit.read_bytes() for unit in units if unit.exists()}
        enabled = [unit.name for unit in before if self._link(unit.name).is_symlink()]
        missing = [one for one in (self._folder, *self._folder.parents) if not one.exists()]
        try:
            yield
        except BaseException:
            with suppress(OSError):
                self._clear(set())
                for unit, content in before.items():
                    atomic_files.write(unit, content)
                for folder in missing:
                    folder.rmdir()
            if before:
                system_tools.run("systemctl", "--user", "daemon-reload")
            for name in enabled:
                system_tools.run("systemctl", "--user", "enable", "--now", name)
            raise

    @property
    def _folder(self) -> Path:
        config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        # A relative path is to be ignored (XDG Base Directory Specification).
        config = config if config.is_absolute() else home_folder() / ".config"
        return config / "systemd" / "user"

    def _unit(self, name: str) -> Path:
        return self._folder / name

    def _link(self, name: str) -> Path:
        return self._folder / "timers.target.wants" / name

    def _files(self, jobs: Sequence[TimerJob]) -> Mapping[Path, str]:
        confinement = (*ALWAYS, *IN_USER_NAMESPACE) if has_user_namespaces() else ALWAYS
        files: dict[Path, str] = {}
        for job in jobs:
            files[self._unit(f"{job.name}.service")] = service(job, confinement)
            files[self._unit(f"{job.name}.timer")] = _timer(job)
        return files


def has_user_namespaces() -> bool:
    """Return whether the user's systemd can start a service in a user namespace.

    The options themselves are tried, with a program that does nothing. True if no systemd runs.
    """
    if not user_systemd():
        return True
    options = [f"--property={option}" for option in IN_USER_NAMESPACE]
    trial = ("systemd-run", "--user", "--wait", "--collect", "--quiet", *options, "true")
    return system_tools.run(*trial).ok


def service(job: TimerJob, confinement: Sequence[str]) -> str:
    """Return the service of a job."""
    what = "heartbeat" if job.is_heartbeat else "network measurement"
    lines = [f"ExecStart={' '.join(_quoted(word) for word in job.command)}"]
    lines += [f"Environment={_quoted(f'{name}={value}')}" for name, value in job.environment]
    lines += [NO_ALARM, f"TimeoutStartSec={job.every}", *LIMITS, *confinement]
    return (
        f"[Unit]\nDescription=qazprobe: {what}\n\n"
        "[Service]\nType=oneshot\n" + "\n".join(lines) + "\n"
    )


def _timer(job: TimerJob) -> str:
    """A run may start late and a missed one is made up for; a heartbeat must be on time."""
    precision = (
        "AccuracySec=1s\n"
        if job.is_heartbeat
        else f"RandomizedDelaySec={job.every // 10}\nPersistent=true\nAccuracySec=1min\n"
    )
    return (
        "[Unit]\nDescription=Timer of qazprobe\n\n"
        f"[Timer]\nOnCalendar={_calendar(job)}\n{precision}\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def _calendar(job: TimerJob) -> str:
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


def _property(unit: str, name: str) -> str:
    shown = system_tools.run("systemctl", "--user", "show", unit, f"--property={name}")
    return shown.text.partition("=")[2].strip() if shown.ok else ""
