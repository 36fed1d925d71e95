"""How long `qazcollector report` takes over a million records, and its memory: `bench.report`.

The store is the explorer's: 60 probes on 7 networks, 800 sites, 23 days. Printed are seconds by the
clock and of the processor, and the most memory that the command held.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import explorer_store

ROWS, DAYS = 1_000_000, 15
_COMMAND = (sys.executable, "-c", "from collector.cli import main; main()", "report")


def measure(folder: Path, days: int) -> tuple[float, float, float]:
    """Seconds by the clock and of the processor, and megabytes."""
    until = datetime.now(UTC).date()
    words = ["--store", f"sqlite:///{folder.absolute() / 'store.sqlite3'}", "--country", "KZ"]
    words += ["--since", str(until - timedelta(days=days)), "--until", str(until)]
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        subprocess.run([*_COMMAND, *words, "-o", f"{scratch}/report"], check=True)
        took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--days", type=int, default=DAYS, help="of the report, up to today")
    parser.add_argument("--folder", type=Path, help="keep the store here, or use the one there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "store.sqlite3").exists():
            explorer_store.make(folder, chosen.rows)
        took, worked, megabytes = measure(folder, chosen.days)
    print(f"{took:.0f} s, {worked:.0f} s of the processor, at most {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
