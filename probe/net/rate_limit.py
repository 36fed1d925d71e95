"""Keep the probe polite: so many connections in all, so few to one place, and a breath between.

A sweep at full speed is a fingerprint, floods a home router, and hammers a server that many names
share. Waiting here happens before a step's clock starts, so it is never taken for a slow network.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from probe.net.concurrency import AdaptiveConcurrency

_REMEMBERED = 1024


@dataclass(slots=True)
class _Place:
    """One address: who is in or waits, and when the next one may go in."""

    turn: asyncio.Semaphore
    users: int = 0
    free_at: float = 0.0


@dataclass(slots=True)
class _Turns:
    """So many at once as the line bears just now, in the order they came."""

    ease: AdaptiveConcurrency
    _inside: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def __aenter__(self) -> None:
        if self._inside < self.ease.allowed and not self._waiting:
            self._inside += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._leave()  # the turn had just been given to somebody who is gone
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        while self._waiting and self._inside < self.ease.allowed:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._inside += 1
                waiter.set_result(None)


@dataclass(slots=True)
class RateLimiter:
    """Bounds what is under way at once.

    Attributes:
        ease: Connections at once in all, as the line bears them.
        each: Connections at once to one place.
        spacing: Seconds between two starts, in all.
        each_spacing: Seconds between two starts at one place.
    """

    ease: AdaptiveConcurrency
    each: int = 2
    spacing: float = 0.0
    each_spacing: float = 0.0
    _all: _Turns = field(init=False)
    _places: dict[str, _Place] = field(init=False, default_factory=dict)
    _free_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._all = _Turns(self.ease)

    @asynccontextmanager
    async def enter(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn at the place `name`, hold it, and give it back."""
        place = self._place(name)
        place.users += 1
        try:
            # First the place, then the total: whoever waits for a busy server holds up nobody else.
            async with place.turn:
                now = monotonic()
                start = max(now, place.free_at)
                place.free_at = start + self.each_spacing
                await _sleep(start - now)
                async with self._all:
                    now = monotonic()
                    start = max(now, self._free_at)
                    self._free_at = start + self.spacing
                    await _sleep(start - now)
                    yield
        finally:
            place.users -= 1

    def _place(self, name: str) -> _Place:
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= _REMEMBERED:
                self._forget()
            place = self._places[name] = _Place(asyncio.Semaphore(self.each))
        return place

    def _forget(self) -> None:
        now = monotonic()
        for name, place in list(self._places.items()):
            if place.users == 0 and place.free_at <= now:
                del self._places[name]


async def _sleep(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
