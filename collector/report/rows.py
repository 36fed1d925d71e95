"""Read the records of a report out of a store, page by page, into a file of rows.

Rule: memory does not grow with the number of records. A row has the columns of a public export, and
beside them what tables are computed from and what the frozen data leaves out: the pseudonym of the
probe also where the row is coarse.
"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from collector import conduct
from collector.admin.export_columns import COLUMNS, Cell, Pseudonyms, cells, with_instants
from collector.care import Care, is_within
from collector.report.asked import ReportAsked
from collector.standing import Standings
from collector.store import Operation, Store, exports
from collector.store.exports import ExportRow

_PAGE = 1000
Cells = dict[str, Cell]


@dataclass
class RowTally:
    """What is known of the records as a whole.

    Attributes:
        rows: Number of rows that were written. lab: of them from laboratories.
    """

    rows: int = 0
    lab: int = 0
    rulesets: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)


class ReportRows:
    """The records of one report as rows."""

    def __init__(self, asked: ReportAsked, secret: bytes, standings: Standings) -> None:
        self._asked = asked
        self._selection = asked.selection
        self.care = Care(asked.least, standings)
        self.standings = standings
        self._pseudonyms = Pseudonyms(secret, standings, public=True)

    async def write(self, store: Store, path: Path, progress: Callable[[int], object]) -> RowTally:
        """Write every row as a line of JSON, in the order of arrival."""
        tally, cursor = RowTally(), -1
        with gzip.open(path, "wb", compresslevel=1) as file:
            while rows := await store.read(self._page(cursor), slow=True):
                cursor = rows[-1].seq
                found = [one for one in map(self._row, rows) if one is not None]
                file.writelines(msgspec.json.encode(one) + b"\n" for one in found)
                _count(tally, found)
                progress(len(rows))
        return tally

    def _page(self, cursor: int) -> Operation[Sequence[ExportRow]]:
        rows = yield from exports.rows_after(cursor, self._selection, limit=_PAGE)
        yield from self.care.learn_rows(rows)
        return rows

    def _row(self, row: ExportRow) -> Cells | None:
        coarse = self.care.hides(row)
        fits = is_within(row, self._selection, coarse=coarse)
        if not fits or not self._asked.covers(row.category):
            return None
        shown = cells(row, self._pseudonyms, coarse=coarse)
        at = shown["measured_at"]
        standing = self._pseudonyms.standing(row)
        return with_instants(shown) | {
            "probe": self._pseudonyms.key(row.key_id, row.country, row.asn),
            "moment": at,
            "in_period": isinstance(at, float) and at >= self._asked.since,
            "votes": bool(row.voting and row.counted) and standing != "stranger",
        }


# What a row has beside the columns of an export, with DuckDB's types.
BESIDE = {"probe": "VARCHAR", "moment": "DOUBLE", "in_period": "BOOLEAN", "votes": "BOOLEAN"}
assert not BESIDE.keys() & COLUMNS.keys()  # noqa: S101 - a column more would be another one


def _count(tally: RowTally, rows: Sequence[Cells]) -> None:
    tally.rows += len(rows)
    tally.lab += sum(one["lab"] is True for one in rows)
    tally.rulesets |= {str(one["ruleset"]) for one in rows if one["ruleset"]}
    tally.versions |= {str(one["version"]) for one in rows if one["version"]}


async def report_rows(store: Store, asked: ReportAsked) -> ReportRows:
    """What reads the rows: who is trusted is decided as of the end of the report's time."""
    secret = await store.write(exports.release_secret(asked.name))
    standings = await store.read(conduct.read_standings(asked.until, lab=False), slow=True)
    return ReportRows(asked, secret, standings)
