"""Rechecks: somebody asks for a fresh look, controls take the job, the answer wakes the asker.

Rule: all of this is in memory and short-lived. A job that nobody took is forgotten after a minute;
who asked for it is not kept at all.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from probe.api_types import RecheckJob

# A job lives this long, and goes to at most so many controls.
JOB_SECONDS = 60.0
TAKERS = 3
JOB_LIMIT = 2000
ADDRESS_LIMIT = 4
TAKE_LIMIT = 16
# What was seen a moment ago need not be looked at again.
REUSE_SECONDS = 5.0
# A control that asked for jobs this lately will probably ask again.
LISTENING_SECONDS = 120.0


@dataclass(slots=True)
class _Job:
    job: RecheckJob
    asked_at: float
    takers: set[str] = field(default_factory=set)

    def join(self, addresses: Iterable[str]) -> None:
        """Somebody else wants the same look; once it has begun, it is too late for addresses."""
        if not self.takers:
            wanted = tuple(dict.fromkeys((*self.job.addresses, *addresses)))[:ADDRESS_LIMIT]
            self.job = RecheckJob(id=self.job.id, input=self.job.input, addresses=wanted)


class Rechecks:
    """The jobs of one collector, and who waits for what."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._fresh: dict[str, float] = {}
        self._bell = asyncio.Event()
        self._last_control: float | None = None
        self._count = 0
        self._closed = False

    @property
    def listening(self) -> bool:
        """Whether any control takes jobs these minutes."""
        last = self._last_control
        return last is not None and self._clock() - last < LISTENING_SECONDS

    def ask(self, id_: str, input_: str, addresses: Iterable[str]) -> bool:
        """Queue a job, or join one for the same input; False when there is no room."""
        now = self._clock()
        self._forget(now)
        seen_at = self._fresh.get(input_, float("-inf"))
        if now - seen_at < REUSE_SECONDS:
            return True
        known = self._jobs.get(input_)
        if known and known.asked_at > seen_at:
            known.join(addresses)
            return True
        if known is None and len(self._jobs) >= JOB_LIMIT:
            return False
        wanted = tuple(dict.fromkeys(addresses))[:ADDRESS_LIMIT]
        self._jobs[input_] = _Job(RecheckJob(id=id_, input=input_, addresses=wanted), now)
        self._ring()
        return True

    async def take(self, key_id: str, wait: float) -> tuple[RecheckJob, ...]:
        """What a control has not been given yet, waiting up to `wait` seconds for something."""
        deadline = self._clock() + wait
        while True:
            self._last_control = self._clock()
            self._forget(self._last_control)
            found = self._untaken(key_id)
            if found or not await self._rung(deadline):
                return found

    def seen(self, inputs: Iterable[str]) -> None:
        """A control's observations of these inputs have just been stored."""
        now = self._clock()
        for input_ in inputs:
            self._fresh[input_] = now
        self._ring()

    async def settled(self, inputs: Sequence[str], wait: float) -> bool:
        """Wait up to `wait` seconds until each input has been seen since a moment ago."""
        since = self._clock() - REUSE_SECONDS
        deadline = self._clock() + wait
        while any(self._fresh.get(input_, float("-inf")) <= since for input_ in inputs):
            if not await self._rung(deadline):
                return False
        return True

    def close(self) -> None:
        """Send everybody who waits home."""
        self._closed = True
        self._bell.set()

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
        stale = [i for i, at in self._fresh.items() if now - at > 2 * JOB_SECONDS]
        for input_ in stale:
            del self._fresh[input_]

    def _ring(self) -> None:
        """Wake everybody; each looks for itself whether it was meant."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def _rung(self, deadline: float) -> bool:
        """Wait for the bell; False when it is too late or the house closes."""
        left = deadline - self._clock()
        if left <= 0 or self._closed:
            return False
        try:
            async with asyncio.timeout(left):
                await self._bell.wait()
        except TimeoutError:
            return False
        return not self._closed
