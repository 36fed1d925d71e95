"""What a page reads: statements, rows, and no table of records from its beginning to its end.

Counted, not timed; `python -m bench explorer` measures the times.
"""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from bench import explorer_store
from bench.explorer import quiet
from collector.result_cache import ResultCache
from collector.store import sqlite
from collector.store.interface import Query, QueryEach, Rows, Statement, statements
from tests.collector.harness import CollectorHarness, collector

ROWS = 20_000
# The most statements and rows of each page, whatever the number of records. Some 1,500 rows decide
# whose votes count: one by probe and day.
PAGES = {
    "/": (60, 2000),
    "/events": (20, 400),
    "/events?asn=3&state=confirmed": (20, 400),
    "/site/target7.example": (30, 2500),
    "/network/3": (60, 3000),
    "/category/NEWS": (10, 400),
    "/e/00000301": (30, 2600),
    "/e/00000301/looks.csv": (20, 2600),
    "/w/aa": (30, 2800),
    "/interceptions": (70, 2800),
    "/outages": (90, 8000),
    "/feed.atom": (20, 2600),
}
# The names that statements give to tables that grow with the records.
_GROWING = frozenset({"measurement", "m", "vote", "v", "daily", "d", "newest", "n", "hourly", "h"})
_GROWING_LINES = frozenset({"series", "s", "beat", "b"})
_SCAN = re.compile(r"SCAN (\w+)")


class Asked(NamedTuple):
    """One statement that was run: its name, some parameters, and the number of its rows."""

    name: str
    params: dict[str, object]
    rows: int


@contextmanager
def watched() -> Iterator[list[Asked]]:
    """Every statement that is run meanwhile."""
    found: list[Asked] = []
    execute = sqlite._execute

    def note(connection: sqlite3.Connection, statement: Statement) -> Rows:
        rows = execute(connection, statement)
        if isinstance(statement, Query):
            found.append(Asked(statement.name, dict(statement.params), len(rows)))
        elif isinstance(statement, QueryEach) and statement.many:
            number = sum(map(len, rows))
            found.append(Asked(statement.name, dict(statement.many[0]), number))
        return rows

    with patch.object(sqlite, "_execute", note):
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("large")
    explorer_store.make(made, ROWS)
    return made


def test_a_page_reads_a_bounded_part_of_the_store(folder: Path) -> None:
    async def scenario() -> dict[str, list[Asked]]:
        async with collector(folder, public_min_probes=3) as harness:
            await harness.service.events.keep()
            await harness.service.snapshots.snapshot()
            return {path: await _asked(harness, path) for path in PAGES}

    with quiet():
        found = asyncio.run(scenario())
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        scans = {
            f"{one.name}: {table}"
            for of in found.values()
            for one in of
            for table in _scanned(connection, one)
        }
    assert scans == set()
    counts = {path: (len(of), sum(one.rows for one in of)) for path, of in found.items()}
    over = {
        path: count
        for path, count in counts.items()
        if count[0] > PAGES[path][0] or count[1] > PAGES[path][1]
    }
    assert over == {}


async def _asked(harness: CollectorHarness, path: str) -> list[Asked]:
    harness.service.results = ResultCache()
    with watched() as found:
        reply = await harness.ask("GET", path)
    assert reply.status == 200, (path, reply.body[:200])
    # What the collector asks for itself beside the page.
    return [one for one in found if one.name not in {"backlog", "newest_seq"}]


def _scanned(connection: sqlite3.Connection, asked: Asked) -> list[str]:
    """The growing tables that a statement reads from the beginning to the end."""
    text = f"EXPLAIN QUERY PLAN {statements()[asked.name]}"
    plan = [row[3] for row in connection.execute(text, asked.params)]
    named = [found[1] for step in plan if (found := _SCAN.match(step))]
    return [name for name in named if name in _GROWING | _GROWING_LINES]
