"""The interceptions of a report out of a store: the same table as the API's, day by day."""

from collections.abc import Mapping
from dataclasses import replace

from collector.api.interceptions import (
    SEEN_LIMIT,
    InterceptedLeaf,
    InterceptionRow,
    read_seen,
    summarise,
)
from collector.care import Care
from collector.report.asked import DAY, ReportAsked
from collector.store import Operation


class InterceptedFound:
    """What was served in the time of a report.

    Attributes:
        ders: Certificates by SHA-256. cut: Days of which not everything was read.
    """

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str, str, str, int, str], InterceptedLeaf] = {}
        self.ders: dict[str, bytes] = {}
        self.cut = 0

    def add(self, seen: list[InterceptedLeaf], ders: Mapping[str, bytes]) -> None:
        """Add what was served on one day."""
        self.ders |= ders
        self.cut += len(seen) >= SEEN_LIMIT
        for one in seen:
            key = (one.leaf, one.above, one.name, one.country, one.asn, one.key_id)
            known = self.seen.get(key)
            if known is not None:
                one = one._replace(  # noqa: PLW2901 - the sum takes its place
                    first=min(known.first, one.first),
                    last=max(known.last, one.last),
                    n=known.n + one.n,
                )
            self.seen[key] = one

    def table(self, care: Care) -> list[InterceptionRow]:
        """One row for each intermediate."""
        return summarise(self.seen.values(), self.ders, by_leaf=False, care=care)


def read_interceptions(asked: ReportAsked, care: Care) -> Operation[InterceptedFound]:
    """Everything that was served instead of a site's own certificates."""
    found = InterceptedFound()
    for day in range(asked.days):
        since = asked.since + day * DAY
        wanted = replace(asked.selection, since=since, until=since + DAY)
        found.add(*(yield from read_seen(wanted)))
    ends = [
        (one.country, one.asn, at) for one in found.seen.values() for at in (one.first, one.last)
    ]
    yield from care.learn(ends)
    return found
