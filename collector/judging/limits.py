"""Limits on judging one record: processor time and memory of a worker process.

Rule: the time limit raises an exception in Python code; where that does not run because something
else never ends, twice that time ends the process. Both count the time of the processor, so a
machine that is busy or suspended ends nothing.
"""

import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")

RECORD_SECONDS = 5.0
# What a worker may allocate beyond what it has after its start.
MEMORY_BYTES = 512 * 1024 * 1024
_PAGE = resource.getpagesize()

_armed = False


class OutOfTime(BaseException):
    """Raised in the record that is being judged; no rule catches it by accident."""


def install() -> None:
    """Prepare a worker, whose main thread judges."""
    limit_time()
    _limit_memory(MEMORY_BYTES)


def limit_time() -> None:
    """Prepare this process for `within`; it is for the main thread."""
    signal.signal(signal.SIGVTALRM, _interrupt)
    # The default action of this signal ends the process at once.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def _limit_memory(more: int) -> None:
    """Limit the address space to what is used now and `more`."""
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    except (OSError, ValueError):
        return  # no Linux: the operating system's own limits hold
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + more
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def within(work: Callable[[], T], seconds: float) -> T:
    """Do this work, in the main thread of a prepared process.

    Raises:
        OutOfTime: It took more than this time of the processor.
    """
    global _armed  # noqa: PLW0603 - the timers of a process are global too
    try:
        _armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        signal.setitimer(signal.ITIMER_PROF, 2 * seconds + 1)
        return work()
    finally:
        _armed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def limited(work: Callable[[A], T]) -> Callable[[A], T]:
    """The same function within the time for one record."""
    return lambda given: within(lambda: work(given), RECORD_SECONDS)


def _interrupt(_number: int, _frame: object) -> None:
    if _armed:
        raise OutOfTime
