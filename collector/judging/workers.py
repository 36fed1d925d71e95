"""Start judging processes, wake them, take their reports, and replace those that end or hang.

Rule: nothing depends on a worker ending well. What it had in hand is in the store, and the process
that replaces it has its name, so it goes on with that at once.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path

from collector.judging import reports
from collector.judging.reports import Report
from collector.judging.worker import STORE

# A worker reports every few seconds; after so long without a report it is killed.
SILENT_SECONDS = 60.0
# Time to finish what is in hand before it is killed when the collector stops.
STOP_SECONDS = 2.0
# Pause before a worker that ended at once is started again.
PAUSE_SECONDS = (0.2, 30.0)
# A worker that lived so long did not end at once.
SETTLED_SECONDS = 10.0

# What a worker runs.
MODULE = "collector.judging.worker"

log = logging.getLogger("qazcollector")


class Workers:
    """The judging processes of one collector, or of an import: `only` is then its key."""

    def __init__(
        self,
        number: int,
        *,
        store: str,
        targets: Sequence[str],
        holder: str,
        report: Callable[[Report], None],
        restarted: Callable[[], None],
        only: str = "",
    ) -> None:
        self._store = store
        self._report = report
        self._restarted = restarted
        self._closing = False
        self._processes: dict[str, Process] = {}
        lists = [part for name in targets for part in ("--target-list", name)]
        self._command = [sys.executable, "-m", MODULE, "--only", only, *lists]
        self._names = [f"{holder}-{index}" for index in range(number)]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(process.pid for process in self._processes.values())

    def start(self) -> None:
        """Start every worker."""
        self._tasks = [asyncio.create_task(self._keep(name)) for name in self._names]

    def wake(self) -> None:
        """Tell the workers that something waits."""
        for process in self._processes.values():
            if process.stdin is not None and not process.stdin.transport.get_write_buffer_size():
                process.stdin.write(b"\n")

    def reload(self) -> None:
        """Replace every worker by one that reads the lists again."""
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()

    async def close(self) -> None:
        """End every worker: at once, after the records in hand, or by a signal."""
        self._closing = True
        self.reload()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for process in self._processes.values() if late else ():
                _kill(process)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str) -> None:
        """Keep a worker of this name running."""
        pause, most = PAUSE_SECONDS
        while not self._closing:
            began = time.monotonic()
            code = await self._run(name)
            if self._closing:
                return
            settled = time.monotonic() - began > SETTLED_SECONDS
            pause = PAUSE_SECONDS[0] if code == 0 or settled else min(most, 2 * pause)
            if code:
                self._restarted()
                log.warning("judging process ended with %s; it is started again", code)
            await asyncio.sleep(pause)

    async def _run(self, name: str) -> int:
        """Run one process to its end; return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command, "--holder", name, stdin=PIPE, stdout=PIPE, env=self._environment()
        )
        self._processes[name] = process
        try:
            await self._read(process)
        finally:
            self._processes.pop(name, None)
            if process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
                _kill(process)
        return await process.wait()

    async def _read(self, process: Process) -> None:
        """Pass on the reports of a process, until it ends or falls silent."""
        if process.stdout is None:
            raise RuntimeError("a process without output")
        while True:
            try:
                line = await asyncio.wait_for(process.stdout.readline(), SILENT_SECONDS)
            except TimeoutError:
                log.warning("judging process was silent for %.0f seconds", SILENT_SECONDS)
                _kill(process)
                return
            if not line:
                return
            self._report(reports.decode(line))

    def _environment(self) -> dict[str, str]:
        """The environment of a worker: this one's modules, the store, one memory arena."""
        path = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
        # Arenas for each thread would count as memory that is not used.
        return {**os.environ, "PYTHONPATH": path, STORE: self._store, "MALLOC_ARENA_MAX": "1"}


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
