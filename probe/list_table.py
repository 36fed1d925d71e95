"""Target lists with every column, for the commands that write lists.

Rule: what a list says about a target stays as it is: the columns of Citizen Lab, columns that
nothing here knows, and every text in them. Only rows that cannot be measured are left out, each
with its reason. Of rows about the same address the first stays, and the others fill its empty
cells.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from probe import targets
from probe.target_rows import COLUMNS, TargetProblem, TargetRow
from probe.urls import TargetError, parse_target

_SYNONYMS = {"category": "category_code", "note": "notes"}


class ListTable(Struct, frozen=True):
    """A list with its columns.

    Attributes:
        columns: Those of Citizen Lab in their order, then others as they were met.
        rows: The cells by column; what is missing is empty.
    """

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]

    @property
    def categorised(self) -> Iterator[tuple[str, str]]:
        """The address and category of every row."""
        return ((row["url"].strip(), row.get("category_code", "").strip()) for row in self.rows)

    def only(self, columns: Sequence[str]) -> "ListTable":
        """The list with these columns, in this order."""
        rows = ({name: row[name] for name in columns if name in row} for row in self.rows)
        return ListTable(tuple(columns), tuple(rows))

    def as_csv(self) -> str:
        """The list as CSV with a header, as Citizen Lab writes it."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([row.get(name, "") for name in self.columns] for row in self.rows)
        return out.getvalue()


def read(
    data: bytes, source: str, *, lab: bool = False
) -> tuple[ListTable, Sequence[TargetProblem]]:
    """Read a list in any of the formats, and say why rows are left out.

    Raises:
        TargetError: It is no text.
    """
    problems: list[TargetProblem] = []
    return _table(_valid(targets.rows_of(data, source), source, problems, lab=lab)), problems


def merged(tables: Iterable[ListTable]) -> ListTable:
    """One list of several."""
    return _table((parse_target(row["url"], lab=True), row) for one in tables for row in one.rows)


def _valid(
    found: Iterable[TargetRow | TargetProblem],
    source: str,
    problems: list[TargetProblem],
    *,
    lab: bool,
) -> Iterator[tuple[str, dict[str, str]]]:
    for row in found:
        if isinstance(row, TargetProblem):
            problems.append(row)
            continue
        try:
            url = parse_target(row.url, lab=lab)
        except TargetError as error:
            problems.append(TargetProblem(source, row.line, str(error)))
        else:
            yield url, {_column(name): text for name, text in row.cells}


def _column(name: str) -> str:
    """The name of a column: Citizen Lab's in its spelling, others as they are written."""
    small = _SYNONYMS.get(name.lower(), name.lower())
    return small if small in COLUMNS else name


def _table(found: Iterable[tuple[str, dict[str, str]]]) -> ListTable:
    rows: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = dict.fromkeys(COLUMNS)
    for url, cells in found:
        columns |= dict.fromkeys(cells)
        known = rows.setdefault(url, {})
        known |= {name: text for name, text in cells.items() if not known.get(name)}
    return ListTable(tuple(columns), tuple(rows.values()))
