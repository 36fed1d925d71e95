"""Limit concurrent connections, in all and per address, and space their starts.

A run at full speed is recognisable, floods a home router, and loads a server that many names share.
The wait ends before a step's clock starts, so it does not count as a slow network.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import msgspec

from probe.net.concurrency import AdaptiveConcurrency

_REMEMBERED = 128  # addresses without a connection


class _KeyState(msgspec.Struct):
    """One key (an address): its users, waiting ones included, and when the next may start."""

    semaphore: asyncio.Semaphore
    users: int = 0
    free_at: float = 0.0


class _AdaptiveSemaphore(msgspec.Struct):
    """A first-in first-out semaphore whose size follows `AdaptiveConcurrency`.

    A holder that stays long frees its place for others; even with those, no more than the largest
    size are inside.
    """

    concurrency: AdaptiveConcurrency
    _inside: int = 0
    _counted: int = 0
    _waiting: deque[asyncio.Future[None]] = msgspec.field(default_factory=deque)

    async def acquire(self) -> None:
        """Wait for a place."""
        if self._has_room and not self._waiting:
            self._inside += 1
            self._counted += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release()  # the place was granted just before the cancellation
            raise

    def stop_counting(self) -> None:
        """Free the place of a holder that is still inside."""
        self._counted -= 1
        self._wake()

    def release(self, *, counted: bool = True) -> None:
        """Leave."""
        self._inside -= 1
        self._counted -= counted
        self._wake()

    @property
    def _has_room(self) -> bool:
        return self._counted < self.concurrency.allowed and self._inside < self.concurrency.most

    def _wake(self) -> None:
        while self._waiting and self._has_room:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._inside += 1
                self._counted += 1
                waiter.set_result(None)


@dataclass(slots=True)
class RateLimiter:
    """Limits concurrent operations.

    Attributes:
        ease: The limit in all; it adapts to the line.
        each: The limit per key.
        spacing: Seconds between any two starts.
        each_spacing: Seconds between two starts with one key.
    """

    concurrency: AdaptiveConcurrency
    each: int = 2
    spacing: float = 0.0
    each_spacing: float = 0.0
    _all: _AdaptiveSemaphore = field(init=False)
    _states: dict[str, _KeyState] = field(init=False, default_factory=dict)
    _free_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._all = _AdaptiveSemaphore(self.concurrency)

    @asynccontextmanager
    async def enter(self, key: str) -> AsyncIterator[None]:
        """Wait for a slot for `key`, hold it for the body, release it."""
        state = self._state(key)
        state.users += 1
        try:
            # First the key, then the total: waiting for a busy server must not use up a slot.
            async with state.semaphore:
                now = monotonic()
                start = max(now, state.free_at)
                state.free_at = start + self.each_spacing
                await _sleep(start - now)
                await self._all.acquire()
                async with self._held():
                    yield
        finally:
            state.users -= 1

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """Start when the spacing allows it; release the slot at the end."""
        silent: asyncio.TimerHandle | None = None
        counted = True

        def stop_counting() -> None:
            nonlocal counted
            counted = False
            self._all.stop_counting()

        try:
            now = monotonic()
            start = max(now, self._free_at)
            self._free_at = start + self.spacing
            await _sleep(start - now)
            loop = asyncio.get_running_loop()
            silent = loop.call_later(self.concurrency.silence, stop_counting)
            yield
        finally:
            if silent is not None:
                silent.cancel()
            self._all.release(counted=counted)

    def _state(self, key: str) -> _KeyState:
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= _REMEMBERED:
                now = monotonic()
                idle = [k for k, s in self._states.items() if s.users == 0 and s.free_at <= now]
                for each in idle:
                    del self._states[each]
            state = self._states[key] = _KeyState(asyncio.Semaphore(self.each))
        return state


async def _sleep(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
