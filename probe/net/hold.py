"""Reading slowly at the beginning of a transfer, to see limits that begin later.

A limit may begin some seconds or some hundred kilobytes after a connection did. To read at full
speed until then would cost a fast line megabytes, so next to nothing is read until then: the
receive window stops the server meanwhile.
"""

from msgspec import Struct

# Besides what the kernel takes until its buffer is full, some 64 KB.
HELD_BYTES = 32 * 1024
_LEAST = 1024


class Hold(Struct, frozen=True):
    """How much may be read in the first `seconds` after a request."""

    seconds: float

    def over(self, at: float) -> bool:
        """Everything may be read."""
        return at >= self.seconds

    def allowed(self, at: float, taken: int) -> int:
        """How many bytes more may be read at `at`, of which `taken` were."""
        left = int(HELD_BYTES * at / self.seconds) - taken
        return left if left >= _LEAST else 0

    @property
    def spacing(self) -> float:
        """Seconds between samples meanwhile: most of the few that are kept are for what follows."""
        return self.seconds / 8
