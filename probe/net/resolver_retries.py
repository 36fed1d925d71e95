"""Ask resolvers that were dropped again, in the background, until they answer.

What they are asked is the question that they left unanswered. No target waits for it, and no record
has it: it only decides whether the resolver is asked for further targets.
"""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from probe.experiments.interface import Resolver
from probe.net.resolver_pool import ResolverPool

# Seconds before each retry; the last of them is repeated.
PAUSES = (0.0, 5.0, 15.0, 45.0)


class ResolverRetries(Struct):
    """The retries of one session.

    Attributes:
        pool: Which resolvers were dropped; each retry is noted there.
        pause: Waits for so many seconds.
    """

    pool: ResolverPool
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _under_way: dict[Resolver, asyncio.Task[None]] = field(default_factory=dict)

    def follow(self, resolver: Resolver, ask: Callable[[], Awaitable[bool]]) -> None:
        """Begin to retry a resolver if it was dropped; `ask` asks once and says if it answered."""
        if resolver not in self._under_way and self.pool.is_dropped(resolver):
            self._under_way[resolver] = asyncio.create_task(self._retry(resolver, ask))

    async def _retry(self, resolver: Resolver, ask: Callable[[], Awaitable[bool]]) -> None:
        turn = 0
        try:
            while self.pool.is_dropped(resolver):
                await self.pause(PAUSES[min(turn, len(PAUSES) - 1)])
                self.pool.note(resolver, answered=await ask())
                turn += 1
        finally:
            del self._under_way[resolver]

    async def close(self) -> None:
        """End all retries."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
