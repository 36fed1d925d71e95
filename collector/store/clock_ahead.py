"""What was written while a collector's clock was ahead, after it was put right.

Rule: an instant in the future would hold back everything that waits for it: a lease, a batch in a
worker's hands, the last sign of a key, the day up to which keys were compared. So it is taken back.
Records are not touched: their times are the probes' own, and never later than their arrival.
"""

from collector.store import heartbeats
from collector.store.interface import Execute, Operation, Query
from collector.store.queries import instant_of

# Another collector of the same store may be a little ahead of this one.
SLACK_SECONDS = 3600
_DAY = 86_400
# What is deleted by its age is deleted by a clock that is at most so far from the newest sign.
TRUSTED_SECONDS = 2 * _DAY


def take_back(now: float) -> Operation[None]:
    """Set what lies in the future to now, or remove it."""
    params = {"now": int(now), "ahead": int(now) + SLACK_SECONDS}
    for name in ("ahead_probes", "ahead_places", "ahead_leases", "ahead_batches"):
        yield Execute(name, [params])
    yield Execute("ahead_conduct", [{"day": int(now) // _DAY + 1}])


def doubtful_since(now: float) -> Operation[float | None]:
    """The newest sign of what time it is, if it is too old to believe a clock that says `now`.

    Signs are signed requests, and the collector's own heartbeats once they tell of a whole day.
    """
    seen, seq = (yield Query("signs"))[0]
    signs = [float(seen or 0), instant_of(seq) if seq else 0.0]
    own = yield from heartbeats.own_time()
    newest = max(*signs, own or 0.0)
    return newest if newest and now > newest + TRUSTED_SECONDS else None
