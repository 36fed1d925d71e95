"""The exit codes of a command, and which of them applies first."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit says; cron and systemd act on it."""

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
    """Of all that is true, the one to report."""
    return min((*found, Exit.DONE), key=ORDER.index)
