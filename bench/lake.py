"""A lake of many measurements: how fast it is written, how large it is, how fast it is asked.

    python -m bench.lake --rows 10000000 --days 1461 --lake FOLDER
    python -m bench.lake --write 20000

The measurements are generated (`bench.lake_world`). Then every named question is asked of all of
them by DuckDB, in a process of its own on two processors, whose peak memory is told; the seconds
are those from opening the lake to the last row.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.lake_workers import cased_records
from bench.lake_world import LakeWorld
from collector import target_labels
from collector.lake import engines, manifest as manifests, questions, writing
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin
from collector.lake.parts import write_part
from collector.record_row import BatchContext, make_row
from collector.store import measurements, open_store
from collector.store.measurements import MeasurementRow
from probe.model import Outcome, Verdict

SITES = 172  # of the bundled lists of Kazakhstan and of all countries


def generate(files: LakeFiles, rows: int, days: int, sites: int = SITES) -> None:
    """Write the lake of a world, a file of each table a day."""
    parts = [
        write_part(files, table, day.where, made, origin="bench", name="bench-0-0")
        for day in LakeWorld(rows, days, sites).days()
        for table, made in day.tables.items()
    ]
    known = manifests.read(files, create=True)
    manifests.write(files, known.changed(more=parts, origins={"bench": LakeOrigin()}))


def ask(root: str, name: str) -> None:
    """Answer one question twice and print what it took (in a child)."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    asked = questions.find(name)
    for _ in range(2):
        began, used, rows = time.monotonic(), time.process_time(), 0
        with engines.engine("duckdb", LakeFiles(root)) as opened:
            for batch in opened.answer(asked, questions.filled(asked, {})):
                rows += batch.num_rows
        took, used = time.monotonic() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:16} {rows:8} {took:8.2f} {used:8.2f} {peak:8}")


def written(records: int, folder: Path) -> None:
    """Write a lake of a store in SQLite with evidence, and print its rows a second."""
    url = f"sqlite:///{folder}/store.sqlite3"

    async def work() -> None:
        opened = await open_store(url)
        for rows in _batches(records):
            await opened.write(measurements.ingest(rows))
        began, used = time.monotonic(), time.process_time()
        done = await writing.write(opened, LakeFiles(f"{folder}/lake"), now=time.time() + 300)
        took, used = time.monotonic() - began, time.process_time() - used
        await opened.close()
        print(
            f"lake write: {done.records} records, {done.rows} rows of all tables in {took:.1f} s "
            f"({used:.1f} s of processor): {done.rows / took:.0f} rows a second, "
            f"{done.rows / used:.0f} a second of processor"
        )

    asyncio.run(work())


def _batches(records: int) -> Iterator[list[MeasurementRow]]:
    """Rows of golden cases, as they arrive."""
    labels, _ = target_labels.load(())
    context = BatchContext("0" * 32, "probe", lab=True, now=time.time())
    verdict = Verdict(outcome=Outcome.OK)
    sent = cased_records(records)
    while some := list(islice(sent, 500)):
        yield [make_row(one, context, labels=labels, judge=lambda _: verdict) for one in some]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--sites", type=int, default=SITES, help="[as many as are listed]")
    parser.add_argument("--lake", help="Use, or make, the lake here.")
    parser.add_argument("--write", type=int, help="Only write a lake of so many records.")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        ask(given.lake, given.ask)
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.write:
            written(given.write, Path(folder))
            return
        root = given.lake or str(Path(folder) / "lake")
        files = LakeFiles(root)
        if not files.is_there(manifests.NAME):
            generate(files, given.rows, given.days, given.sites)
        parts = manifests.read(files).of("measurements")
        size, rows = sum(one.size for one in parts), sum(one.rows for one in parts)
        print(f"{rows} measurements in {len(parts)} files: {size / rows:.1f} bytes a row")
        print(f"{'question':16} {'rows':>8} {'seconds':>8} {'cpu s':>8} {'peak MB':>8}", flush=True)
        for name in questions.questions():
            words = [sys.executable, "-m", "bench.lake", "--lake", root, "--ask", name]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
