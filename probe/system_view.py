"""Look at the system: files of the kernel, its configuration, its clocks, this user's account.

Rule: looking is never fatal. What a system shows may be missing, unreadable, endless or nonsense;
then a measurement goes on without it. Every module that reads the system does it through `text` or
under `never_fatal`.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from probe import crash_log

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")

LIMIT = 256 * 1024
# Functions whose exception is in the log already: they are called for every target.
_logged: set[str] = set()


def text(path: Path, limit: int = LIMIT) -> str:
    """The beginning of a file, bytes that are no text replaced; empty if it cannot be read."""
    # A FIFO without a writer must not block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def never_fatal(otherwise: D) -> Callable[[Callable[P, T]], Callable[P, T | D]]:
    """Make a function return `otherwise` instead of raising.

    An `OSError` is the system's answer. Any other exception is a case that we did not think of: its
    traceback goes to the log of this machine, once.
    """

    def decorate(look: Callable[P, T]) -> Callable[P, T | D]:
        @functools.wraps(look)
        def looked(*args: P.args, **kwargs: P.kwargs) -> T | D:
            try:
                return look(*args, **kwargs)
            except OSError:
                return otherwise
            except Exception as error:  # noqa: BLE001 - the rule of this module
                name = f"{getattr(look, '__module__', '')}.{getattr(look, '__qualname__', '')}"
                if name not in _logged:
                    _logged.add(name)
                    crash_log.save_traceback(error, f"looking at the system: {name}")
                return otherwise

        return looked

    return decorate
