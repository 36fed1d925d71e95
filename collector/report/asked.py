"""What a report is asked to cover. Pure."""

import hashlib
from datetime import UTC, datetime
from typing import Literal

import msgspec

from collector.store.queries import Selection

DAY = 86_400.0
# So many days fit into a calendar that is still readable on paper.
MOST_DAYS = 366
Language = Literal["en", "ru", "kk"]


class ReportAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which report is wanted.

    Attributes:
        since, until: Whole days in UTC, as Unix times; the first day, and the day after the last.
        categories: Codes of the sites that it covers; empty: all.
        least: With fewer probes on a network, what they measured is shown to the hour only.
    """

    since: float
    until: float
    country: str
    categories: tuple[str, ...] = ()
    language: Language = "en"
    least: int = 3

    @property
    def days(self) -> int:
        """How many days it covers."""
        return round((self.until - self.since) / DAY)

    @property
    def previous(self) -> float:
        """When the time of the same length before it begins."""
        return self.since - (self.until - self.since)

    @property
    def selection(self) -> Selection:
        """The records of both times."""
        return Selection(country=self.country, role="probe", since=self.previous, until=self.until)

    @property
    def name(self) -> str:
        """A name that tells this report from those of other times, countries and categories."""
        name = f"report-{self.country}-{day_text(self.since)}-{day_text(self.until)}"
        if self.categories:
            chosen = hashlib.sha256(" ".join(self.categories).encode()).hexdigest()[:8]
            name += f"-{chosen}"
        return name

    def covers(self, category: str) -> bool:
        """Whether sites of a category are covered; what belongs to none is about lines."""
        return not self.categories or not category or category in self.categories


def day_text(at: float) -> str:
    """The day of an instant."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def minute_text(at: float | None) -> str:
    """An instant to the minute; empty for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")
