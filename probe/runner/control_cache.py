"""Control measurements of the run's targets, fetched while the run measures.

They are fetched at the start for all targets, and again for those that failed here: a recheck gives
a control measurement within minutes of ours, as a comparison needs. A target's control measurements
take some kilobytes, so those of a long list are fetched only for targets that are held.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence

from msgspec.structs import replace

from probe.api_types import RecheckTarget
from probe.model import Control, Dns, Role, Steps, Tcp
from probe.ordering import Job
from probe.packed import Packed
from probe.runner.dependencies import Controls, ControlSource
from probe.runner.record_builder import Measurement

MAX_ADDRESSES = 8
# For a list of at most this many targets, all control measurements are fetched at the start.
PREFETCH_TARGETS = 100
# Of so many targets they are fetched at once: decoded, those of a long list fill the memory.
_TOGETHER = 50
# For a longer list, those of held targets are fetched at this interval, seconds.
_FETCH_INTERVAL = 2.0


class ControlCache:
    """Control measurements by target, packed, each with the time it was made."""

    def __init__(self, source: ControlSource) -> None:
        self._source = source
        self._controls: dict[str, dict[str, tuple[Packed[Control], float]]] = {}
        self._asked: set[str] = set()
        self._all_asked = False

    def asked(self, url: str) -> bool:
        """Whether what is known of this target before a recheck is known by now."""
        return self._all_asked or url in self._asked

    @property
    def answered(self) -> bool:
        """Whether a collector answered."""
        return self._source.answered

    async def fetch(self, inputs: Iterable[str]) -> None:
        """Fetch recent control measurements of these targets."""
        wanted = tuple(filter(None, inputs))
        for at in range(0, len(wanted), _TOGETHER):
            self._add(await self._source.controls(wanted[at : at + _TOGETHER]))
            if not self._source.answered:
                return

    async def follow(self, inputs: Sequence[str], held: Iterable[Job]) -> None:
        """Fetch all, or of a long list those of `held` until cancelled or no collector answers."""
        if len(inputs) <= PREFETCH_TARGETS:
            await self.fetch(inputs)
            self._all_asked = True
            return
        while True:
            await asyncio.sleep(_FETCH_INTERVAL)
            fresh = {job.url: None for job in held if job.url not in self._asked}
            if fresh:
                await self.fetch(fresh)
                self._asked.update(fresh)
                if not self._source.answered:
                    self._all_asked = True
                    return

    async def recheck(self, measurements: Iterable[Measurement]) -> None:
        """Have controls measure now what failed here, and the addresses that were seen here.

        Control measurements of targets without any are fetched once more: packet loss may have
        lost the first request or its answer.
        """
        asks = tuple(
            RecheckTarget(input=one.job.url, addresses=tuple(addresses(one.steps))[:MAX_ADDRESSES])
            for one in measurements
            if "://" in one.job.url  # controls recheck URLs, not lines or services
        )
        unknown = [ask.input for ask in asks if ask.input not in self._controls]
        if unknown:
            await self.fetch(unknown)
        self._add(await self._source.recheck(asks))

    async def settle(self, rechecking: Awaitable[None], held: Iterable[Job]) -> None:
        """Await the recheck, then fetch what controls measured after its request ended."""
        await rechecking
        if self._source.answered:
            await self.fetch(dict.fromkeys(job.url for job in held))

    def of(self, url: str, started: float) -> tuple[Control, ...]:
        """A target's control measurements, nearest in time first; `age` relative to `started`."""
        aged = (
            replace(control.value(), age=round(made - started, 3))
            for control, made in self._controls.get(url, {}).values()
        )
        return tuple(sorted(aged, key=lambda control: abs(control.age)))

    def _add(self, controls: Controls) -> None:
        now = time.time()
        for url, new in controls.items():
            known = self._controls.setdefault(url, {})
            for one in new:
                before = known.get(one.id)
                # Only answers to rechecks have certificates, so earlier ones are kept.
                certs = one.certs or (before[0].value().certs if before else {})
                known[one.id] = (Packed(replace(one, certs=certs), Control), now + one.age)


def addresses(steps: Steps) -> Iterable[str]:
    """Every address that was answered for the target or dialled, without duplicates, in order.

    Not those of reference sites, and of servers that were only compared with.
    """
    found: dict[str, None] = {}
    for step in steps:
        if step.role is not Role.TARGET:
            continue
        if isinstance(step, Dns):
            found.update(dict.fromkeys(step.addresses))
        elif isinstance(step, Tcp):
            found[step.address] = None
    return found
