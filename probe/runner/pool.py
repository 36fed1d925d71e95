"""Run jobs concurrently, at most one on each host."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from probe.ordering import Job

JobFunction = Callable[[Job], Awaitable[None]]


class Pool:
    """Jobs in their order, except that a job on a busy host is postponed.

    Attributes:
        waiting: Jobs that were not begun, in order.
        under_way: Jobs that were begun and did not end; after a cancellation, the cancelled ones.
    """

    def __init__(
        self, jobs: Iterable[Job], run_job: JobFunction, *, enough: Callable[[], bool]
    ) -> None:
        self.waiting = dict.fromkeys(jobs)
        self.under_way: dict[Job, None] = {}
        self._run_job = run_job
        self._enough = enough
        self._busy: set[str] = set()
        self._freed = asyncio.Event()

    async def run(self, concurrency: int) -> None:
        """Run all jobs; begin no more once it is `enough`."""
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(self.waiting))):
                group.create_task(self._work())

    async def _work(self) -> None:
        while self.waiting and not self._enough():
            job = next((job for job in self.waiting if job.host not in self._busy), None)
            if job is None:
                self._freed.clear()
                await self._freed.wait()
                continue
            del self.waiting[job]
            self.under_way[job] = None
            self._busy.add(job.host)
            try:
                await self._run_job(job)
                del self.under_way[job]
            finally:
                self._busy.discard(job.host)
                self._freed.set()
