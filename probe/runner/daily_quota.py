"""The daily byte quota of the throughput experiments: pure accounting, kept across runs.

Volunteers remove a probe that uses up their data plan, so bytes are counted as on the wire and the
cap is hard. A transfer that exceeds it is not shortened: its record says `budget`.
"""

from msgspec import Struct
from msgspec.structs import replace

from probe.model import Data

DAILY_BYTES = 20_000_000
UNMETERED_BYTES = 300_000_000


class QuotaUsage(Data, frozen=True, kw_only=True):
    """The bytes used on one day; kept in the state folder as JSON.

    Attributes:
        day: The date in UTC, `2026-11-21`.
    """

    day: str
    spent: int = 0


def today(saved: QuotaUsage | None, day: str) -> QuotaUsage:
    """The usage of `day`: the saved one, or zero on a new day.

    A day before the saved one means that the clock was set back; the quota does not start again.
    """
    if saved is None or saved.day < day:
        return QuotaUsage(day=day)
    return saved


class DailyQuota(Struct):
    """What a run may still transfer today.

    Attributes:
        usage: To be saved when the run ends.
        cap: Bytes a day.
    """

    usage: QuotaUsage
    cap: int = DAILY_BYTES

    @property
    def left(self) -> int:
        """Bytes that remain."""
        return max(self.cap - self.usage.spent, 0)

    def affords(self, size: int, *, beside: float = 0.0) -> bool:
        """Whether a transfer of `size` bytes may begin, leaving this share of the day's cap."""
        return size <= self.left - beside * self.cap

    def spend(self, size: int) -> None:
        """Count the bytes that a transfer took."""
        self.usage = replace(self.usage, spent=self.usage.spent + size)
