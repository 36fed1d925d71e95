"""How many readers are served at a time: a few, and a short queue behind them.

Rule: a read costs time and memory that grow with the store, so readers wait for each other, and one
too many gets a 503 and comes again, instead of making all others slower. One network has a share
only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):  # noqa: N818 - a state of the queue
    """There are too many readers; the attribute is when to come again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many readers at once; try again later")
        self.retry_after = retry_after


class ReadQueue:
    """Turns to read: so many at a time, so many waiting, and so many of both for each network.

    Attributes:
        limit: How many may have or await a turn.
    """

    def __init__(
        self, running: int, waiting: int, per_network: int, wait_seconds: float = 10.0
    ) -> None:
        self._free = asyncio.Semaphore(running)
        self.limit = running + waiting
        self._per_network = per_network
        self._seconds = wait_seconds
        self._networks: Counter[str | None] = Counter()

    @property
    def taken(self) -> int:
        """How many have or await a turn."""
        return self._networks.total()

    @asynccontextmanager
    async def turn(self, network: str | None) -> AsyncIterator[None]:
        """Wait for a turn and have it until the context ends; None is a network without limit.

        Raises:
            QueueFull: Too many have or await one, or it took too long.
        """
        full = self.taken >= self.limit
        if full or (network is not None and self._networks[network] >= self._per_network):
            raise QueueFull(self._seconds)
        self._networks[network] += 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._free.acquire()
            except TimeoutError as error:
                raise QueueFull(self._seconds) from error
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]
