"""Exclusive use of the line by experiments that load it, and when that was.

Rule: a record that was measured meanwhile says so, so that a transfer of ours is not taken for a
slow network.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from probe.model import Span


class ExclusiveLine:
    """A lock that remembers when it was held, by the monotonic clock."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._spans: list[tuple[float, float]] = []
        self._since: float | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold the line; wait while another experiment does."""
        async with self._lock:
            began = self._since = time.monotonic()
            try:
                yield
            finally:
                self._since = None
                self._spans.append((began, time.monotonic()))

    def between(self, began: float, ended: float) -> tuple[Span, ...]:
        """When the line was held in this period, in seconds after `began`."""
        spans = [*self._spans, *([(self._since, ended)] if self._since is not None else [])]
        return tuple(
            Span(since=round(max(a - began, 0.0), 3), until=round(min(b, ended) - began, 3))
            for a, b in spans
            if a < ended and b > began
        )
