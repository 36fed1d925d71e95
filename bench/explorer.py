"""How long the explorer's pages take with a million measurements: `python -m bench explorer`.

The store has 60 probes on 7 networks, 800 sites, 30 days, 5,000 events, and rates. Meanwhile a
record is written again and again, so that nothing comes from a cache that a quiet store would fill.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.collector import large_store
from tests.collector.harness import CollectorHarness, collector, record

ROWS, EVENTS, TURNS = 1_000_000, 5_000, 40
PAGES = (
    "/",
    "/?lang=kk",
    "/events",
    "/events?state=confirmed&asn=3",
    "/site/target7.example",
    "/site/target301.example?lang=ru",
    "/network/3",
    "/network/5?lang=kk",
    "/category/NEWS",
)
_RATES = """
INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome, mechanisms,
  rate_target, rate_reference)
SELECT key_id, id, 'throttle', target, at, country, asn, 'ok', '', 100000 + seq % 99999, 250000
FROM measurement WHERE seq % 20 = 0 OR target = 'target7.example'
"""
_COUNTED = "INSERT INTO total SELECT 'web', 'ok', 'KZ', 1, COUNT(*) FROM measurement"


def make(folder: Path, rows: int) -> None:
    """Make the store, and the list of its sites."""
    file = folder / "store.sqlite3"
    large_store.make(file, rows=rows, events=EVENTS)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_RATES)
        connection.execute(_COUNTED)
        connection.execute("UPDATE probe SET way = 'invite'")
    sites = "".join(f"https://target{n}.example/,NEWS\n" for n in range(large_store.TARGETS))
    (folder / "targets.csv").write_text(f"url,category_code\n{sites}")


async def measure(folder: Path, turns: int) -> dict[str, list[float]]:
    """The seconds that each page took."""
    found: dict[str, list[float]] = {path: [] for path in PAGES}
    async with collector(folder, public_min_probes=3) as harness:
        # The first one takes as long as a start of the collector does.
        await harness.service.snapshots.snapshot()
        writing = asyncio.create_task(_write(harness))
        for _ in range(turns):
            for path in PAGES:
                began = time.perf_counter()
                reply = await harness.ask("GET", path)
                found[path].append(time.perf_counter() - began)
                assert reply.status == 200, (path, reply.body[:200])
        writing.cancel()
    return found


async def _write(harness: CollectorHarness) -> None:
    probe = await harness.probe()
    while True:
        await probe.upload(record("https://target9.example/"))
        await asyncio.sleep(0.5)


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--folder", type=Path, help="keep the store here, or use the one there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "store.sqlite3").exists():
            make(folder, asked.rows)
        found = asyncio.run(measure(folder, asked.turns))
    print(f"{'page':34} {'median':>8} {'p95':>8} {'worst':>8}  ms")
    for path, seconds in found.items():
        ranked = sorted(one * 1000 for one in seconds)
        p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
        print(f"{path:34} {statistics.median(ranked):8.1f} {p95:8.1f} {ranked[-1]:8.1f}")


if __name__ == "__main__":
    main()
