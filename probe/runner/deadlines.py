"""When each phase of a run must end, so that the run ends within its maximum time.

Time is reserved for every later phase: a target that is measured but not confirmed, judged or sent
is worth less than one target fewer. The time for confirmations grows with the number of held
measurements.
"""

import time
from collections.abc import Callable

from msgspec import Struct

from probe.ordering import confirm_reserve

# Shares of the whole, with their minimum and maximum in seconds.
_TAIL = (0.1, 0.3, 6.0)
_UPLOAD = (0.15, 0.5, 30.0)
# A confirmation takes longer than a measurement: it repeats what failed, between reference sites.
_CONFIRM_FACTOR = 1.5
_MIN_CONFIRM_SECONDS = 2.0


class Deadlines(Struct, frozen=True):
    """Instants of the monotonic clock.

    Attributes:
        started: When the round began; for the first one, when the program did.
        seconds: What the whole run may take.
        uploads: Whether time is reserved for the upload.
    """

    started: float
    seconds: float
    uploads: bool
    clock: Callable[[], float] = time.monotonic

    @property
    def tail(self) -> float:
        """Seconds reserved for the reference sites after the sweep, judging and writing."""
        return _part(self.seconds, _TAIL)

    @property
    def left(self) -> float:
        """Seconds until the end of the run."""
        return self.started + self.seconds - self.clock()

    @property
    def measuring_left(self) -> float:
        """Seconds in which targets may still be measured."""
        upload = _part(self.seconds, _UPLOAD) if self.uploads else 0.0
        return self.left - upload - self.tail

    def sweep_left(self, held: int, *, concurrency: int, each: float) -> float:
        """Seconds for the sweep, with `held` measurements to confirm that took `each` seconds."""
        return self.measuring_left - confirm_reserve(
            held,
            concurrency=concurrency,
            each=max(each * _CONFIRM_FACTOR, _MIN_CONFIRM_SECONDS),
            whole=self.seconds - self.tail,
        )


def _part(whole: float, share: tuple[float, float, float]) -> float:
    fraction, least, most = share
    return min(max(whole * fraction, least), most, whole / 4)
