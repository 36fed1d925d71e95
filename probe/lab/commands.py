"""Start commands in their own sessions, and end them with all their children."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import probe

Finished: TypeAlias = "subprocess.CompletedProcess[str]"
Started: TypeAlias = "subprocess.Popen[bytes]"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without qazprobe settings, with this package importable."""
    root = str(Path(probe.__file__).parent.parent)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("QAZPROBE_")}
    path = kept.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": f"{root}:{path}" if path else root, **(more or {})}


def run(argv: Sequence[str], env: Mapping[str, str] | None, timeout: float) -> Finished:
    """Run a command; kill it and all its children at the timeout."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(env),
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


class BackgroundCommands:
    """Commands that run in the background until `end`."""

    def __init__(self) -> None:
        self._started: list[Started] = []

    def spawn(
        self, argv: Sequence[str], env: Mapping[str, str] | None, log: Path | None
    ) -> Started:
        """Start a command; its output is appended to `log`."""
        with (log or Path(os.devnull)).open("ab") as out:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment(env),
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill every command that still runs, with its children."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
