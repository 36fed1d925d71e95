"""What was written while a collector's clock was ahead, after it was put right.

Rule: an instant in the future would hold back everything that waits for it: a lease, a batch in a
worker's hands, the last sign of a key, the day up to which keys were compared. So it is taken back.
Records are not touched: their times are the probes' own, and never later than their arrival.
"""

from collector.store.interface import Execute, Operation

# Another collector of the same store may be a little ahead of this one.
SLACK_SECONDS = 3600
_DAY = 86_400


def take_back(now: float) -> Operation[None]:
    """Set what lies in the future to now, or remove it."""
    params = {"now": int(now), "ahead": int(now) + SLACK_SECONDS}
    for name in ("ahead_probes", "ahead_places", "ahead_leases", "ahead_batches"):
        yield Execute(name, [params])
    yield Execute("ahead_conduct", [{"day": int(now) // _DAY + 1}])
