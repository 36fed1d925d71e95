"""Results of expensive reads: each is made once at a time, and given until the store has changed.

Rule: a reader after a write sees it, as long as the result is cheap to make. An expensive one is
made at most once in a few times its own duration, however many ask or write.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

CHEAP_SECONDS = 0.25
PATIENCE = 5.0
# Without a write of ours too: windows move, and other collectors write to a shared store.
OLD_SECONDS = 10.0
RESULTS = 16


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any
    revision: int
    made_at: float
    cost: float


class ResultCache:
    """The newest results by key, the `RESULTS` last used."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._results: OrderedDict[Hashable, _Result] = OrderedDict()
        self._making: dict[Hashable, asyncio.Lock] = {}
        self._asking: Counter[Hashable] = Counter()

    async def get(self, key: Hashable, revision: int, make: Callable[[], Awaitable[T]]) -> T:
        """The result for a key at a revision of the store, made anew if it has to be."""
        lock = self._making.setdefault(key, asyncio.Lock())
        self._asking[key] += 1
        try:
            async with lock:
                known = self._results.get(key)
                if known is None or not self._is_fresh(known, revision):
                    known = await self._made(revision, make)
                    self._results[key] = known
                    if len(self._results) > RESULTS:
                        self._results.popitem(last=False)
                self._results.move_to_end(key)
                value: T = known.value
                return value
        finally:
            self._asking[key] -= 1
            if not self._asking[key]:
                del self._asking[key], self._making[key]

    async def _made(self, revision: int, make: Callable[[], Awaitable[T]]) -> _Result:
        began = self._clock()
        value = await make()
        now = self._clock()
        return _Result(value, revision, now, now - began)

    def _is_fresh(self, known: _Result, revision: int) -> bool:
        age = self._clock() - known.made_at
        if known.revision != revision:
            return known.cost >= CHEAP_SECONDS and age < PATIENCE * known.cost
        return age < max(OLD_SECONDS, PATIENCE * known.cost)
