"""Run `qazprobe` with a clock that is 45 minutes slow: all its control measurements are stale.

    python -m probe.lab.late_clock run … (the arguments of qazprobe)

Only the times in records are late. Signatures carry the true time, so the collector accepts them
like records that waited in a spool.
"""

from datetime import datetime, timedelta, tzinfo

from probe.cli import main
from probe.runner import measurer, run

LATE = timedelta(minutes=45)


class LateClock(datetime):
    """A `datetime` whose `now` is late."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "LateClock":
        """The time 45 minutes ago."""
        shown = datetime.now(tz) - LATE
        return cls.fromtimestamp(shown.timestamp(), tz)


if __name__ == "__main__":
    for module in (measurer, run):
        vars(module)["datetime"] = LateClock
    main()
