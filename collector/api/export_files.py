"""Parquet files of exports, kept for some minutes: who reads one asks for its parts in turn."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

KEPT_SECONDS = 600.0
GRACE_SECONDS = 60.0
KEPT_BYTES = 1 << 30


_PREFIX = "qazcollector-export-"


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    made_at: float
    size: int


class ExportFiles:
    """Files by what was asked for; the oldest are deleted when they are too many bytes together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        _remove_orphans()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        # With the collector, or with this object.
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._files: dict[Hashable, _File] = {}
        self._locks: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = count()
        self._clock = clock

    async def get(self, asked: Hashable, make: Callable[[Path], Awaitable[None]]) -> Path:
        """The file for this; the same one within some minutes, so that its parts fit together."""
        async with self._locks[asked]:
            self._drop()
            found = self._files.get(asked)
            if found is None or found.made_at < self._clock() - KEPT_SECONDS:
                if found is not None:
                    self._files[found.path] = found
                path = self._folder / f"{next(self._numbers)}.parquet"
                try:
                    await make(path)
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
                found = _File(path, self._clock(), path.stat().st_size)
                self._files[asked] = found
            return found.path

    def _drop(self) -> None:
        """Delete what is old or too much; a file that is being sent is there until it is sent."""
        total, deleted_from = 0, self._clock() - KEPT_SECONDS - GRACE_SECONDS
        for asked, file in sorted(self._files.items(), key=lambda one: -one[1].made_at):
            total += file.size
            if total > KEPT_BYTES or file.made_at < deleted_from:
                del self._files[asked]
                with contextlib.suppress(OSError):
                    file.path.unlink()
        for asked in [one for one, lock in self._locks.items() if not lock.locked()]:
            if asked not in self._files:
                del self._locks[asked]


def _remove_orphans() -> None:
    """Delete the files of collectors that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
