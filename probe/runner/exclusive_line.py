"""Who loads the line, one at a time, and when that was.

Rule: whatever was timed meanwhile says so in its record, so that a transfer of ours is never
taken for a slow network.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from probe.model import Span


class ExclusiveLine:
    """The turns of one run, by the monotonic clock."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._spans: list[tuple[float, float]] = []
        self._since: float | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for the line, and have it until the end of this."""
        async with self._lock:
            began = self._since = time.monotonic()
            try:
                yield
            finally:
                self._since = None
                self._spans.append((began, time.monotonic()))

    def between(self, began: float, ended: float) -> tuple[Span, ...]:
        """Turns that fell into this time, in seconds after its beginning."""
        spans = [*self._spans, *([(self._since, ended)] if self._since is not None else [])]
        return tuple(
            Span(since=round(max(a - began, 0.0), 3), until=round(min(b, ended) - began, 3))
            for a, b in spans
            if a < ended and b > began
        )
