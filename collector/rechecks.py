"""Rechecks: a probe requests a new measurement, controls take it, its storing wakes the request.

Rule: all of this is in memory and short-lived. A job is dropped after a minute, and the
requesting key is not kept at all.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from probe.api_types import RecheckJob

# The life of a job, and the number of controls that get it.
JOB_SECONDS = 60.0
TAKERS = 3
JOB_LIMIT = 2000
ADDRESS_LIMIT = 4
TAKE_LIMIT = 16
# An input that was measured within this time is not rechecked.
REUSE_SECONDS = 5.0
# Controls poll for jobs; one that did within this time is taken to be available.
AVAILABLE_SECONDS = 120.0


@dataclass(slots=True)
class _QueuedRecheck:
    job: RecheckJob
    asked_at: float
    takers: set[str] = field(default_factory=set)

    def join(self, addresses: Iterable[str]) -> None:
        """Add the addresses of another request, unless a control has taken the job."""
        if not self.takers:
            wanted = tuple(dict.fromkeys((*self.job.addresses, *addresses)))[:ADDRESS_LIMIT]
            self.job = RecheckJob(id=self.job.id, input=self.job.input, addresses=wanted)


class Rechecks:
    """The jobs of one collector, with the requests and controls that wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: dict[str, _QueuedRecheck] = {}
        self._observed: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._last_control: float | None = None
        self._count = 0
        self._closed = False

    @property
    def has_controls(self) -> bool:
        """Whether any control polled for jobs within the last two minutes."""
        last = self._last_control
        return last is not None and self._clock() - last < AVAILABLE_SECONDS

    def ask(self, id_: str, input_: str, addresses: Iterable[str]) -> bool:
        """Queue a job, or join one for the same input; False when the queue is full."""
        now = self._clock()
        self._forget(now)
        seen_at = self._observed.get(input_, float("-inf"))
        if now - seen_at < REUSE_SECONDS:
            return True
        known = self._jobs.get(input_)
        if known and known.asked_at > seen_at:
            known.join(addresses)
            return True
        if known is None and len(self._jobs) >= JOB_LIMIT:
            return False
        wanted = tuple(dict.fromkeys(addresses))[:ADDRESS_LIMIT]
        self._jobs[input_] = _QueuedRecheck(RecheckJob(id=id_, input=input_, addresses=wanted), now)
        self._notify()
        return True

    async def take(self, key_id: str, wait: float) -> tuple[RecheckJob, ...]:
        """The jobs that a control has not taken yet, waiting up to `wait` seconds for any."""
        deadline = self._clock() + wait
        while True:
            self._last_control = self._clock()
            self._forget(self._last_control)
            found = self._untaken(key_id)
            if found or not await self._wait(deadline):
                return found

    def observed(self, inputs: Iterable[str]) -> None:
        """Note that a control's observations of these inputs have been stored."""
        now = self._clock()
        for input_ in inputs:
            self._observed[input_] = now
        self._notify()

    async def settled(self, inputs: Sequence[str], wait: float) -> bool:
        """Wait up to `wait` seconds until each input is observed; whether all of them were."""
        since = self._clock() - REUSE_SECONDS
        deadline = self._clock() + wait
        while any(self._observed.get(input_, float("-inf")) <= since for input_ in inputs):
            if not await self._wait(deadline):
                return False
        return True

    def close(self) -> None:
        """End all waiting."""
        self._closed = True
        self._changed.set()

    def _untaken(self, key_id: str) -> tuple[RecheckJob, ...]:
        found = [
            job
            for job in self._jobs.values()
            if key_id not in job.takers and len(job.takers) < TAKERS
        ][:TAKE_LIMIT]
        for job in found:
            job.takers.add(key_id)
        return tuple(job.job for job in found)

    def _forget(self, now: float) -> None:
        old = [i for i, job in self._jobs.items() if now - job.asked_at > JOB_SECONDS]
        for input_ in old:
            del self._jobs[input_]
        stale = [i for i, at in self._observed.items() if now - at > 2 * JOB_SECONDS]
        for input_ in stale:
            del self._observed[input_]

    def _notify(self) -> None:
        """Wake all waiters; each checks for itself whether to go on waiting."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait(self, deadline: float) -> bool:
        """Wait for a change; False when the deadline has passed or the collector stops."""
        left = deadline - self._clock()
        if left <= 0 or self._closed:
            return False
        try:
            async with asyncio.timeout(left):
                await self._changed.wait()
        except TimeoutError:
            return False
        return not self._closed
