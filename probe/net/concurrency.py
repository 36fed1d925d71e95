"""Adapt the number of concurrent connections to the queueing delay of the line.

Sixty-four handshakes at once fill the queue of a slow line for seconds, and reachable sites time
out. So a session starts with a few connections, adds more while delays stay low, and reduces them
when delays grow. The median of the last few counts: one lost packet or one slow server is not a
full queue. A connection that has lasted much longer than a usual round trip waits for a server that
is silent: it no longer counts, so that silent servers do not hold up others.
"""

from dataclasses import dataclass, field
from statistics import median

FIRST = 8
FEWEST = 4
ROUND = 8
# Seconds of median delay that are acceptable: more than a satellite link has.
SLOW = 1.5
# The usual delay before any is known, seconds.
_UNKNOWN = 0.5


@dataclass(slots=True)
class AdaptiveConcurrency:
    """The number of connections allowed now: starts at `first`, at most `most`."""

    most: int
    first: int = FIRST
    allowed: int = field(init=False)
    _recent: list[float] = field(init=False, default_factory=list)
    _best: float = field(init=False, default=SLOW)
    _usual: float = field(init=False, default=_UNKNOWN)

    def __post_init__(self) -> None:
        self.allowed = min(self.first, self.most)

    @property
    def silence(self) -> float:
        """Seconds after which a connection mostly waits, and hardly loads the line."""
        return 1.0 + 2.0 * self._usual

    def note(self, seconds: float) -> None:
        """Record the slowest round trip of a connection that worked, seconds."""
        self._recent.append(seconds)
        if len(self._recent) < ROUND:
            return
        usual = median(self._recent)
        self._recent.clear()
        self._usual = usual
        self._best = min(self._best, usual)
        if usual > min(SLOW, 2 * self._best + 0.25):
            self.allowed = max(min(FEWEST, self.most), self.allowed * 2 // 3)
        else:
            self.allowed = min(self.most, self.allowed + max(1, self.allowed // 3))
