"""When each part of a run must end, so that the whole ends when it was promised.

Every later part has its time kept for it: what was seen and not confirmed, not judged or not sent
is worth less than one target more. The time for second looks grows with what waits for one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from probe.ordering import confirm_reserve

# Shares of the whole, with the least and the most seconds that make sense.
_TAIL = (0.1, 0.3, 6.0)
_UPLOAD = (0.15, 0.5, 30.0)
# A second look takes longer than the first: it repeats what failed, between references.
_AGAIN = 1.5
_LEAST_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Instants of the monotonic clock.

    Attributes:
        started: When the run began, or the program when it began later.
        seconds: What the whole may take.
        uploads: Whether time is to be kept for sending.
    """

    started: float
    seconds: float
    uploads: bool
    clock: Callable[[], float] = time.monotonic

    @property
    def tail(self) -> float:
        """Seconds kept for looking at the line again, judging and writing."""
        return _part(self.seconds, _TAIL)

    @property
    def left(self) -> float:
        """Seconds until the very end."""
        return self.started + self.seconds - self.clock()

    @property
    def measuring_left(self) -> float:
        """Seconds in which targets may still be measured."""
        upload = _part(self.seconds, _UPLOAD) if self.uploads else 0.0
        return self.left - upload - self.tail

    def sweep_left(self, waiting: int, *, abreast: int, each: float) -> float:
        """Seconds for first looks, with so many targets waiting for a second one."""
        whole = self.seconds - self.tail
        slow = max(each * _AGAIN, _LEAST_AGAIN)
        return self.measuring_left - confirm_reserve(
            waiting, abreast=abreast, each=slow, whole=whole
        )


def _part(whole: float, share: tuple[float, float, float]) -> float:
    fraction, least, most = share
    return min(max(whole * fraction, least), most, whole / 4)
