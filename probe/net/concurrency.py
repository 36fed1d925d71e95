"""How many connections this line bears at once, learnt from how long they had to wait.

Sixty-four handshakes at once fill the queue of a slow line for seconds, and then good sites time
out. So a session starts with a few, takes more as they come to their ends without having waited
longer than others before, and takes fewer when they did. Only the middle of the last few counts: a
lost packet or a slow server is not a full queue.
"""

from dataclasses import dataclass, field
from statistics import median

FIRST = 8
FEWEST = 4
ROUND = 8
# Seconds that the middle one may have waited: more than any satellite takes.
SLOW = 1.5


@dataclass(slots=True)
class AdaptiveConcurrency:
    """The number that may be open now (`allowed`), from `first` on and at most `most`."""

    most: int
    first: int = FIRST
    allowed: int = field(init=False)
    _recent: list[float] = field(init=False, default_factory=list)
    _best: float = field(init=False, default=SLOW)

    def __post_init__(self) -> None:
        self.allowed = min(self.first, self.most)

    def note(self, seconds: float) -> None:
        """A connection that worked waited so long for its slowest answer."""
        self._recent.append(seconds)
        if len(self._recent) < ROUND:
            return
        usual = median(self._recent)
        self._recent.clear()
        self._best = min(self._best, usual)
        if usual > min(SLOW, 2 * self._best + 0.25):
            self.allowed = max(min(FEWEST, self.most), self.allowed * 2 // 3)
        else:
            self.allowed = min(self.most, self.allowed + max(1, self.allowed // 3))
