"""The keys of a store as an operator reads them: whose votes count, why, and which ones stray."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.conduct import standing_rows
from collector.standing import AGREEMENT, GOOD_DAYS, OPEN, UNOPPOSED, KeyStanding
from collector.store import Operation, Query, exclusions
from collector.store.exclusions import Exclusion

# Fewer compared targets say nothing about a key.
COMPARED_LEAST = 20
COLUMNS = (
    "key", "role", "standing", "branch", "origin", "enrolled", "seen", "country", "asn",
    "records", "compared", "agrees", "excluded",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyOverview:
    """One row of the list.

    Attributes:
        branch: The invite that it was enrolled with. origin: the network; equal ones are the same.
        compared, agreed: Targets of the last thirty days that trusted keys of its network measured
            too, and those on which it says the same.
    """

    standing: KeyStanding
    seen_at: float
    country: str
    asn: int
    records: int
    exclusion: Exclusion | None

    @property
    def strays(self) -> bool:
        """Whether its verdicts differ from those of its network too often."""
        found = self.standing
        return found.compared >= COMPARED_LEAST and found.agreed < AGREEMENT * found.compared

    def word(self, now: float) -> str:
        """Its standing in a word or two."""
        one = self.standing
        if one.way != OPEN:
            return {"invite": "invited", "import": "imported"}.get(one.way, one.way)
        if one.is_trusted(now):
            return "earned"
        return f"stranger {one.agreed_days + UNOPPOSED * one.free_days:g}/{GOOD_DAYS:g}"


def overview(now: float) -> Operation[list[KeyOverview]]:
    """Every key, those that stray first, then by enrolment."""
    rows = yield Query("key_overview")
    found = {one.key_id: one for one in (yield from standing_rows(now))}
    aside: Mapping[str, Exclusion] = {
        one.key_id: one for one in (yield from exclusions.exclusions())
    }
    every = [
        KeyOverview(found[row[0]], row[6], row[7], row[8], row[9], aside.get(row[0]))
        for row in rows
        if row[0] in found
    ]
    return sorted(every, key=lambda one: (not one.strays, one.standing.enrolled_at))


def cells(one: KeyOverview, now: float) -> tuple[str, ...]:
    """A row as text, in the order of `COLUMNS`."""
    found = one.standing
    agrees = "" if found.agreement is None else f"{found.agreement:.0%}"
    return (
        found.key_id,
        found.role,
        f"{one.word(now)}{', strays' if one.strays else ''}",
        found.branch,
        found.origin[:8],
        _day(found.enrolled_at),
        _day(one.seen_at),
        one.country,
        str(one.asn),
        str(one.records),
        str(found.compared),
        agrees,
        f"since {_day(one.exclusion.since)}: {one.exclusion.reason}" if one.exclusion else "",
    )


def table(rows: Iterable[KeyOverview], now: float) -> Iterator[str]:
    """The rows as lines of columns."""
    shown: Sequence[tuple[str, ...]] = [COLUMNS, *(cells(row, now) for row in rows)]
    widths = [max(len(row[n]) for row in shown) for n in range(len(COLUMNS))]
    for row in shown:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at else "-"
