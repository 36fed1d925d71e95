"""The day's byte budget of the throughput experiments: pure accounting, kept across runs.

People leave a probe that eats their data plan. What was spent is counted as it was on the wire, the
cap is hard, and when it is reached nothing is shrunk in silence: the experiment says `budget`.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from probe.model import Data

DAILY_BYTES = 20_000_000
UNMETERED_BYTES = 300_000_000


class QuotaUsage(Data, frozen=True, kw_only=True):
    """What one day has cost so far; kept in the probe's state folder as JSON.

    Attributes:
        day: The date in UTC, `2026-11-21`.
    """

    day: str
    spent: int = 0


def today(spending: QuotaUsage | None, day: str) -> QuotaUsage:
    """The spending of `day`: as it was kept, or from nothing on a new day.

    A day before the kept one means that the clock was set back: that buys no second budget.
    """
    if spending is None or spending.day < day:
        return QuotaUsage(day=day)
    return spending


@dataclass(slots=True)
class DailyQuota:
    """What a run may still spend today.

    Attributes:
        spending: To be kept when the run ends.
        cap: Bytes a day.
    """

    spending: QuotaUsage
    cap: int = DAILY_BYTES

    @property
    def left(self) -> int:
        """Bytes that remain."""
        return max(self.cap - self.spending.spent, 0)

    def affords(self, size: int) -> bool:
        """Whether so much may be begun."""
        return size <= self.left

    def spend(self, size: int) -> None:
        """Note what something really cost."""
        self.spending = replace(self.spending, spent=self.spending.spent + size)
