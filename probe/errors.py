"""Exit codes, and the error that a user can act on.

Several conditions may hold at the end of a command; `first` selects the code to report.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of all commands, for cron and systemd."""

    DONE = 0
    BUG = 1
    USAGE = 2
    OFFLINE = 3
    NOT_SENT = 4
    LOCKED = 5
    MATCHED = 10


# Precedence: the first one that applies is reported.
ORDER = (
    Exit.USAGE,
    Exit.LOCKED,
    Exit.BUG,
    Exit.OFFLINE,
    Exit.MATCHED,
    Exit.NOT_SENT,
    Exit.DONE,
)


def first(*found: Exit) -> Exit:
    """Return the exit code to report among those that apply."""
    return min((*found, Exit.DONE), key=ORDER.index)


def leaves(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions in a group, also in groups within it; of another one itself."""
    if not isinstance(error, BaseExceptionGroup):
        return (error,)
    return tuple(leaf for inner in error.exceptions for leaf in leaves(inner))


@contextmanager
def unpacked() -> Iterator[None]:
    """Raise an exception as it is where a task group put it into a group, also beside others.

    Of several the first is raised; the group is its cause, so the crash log has all of them.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        raise leaves(group)[0] from group


class UserError(Exception):
    """The command cannot continue; the message is one line with the reason and the remedy."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
