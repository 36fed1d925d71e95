"""Exit codes, and the error a user can act on.

Every command ends with one exit code. Several conditions may hold at once; `first` picks the one
to report.
"""

from enum import IntEnum


class Exit(IntEnum):
    """The exit code of a command; cron and systemd act on it."""

    DONE = 0
    BUG = 1
    USAGE = 2
    OFFLINE = 3
    NOT_SENT = 4
    LOCKED = 5
    MATCHED = 10


# The first that applies is the one that is reported.
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


class UserError(Exception):
    """The command cannot go on; the message is one line that says why and what to do."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
