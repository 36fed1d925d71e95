"""What others see of our targets, gathered while we measure and never waited for long.

Controls are asked once at the start, for everything, and once more for what failed: a recheck gives
a look from elsewhere within minutes of ours, which is what a comparison needs. What they say of one
target is some kilobytes, so of a long list only that is asked for which did not simply work here.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence

from msgspec.structs import replace

from probe.api_types import RecheckAsk
from probe.model import Control, Dns, Steps, Tcp
from probe.ordering import Job
from probe.runner.ports import Controls, ControlSource
from probe.runner.record_builder import Measurement

ADDRESSES = 8
# So many targets are asked about ahead.
AHEAD = 100
# Of a longer list, what did not simply work is asked about so often, seconds.
_OFTEN = 2.0


class ControlCache:
    """Control observations by target, each remembered with the time it was made."""

    def __init__(self, desk: ControlSource) -> None:
        self._desk = desk
        self._seen: dict[str, dict[str, tuple[Control, float]]] = {}

    @property
    def answered(self) -> bool:
        """A collector answered something."""
        return self._desk.answered

    async def ask(self, inputs: Iterable[str]) -> None:
        """Ask what controls saw lately."""
        self._add(await self._desk.controls(tuple(filter(None, inputs))))

    async def follow(self, inputs: Sequence[str], held: Iterable[Job]) -> None:
        """Ask ahead, or keep asking about what is held; until cancelled, or nobody answers."""
        if len(inputs) <= AHEAD:
            await self.ask(inputs)
            return
        asked: set[str] = set()
        while True:
            await asyncio.sleep(_OFTEN)
            fresh = {job.url: None for job in held if job.url not in asked}
            asked.update(fresh)
            if fresh:
                await self.ask(fresh)
                if not self._desk.answered:
                    return

    async def recheck(self, looks: Iterable[Measurement]) -> None:
        """Ask controls to look now at what failed here, and at the addresses we were given.

        What nobody has said anything of is asked for once more: a line that loses packets may have
        lost the first question, or its answer.
        """
        asks = tuple(
            RecheckAsk(input=one.job.url, addresses=tuple(addresses(one.steps))[:ADDRESSES])
            for one in looks
            if "://" in one.job.url  # a control looks again at sites, not at lines or services
        )
        unknown = [ask.input for ask in asks if ask.input not in self._seen]
        if unknown:
            await self.ask(unknown)
        self._add(await self._desk.recheck(asks))

    async def settle(self, rechecking: Awaitable[None], held: Iterable[Job]) -> None:
        """Let the recheck end, and ask once more: what was seen meanwhile came after our looks."""
        await rechecking
        if self._desk.answered:
            await self.ask(dict.fromkeys(job.url for job in held))

    def of(self, url: str, started: float) -> tuple[Control, ...]:
        """What is known of a target, `age` counted from `started` (Unix time), nearest first."""
        placed = [
            replace(control, age=round(made - started, 3))
            for control, made in self._seen.get(url, {}).values()
        ]
        return tuple(sorted(placed, key=lambda control: abs(control.age)))

    def _add(self, controls: Controls) -> None:
        now = time.time()
        for url, seen in controls.items():
            known = self._seen.setdefault(url, {})
            for one in seen:
                before = known.get(one.id)
                # Only the answer to a recheck brings certificates: what was brought is kept.
                certs = one.certs or (before[0].certs if before else {})
                known[one.id] = (replace(one, certs=certs), now + one.age)


def addresses(steps: Steps) -> Iterable[str]:
    """Every address that was answered for the target or dialled, once, in order."""
    found: dict[str, None] = {}
    for step in steps:
        if isinstance(step, Dns):
            found.update(dict.fromkeys(step.addresses))
        elif isinstance(step, Tcp):
            found[step.address] = None
    return found
