"""Parquet files of exports, kept for some minutes: who reads one asks for its parts in turn."""

import asyncio
import contextlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

KEPT_SECONDS = 600.0
KEPT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    made_at: float
    size: int


class ExportFiles:
    """Files by what was asked for; the oldest are deleted when they are too many bytes together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="qazcollector-export-")
        self._files: dict[Hashable, _File] = {}
        self._locks: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = count()
        self._clock = clock

    async def get(self, asked: Hashable, make: Callable[[Path], Awaitable[None]]) -> Path:
        """The file for this; the same one within some minutes, so that its parts fit together."""
        async with self._locks[asked]:
            self._drop()
            found = self._files.get(asked)
            if found is None:
                path = Path(self._folder.name) / f"{next(self._numbers)}.parquet"
                await make(path)
                found = _File(path, self._clock(), path.stat().st_size)
                self._files[asked] = found
            return found.path

    def _drop(self) -> None:
        """Delete what is old or too much; a file that is being sent is there until it is sent."""
        total = 0
        for asked, file in sorted(self._files.items(), key=lambda one: -one[1].made_at):
            total += file.size
            if total > KEPT_BYTES or file.made_at < self._clock() - KEPT_SECONDS:
                del self._files[asked]
                with contextlib.suppress(OSError):
                    file.path.unlink()
        for asked in [one for one, lock in self._locks.items() if not lock.locked()]:
            if asked not in self._files:
                del self._locks[asked]
