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
    "/e/00000301",
    "/e/00000301/looks.csv",
    "/e/00000400?lang=ru",
    "/w/aa",
    "/interceptions",
    "/outages",
    "/outages?asn=3&lang=kk",
    "/feed.atom",
    "/feed.atom?site=target7.example",
)
_RATES = """
INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome, mechanisms,
  rate_target, rate_reference)
SELECT key_id, id, 'throttle', target, at, country, asn, 'ok', '',
  100000 + CAST(SUBSTR(id, 3) AS INTEGER) % 99999,
  250000
FROM measurement WHERE CAST(SUBSTR(id, 3) AS INTEGER) % 40 = 0 OR target = 'target7.example'
"""
# Some events are cuts, some are a wave, one name in twenty of a site is intercepted.
_EVIDENCE = """
UPDATE event SET wave = 'aa' WHERE id LIKE '000003%';
UPDATE event SET kind = 'shutdown', target = '', ended_after = began_by + 9000,
  ended_by = began_by + 9600, state = 'ended' WHERE id LIKE '%00';
INSERT INTO event_revision SELECT id, 1, began_by, 'opened as confirmed' FROM event;
INSERT INTO event_revision SELECT id, 2, began_by + 9, 'also by tls.reset' FROM event;
UPDATE event SET revision = 2, confirmed_at = began_by;
UPDATE event SET wave = '' WHERE target = '';
INSERT INTO beat SELECT p.key_id, h.hour, p.country, p.asn, 4095, 15, 0
  FROM probe p, (SELECT DISTINCT hour FROM hourly) h;
UPDATE measurement SET outcome = 'intercepted', mechanisms = 'tls.mitm'
  WHERE CAST(SUBSTR(id, 3) AS INTEGER) % 500 = 0;
INSERT INTO forged SELECT seq, target, 'leaf' || target, 0, 'leaf' || target
  FROM measurement WHERE outcome = 'intercepted';
INSERT INTO forged SELECT seq, target, 'leaf' || target, 1, 'signer' || asn
  FROM measurement WHERE outcome = 'intercepted';
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
        connection.executescript(_EVIDENCE)
    sites = "".join(f"https://target{n}.example/,NEWS\n" for n in range(large_store.TARGETS))
    (folder / "targets.csv").write_text(f"url,category_code\n{sites}")


async def measure(folder: Path, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each page: by the clock, and of the processor, which other work changes less."""
    found: dict[str, list[tuple[float, float]]] = {path: [] for path in PAGES}
    async with collector(folder, public_min_probes=3) as harness:
        # The first one takes as long as a start of the collector does.
        await harness.service.snapshots.snapshot()
        writing = asyncio.create_task(_write(harness))
        for _ in range(turns):
            for path in PAGES:
                began, worked = time.perf_counter(), time.process_time()
                reply = await harness.ask("GET", path)
                took = time.perf_counter() - began, time.process_time() - worked
                found[path].append(took)
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
    print(f"{'page':34} {'median':>8} {'p95':>8} {'worst':>8}  ms; of the processor: median, p95")
    for path, seconds in found.items():
        wall, worked = ([one[which] * 1000 for one in seconds] for which in (0, 1))
        print(
            f"{path:34} {statistics.median(wall):8.1f} {_p95(wall):8.1f} {max(wall):8.1f}"
            f" {statistics.median(worked):8.1f} {_p95(worked):8.1f}"
        )


def _p95(values: list[float]) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]


if __name__ == "__main__":
    main()
