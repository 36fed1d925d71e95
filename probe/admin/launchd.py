"""Property lists among the user's launch agents (macOS)."""

import os
import plistlib
import sys
from contextlib import suppress
from pathlib import Path

from probe import atomic_files, system_tools
from probe.admin.timers import HEARTBEAT_SUFFIX, ScheduleError, TimerJob, home_folder, run_or_raise
from probe.i18n import _

LABEL = "org.qazprobe.probe"


class Launchd:
    """The user's launch agents."""

    name = "launchd"

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
        if job.environment:
            properties["EnvironmentVariables"] = dict(job.environment)
        return plistlib.dumps(properties).decode()

    def install(self, *jobs: TimerJob) -> None:
        before = {label: self._content(label) for label in (LABEL, LABEL + HEARTBEAT_SUFFIX)}
        try:
            self.remove()
            for job in jobs:
                self._load(_label(job), self._job(job).encode())
        except BaseException as error:
            with suppress(ScheduleError, OSError):
                self.remove()
                for label, content in before.items():
                    if content is not None:
                        self._load(label, content)
            if isinstance(error, OSError):
                raise ScheduleError(f"{error.filename}: {_(error.strerror or '')}") from error
            raise

    def _load(self, label: str, content: bytes) -> None:
        atomic_files.write(self._file(label), content)
        run_or_raise("launchctl", "bootstrap", self._domain, str(self._file(label)))

    def status(self) -> str | None:
        if not self._file(LABEL).exists():
            return None
        return _("loaded") if self._loaded(LABEL) else _("installed but not loaded")

    def _loaded(self, label: str) -> bool:
        return system_tools.run("launchctl", "print", f"{self._domain}/{label}").ok

    def has_heartbeat(self) -> bool:
        return self._file(LABEL + HEARTBEAT_SUFFIX).exists()

    def remove(self) -> bool:
        labels = [
            label for label in (LABEL, LABEL + HEARTBEAT_SUFFIX) if self._file(label).exists()
        ]
        for label in labels:
            # Fails for what is not loaded too, with a code of several.
            system_tools.run("launchctl", "bootout", f"{self._domain}/{label}")
            self._file(label).unlink(missing_ok=True)
        if any(self._loaded(label) for label in labels):
            raise ScheduleError(
                _("the files are removed, but launchctl still has the job; log out to end it")
            )
        return bool(labels)

    def _content(self, label: str) -> bytes | None:
        file = self._file(label)
        return file.read_bytes() if file.exists() else None

    def _file(self, label: str) -> Path:
        return home_folder() / "Library" / "LaunchAgents" / f"{label}.plist"

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}" if sys.platform != "win32" else "gui"


def _label(job: TimerJob) -> str:
    return LABEL + (HEARTBEAT_SUFFIX if job.is_heartbeat else "")
