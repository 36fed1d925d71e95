"""Count the bytes of a session, so that a run can stop before it costs more than was agreed."""

from dataclasses import dataclass


@dataclass(slots=True)
class ByteCounter:
    """Bytes above TCP and UDP, both ways, and the most that may be spent (None: no limit)."""

    limit: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def spent(self) -> int:
        """Both directions together: that is what a metered line charges."""
        return self.bytes_in + self.bytes_out

    @property
    def exhausted(self) -> bool:
        """Whether nothing new should be started."""
        return self.limit is not None and self.spent >= self.limit
