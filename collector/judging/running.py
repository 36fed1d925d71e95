"""Judging beside a serving collector: the processes or the task, and the look at what waits."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from collector.judging.in_process import InProcess
from collector.judging.reports import Report
from collector.judging.watch import BacklogWatch
from collector.judging.work import Judging, Runner
from collector.judging.workers import Workers
from collector.metrics.instruments import Instruments
from collector.record_row import Judge
from collector.settings import CollectorSettings
from collector.store import Store, StoreUnavailable, backlog
from collector.target_labels import TargetLabels
from probe.certificates.roots import Roots

# How often the backlog is looked at: while something waits, and otherwise.
BUSY_SECONDS, IDLE_SECONDS = 0.5, 10.0

log = logging.getLogger("qazcollector")


class JudgingParts(Protocol):
    """What judges: processes, or a task of this one.

    Attributes:
        pids: The processes that run now.
    """

    @property
    def pids(self) -> Sequence[int]:
        """The processes that run now."""

    def start(self) -> None:
        """Begin to judge."""

    def wake(self) -> None:
        """Tell that something waits."""

    def reload(self) -> None:
        """Read the target lists again."""

    async def close(self) -> None:
        """End after the records in hand."""


class RunningJudging:
    """Judging, and what follows from it in the collector."""

    def __init__(
        self,
        settings: CollectorSettings,
        store: Store,
        watch: BacklogWatch,
        instruments: Instruments,
        *,
        labels: TargetLabels,
        judge: Judge,
        runner: Runner,
        stored: Callable[[], None],
        series_stored: Callable[[], None],
    ) -> None:
        self._store = store
        self._watch = watch
        self._instruments = instruments
        self._stored = stored
        self._series_stored = series_stored
        self._task: asyncio.Task[None] | None = None
        holder = secrets.token_hex(8)
        self._parts: JudgingParts
        if settings.workers:
            self._parts = Workers(
                settings.workers,
                store=settings.store,
                targets=settings.targets,
                holder=holder,
                report=self._take,
                restarted=instruments.judging_restarts.inc,
            )
        else:
            judging = Judging(
                store,
                holder,
                labels=labels,
                judge=judge,
                runner=runner,
                report=self._take,
                roots=Roots.mozilla() if settings.verify_chains else None,
            )
            self._parts = InProcess(judging)

    @property
    def pids(self) -> Sequence[int]:
        """The judging processes."""
        return self._parts.pids

    async def start(self) -> None:
        """Begin to judge and to look."""
        if not self._store.shared:
            # No other collector uses it: what held batches has ended.
            await self._store.write(backlog.free())
        await self._watch.look()
        self._parts.start()
        self._task = asyncio.create_task(self._look())

    def wake(self) -> None:
        """Tell that something waits."""
        self._parts.wake()

    def reload(self) -> None:
        """Judge by the target lists as they are now."""
        self._parts.reload()

    async def close(self) -> None:
        """End after the records in hand; the rest is judged after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._parts.close()

    def _take(self, report: Report) -> None:
        """Take a worker's report."""
        self._watch.moved()
        self._instruments.judged.inc(report.judged)
        for reason, number in report.unjudged.items():
            self._instruments.unjudged.labels(reason).inc(number)
            if reason == "bug":
                self._instruments.judge_errors.inc(number)
        for doubt, number in report.doubted.items():
            self._instruments.doubted.labels(doubt).inc(number)
        if report.judged:
            self._stored()
        if report.series:
            self._series_stored()

    async def _look(self) -> None:
        while True:
            try:
                await self._watch.look()
            except StoreUnavailable as error:
                log.warning("%s", error)
            busy = self._store.shared or self._watch.state.records
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    if not busy:
                        await self._watch.something.wait()
                    await asyncio.sleep(BUSY_SECONDS)
