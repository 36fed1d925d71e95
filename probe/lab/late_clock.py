"""Run `qazprobe` with a clock that is 45 minutes late: a control whose every look is stale.

    python -m probe.lab.late_clock run … (the arguments of qazprobe)

Only the times that are written into records are late; signatures carry the true time, so that a
collector takes them, as it takes records that waited in a spool.
"""

from datetime import datetime, timedelta, tzinfo

from probe.cli import main
from probe.runner import measurer, run

LATE = timedelta(minutes=45)


class LateClock(datetime):
    """A clock that is behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "LateClock":
        """The time 45 minutes ago."""
        shown = datetime.now(tz) - LATE
        return cls.fromtimestamp(shown.timestamp(), tz)


if __name__ == "__main__":
    for module in (measurer, run):
        vars(module)["datetime"] = LateClock
    main()
