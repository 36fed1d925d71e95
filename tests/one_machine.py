"""How tests share the machine: one that measures rates runs while no other does; slow ones first.

Two locks between the processes of pytest-xdist. Every test shares the first; one marked `alone` has
it to itself. Whoever waits for it holds the second, so that tests which come later cannot keep it
waiting.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def share_of_machine(*, alone: bool) -> Iterator[None]:
    """Hold a share of the machine, or all of it, until the block ends."""
    # Windows has no such locks, and a run without xdist has one process only.
    if sys.platform == "win32" or "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    import fcntl

    folder = Path(tempfile.gettempdir()) / f"qazprobe-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "machine").open("w") as machine, (folder / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield


def slow_first(items: list[pytest.Item]) -> None:
    """Put the files with the most slow tests first, so that the processes end together."""
    slow = Counter(one.path for one in items if one.get_closest_marker("slow") is not None)
    items.sort(key=lambda one: -slow[one.path])
