"""Do many jobs, so many at a time, and never two on one host at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from probe.ordering import Job

Do = Callable[[Job], Awaitable[None]]


class Pool:
    """Jobs in their order, of which those on a busy host let others go first.

    Attributes:
        waiting: Jobs that were not begun, in order.
        under_way: Jobs that were begun and did not end: what was cut, when the pool was.
    """

    def __init__(self, jobs: Iterable[Job], do: Do, *, enough: Callable[[], bool]) -> None:
        self.waiting = dict.fromkeys(jobs)
        self.under_way: dict[Job, None] = {}
        self._do = do
        self._enough = enough
        self._busy: set[str] = set()
        self._freed = asyncio.Event()

    async def run(self, abreast: int) -> None:
        """Do them all, or stop beginning new ones once it is `enough`."""
        async with asyncio.TaskGroup() as group:
            for _ in range(min(abreast, len(self.waiting))):
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
                await self._do(job)
                del self.under_way[job]
            finally:
                self._busy.discard(job.host)
                self._freed.set()
