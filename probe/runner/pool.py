"""Run jobs concurrently, at most one on each host.

Two pools of one run share their slots: first looks at targets, and second looks that become due
meanwhile. A host is busy for both. A job that only awaits comparisons gives up its slot, and so
does one that takes much longer than the quick ones: it waits for a silence, and hardly loads the
line (`net/rate_limit.py` limits connections).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from msgspec import Struct

from probe.ordering import Job

JobFunction = Callable[[Job], Awaitable[None]]

# Seconds after which it is seen that a second look has become due.
_POLL_SECONDS = 0.1
# The part of the slots for second looks while first looks wait: one in so many.
_SHARE = 8
# For each slot, so many jobs may wait beside it, and so many in all: they take memory.
_BESIDE, _MOST_BESIDE = 2, 48
# Seconds in a slot after which a job mostly waits; or twice what the quickest quarter of the last
# jobs took, as everything takes longer on a slow machine.
LONG = 2.0
_RECENT, _ENOUGH = 32, 8


class Slots:
    """How many jobs may run at once, and which hosts are busy; shared by the pools of a run.

    Attributes:
        first_waiting: Whether first looks wait for a slot.
    """

    def __init__(self, most: int, *, patience: float | None = LONG) -> None:
        """`patience`: seconds after which a job gives up its slot at least; None: it never does."""
        self._patience = patience
        self._began: dict[Job, float] = {}
        self._lengths: deque[float] = deque(maxlen=_RECENT)
        self.first_waiting: Callable[[], bool] = lambda: False
        self.busy: set[str] = set()
        self._free = asyncio.Semaphore(most)
        self._holders: dict[Job, asyncio.TimerHandle | None] = {}
        # --concurrency 1 means one at a time.
        self._beside, self._most_beside = 0, min(_BESIDE * most, _MOST_BESIDE) if most > 1 else 0
        self._changed = asyncio.Event()

    async def take(self) -> None:
        """Wait for a slot; `begin` says which job has it, or `give_back` that none does."""
        await self._free.acquire()

    def give_back(self) -> None:
        """No job was begun in a slot that was taken."""
        self._free.release()

    def begin(self, job: Job) -> None:
        """This job has the slot that was taken last, and its host is busy."""
        self.busy.add(job.host)
        self._holders[job] = None
        loop = asyncio.get_running_loop()
        self._began[job] = loop.time()
        if self._patience is not None:
            seconds = max(self._patience, 2 * self._usual)
            self._holders[job] = loop.call_later(seconds, self.leave, job)

    @property
    def _usual(self) -> float:
        """What a quick job takes; 0 while that is not known."""
        known = sorted(self._lengths)
        return known[len(known) // 4] if len(known) >= _ENOUGH else 0.0

    def holds(self, job: Job) -> bool:
        """Whether this job has a slot."""
        return job in self._holders

    def leave(self, job: Job) -> None:
        """This job goes on without its slot, unless many do."""
        if job in self._holders and self._beside < self._most_beside:
            self._beside += 1
            self._release(job)
            self.change()

    def end(self, job: Job, *, first: bool = True) -> None:
        """This job has ended; `first`: it was a first look."""
        if job in self._holders:
            self._release(job)
        else:
            self._beside -= 1
        length = asyncio.get_running_loop().time() - self._began.pop(job)
        # Second looks take longer by design, and the last first looks are the slow ones.
        if first and (self.first_waiting() or len(self._lengths) < _ENOUGH):
            self._lengths.append(length)
        self.busy.discard(job.host)
        self.change()

    def _release(self, job: Job) -> None:
        timer = self._holders.pop(job)
        if timer is not None:
            timer.cancel()
        self._free.release()

    def change(self) -> None:
        """Wake the workers that wait for a job."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float | None = None) -> None:
        """Wait until a host is free or a job was added, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


class Pool:
    """Jobs in their order, except that a job on a busy host is postponed.

    Attributes:
        waiting: Jobs that were not begun, in order.
        under_way: Jobs that were begun and did not end; after a cancellation, the cancelled ones.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        run_job: JobFunction,
        *,
        enough: Callable[[], bool],
        slots: Slots | None = None,
    ) -> None:
        self.waiting = dict.fromkeys(jobs)
        self.under_way: dict[Job, None] = {}
        self._run_job = run_job
        self._enough = enough
        self._slots = slots

    async def run(self, concurrency: int) -> None:
        """Run all jobs; begin no more once it is `enough`."""
        slots = self._slots or Slots(concurrency)
        slots.first_waiting = lambda: bool(self.waiting)
        async with asyncio.TaskGroup() as group:
            while self.waiting and not self._enough():
                await slots.take()
                job = None if self._enough() else self._next(slots)
                if job is not None:
                    group.create_task(self._run(job, slots))
                    continue
                slots.give_back()
                if self.waiting and not self._enough():
                    await slots.changed()

    def _next(self, slots: Slots) -> Job | None:
        job = next((job for job in self.waiting if job.host not in slots.busy), None)
        if job is not None:
            del self.waiting[job]
            self.under_way[job] = None
            slots.begin(job)
        return job

    async def _run(self, job: Job, slots: Slots) -> None:
        try:
            await self._run_job(job)
            del self.under_way[job]
        finally:
            slots.end(job)


class _Due(Struct):
    """When a second look may begin, on the monotonic clock, and how long it may take, seconds."""

    moment: float
    length: float


class SecondLooks:
    """Jobs that are added while others run, each to be run some time after its first look.

    While first looks wait for a slot, second looks take few: which of them take long must be known
    early, and a disturbance has more time to pass.

    Attributes:
        closed: No more are added: the run ends with the last one.
    """

    def __init__(
        self,
        look: JobFunction,
        slots: Slots,
        *,
        most: int,
        enough: Callable[[], bool],
        may_begin: Callable[[Job], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.closed = False
        self._look = look
        self._slots = slots
        self._most = most
        self._under_way: set[Job] = set()
        self._enough = enough
        self._may_begin = may_begin
        self._clock = clock
        self._waiting: dict[Job, _Due] = {}

    def add(self, job: Job, *, after: float, length: float) -> None:
        """Run a job in `after` seconds or later; those that take long go first."""
        self._waiting[job] = _Due(self._clock() + after, length)

    def close(self) -> None:
        """No more are added."""
        self.closed = True
        self._slots.change()

    async def run(self) -> None:
        """Run each job when it is due, may begin, and a slot is free."""
        async with asyncio.TaskGroup() as group:
            while not self._enough() and (self._waiting or not self.closed):
                await self._slots.take()
                job = self._next()
                if job is None:
                    self._slots.give_back()
                    await self._slots.changed(_POLL_SECONDS)
                else:
                    group.create_task(self._run(job))

    def _next(self) -> Job | None:
        """The longest first, so that the run does not end with one that began late."""
        most = max(1, self._most // _SHARE) if self._slots.first_waiting() else self._most
        if sum(map(self._slots.holds, self._under_way)) >= most:
            return None
        now, busy = self._clock(), self._slots.busy
        due = [job for job, one in self._waiting.items() if one.moment <= now]
        due.sort(key=lambda job: self._waiting[job].length, reverse=True)
        job = next((job for job in due if job.host not in busy and self._may_begin(job)), None)
        if job is not None:
            del self._waiting[job]
            self._slots.begin(job)
            self._under_way.add(job)
        return job

    async def _run(self, job: Job) -> None:
        try:
            await self._look(job)
        finally:
            self._under_way.discard(job)
            self._slots.end(job, first=False)
