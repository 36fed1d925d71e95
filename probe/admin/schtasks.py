"""Tasks of the Windows task scheduler."""

import shutil
import subprocess

from probe import system_tools
from probe.admin.timers import (
    DAY,
    HEARTBEAT_SUFFIX,
    MINUTE,
    NAME,
    NAMES,
    ScheduleError,
    TimerJob,
    run_or_raise,
)
from probe.i18n import _


class Schtasks:
    """The user's scheduled tasks."""

    name = "schtasks"

    def render(self, *jobs: TimerJob) -> str:
        return "".join(subprocess.list2cmdline(self._create(job)) + "\n" for job in jobs)

    def install(self, *jobs: TimerJob) -> None:
        """Install all jobs or none: a half installation would be a surprise."""
        self.remove()
        try:
            for job in jobs:
                run_or_raise(*self._create(job))
        except BaseException:
            self.remove()
            raise

    def status(self) -> str | None:
        if not _exists(NAME):
            return None
        answer = system_tools.run("schtasks", "/Query", "/TN", NAME, "/FO", "LIST")
        return " ".join(answer.text.split())

    def has_heartbeat(self) -> bool:
        return _exists(NAME + HEARTBEAT_SUFFIX)

    def remove(self) -> bool:
        found = [name for name in NAMES if _exists(name)]
        for name in found:
            run_or_raise("schtasks", "/Delete", "/F", "/TN", name)
        return bool(found)

    def _create(self, job: TimerJob) -> list[str]:
        command = subprocess.list2cmdline(job.command)
        if job.environment:
            settings = "&& ".join(f"set {name}={value}" for name, value in job.environment)
            command = f'cmd /c "{settings}&& {command}"'
        period = ["/SC", "MINUTE", "/MO", str(job.every // MINUTE)]
        period = ["/SC", "DAILY"] if job.every == DAY else period
        start = ["/ST", f"{job.hour:02}:{job.minute:02}"]
        return ["schtasks", "/Create", "/F", "/TN", job.name, "/TR", command, *period, *start]


def _exists(name: str) -> bool:
    """Return whether a task exists. Messages are in the language of Windows, so the code counts."""
    if shutil.which("schtasks") is None:
        return False
    answer = system_tools.run("schtasks", "/Query", "/TN", name)
    if answer.code in (0, 1):
        return answer.ok
    message = _("{tool} failed: {reason}")
    raise ScheduleError(message.format(tool="schtasks", reason=answer.reason))
