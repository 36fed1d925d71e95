"""The coarse rows of an export: kept aside on disk, and given in an order that tells nothing."""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from collector.admin.export_columns import Cell

Cells = dict[str, Cell]
_row = msgspec.json.Decoder(Cells)


class CoarseRows:
    """Rows that may be shown to the hour only."""

    def __init__(self) -> None:
        # A database without a name is a temporary file that is gone when it is closed.
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("CREATE TABLE coarse (hour REAL, row BLOB)")
        self._rows.execute("BEGIN")

    def add(self, rows: Iterable[Cells]) -> None:
        """Keep some rows."""
        made = ((row["measured_at"], msgspec.json.encode(row)) for row in rows)
        self._rows.executemany("INSERT INTO coarse VALUES (?, ?)", made)

    def pages(self, limit: int) -> Iterator[list[Cells]]:
        """All rows by their hour, those of an hour in a random order."""
        found = self._rows.execute("SELECT row FROM coarse ORDER BY hour, random()")
        while page := found.fetchmany(limit):
            yield [_row.decode(made) for (made,) in page]

    def close(self) -> None:
        """Delete them."""
        self._rows.close()
