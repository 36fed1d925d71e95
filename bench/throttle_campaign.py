"""Measure all rows of the throttling table, many lines in parallel, into a file.

Usage: python -m bench.throttle_campaign FILE [--lanes N] [--kind KIND]… [--quick]

Each line is a network of its own and mostly waits, so a dozen need about one core. Cells that can
fill a core (limits of 10 Mbit/s and more) run last, one at a time. The file has one row per run;
after an interruption only missing rows are measured.
"""

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from bench.throttle_net import ROOT, unavailable_reason
from bench.throttle_rows import QUICK, WHOLE, Cell, missing, read

# Runs per network before it is rebuilt: about half a minute, so an interruption loses little.
BLOCK = {"null": 20, "slowed": 4, "late": 3, "freeze": 5, "plateau": 5, "fast": 10}


@dataclass(frozen=True)
class Block:
    """Some runs of a cell."""

    cell: Cell
    seeds: tuple[int, ...]


@dataclass
class RowFile:
    """The file, written by several threads, one line at a time."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: int = 0

    def write(self, line: str) -> None:
        with self.lock, self.path.open("a", encoding="utf-8") as row_file:
            row_file.write(line)

    def fail(self, block: Block, why: str) -> None:
        with self.lock:
            self.failed += 1
            print(f"{block.cell}: {why.strip()[-300:]}", file=sys.stderr, flush=True)


def blocks(cells: Iterable[Cell], path: Path) -> list[Block]:
    """The missing blocks, interleaved by cell, so that an interrupted campaign covers all cells."""
    rows = read(path)
    return [
        one
        for group in zip_longest(*(_cut(c, missing(c, rows)) for c in cells))
        for one in group
        if one
    ]


def _cut(cell: Cell, seeds: list[int]) -> Iterator[Block]:
    step = BLOCK[cell.kind]
    for start in range(0, len(seeds), step):
        yield Block(cell, tuple(seeds[start : start + step]))


def make(block: Block, row_file: RowFile) -> None:
    """Run a block in a process of its own, and write each row as it arrives."""
    cell = block.cell
    seeds = ",".join(map(str, block.seeds))
    words = [cell.kind, cell.line, cell.tier, str(cell.limit), seeds]
    command = [sys.executable, "-m", "bench.throttle_block", *words]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            row_file.write(line)
        why = process.stderr.read()
    if process.returncode:
        row_file.fail(block, why)


def campaign(path: Path, cells: Iterable[Cell], lanes: int) -> int:
    """Measure the missing blocks; return the number that failed."""
    row_file = RowFile(path)
    left = blocks(cells, path)
    for alone in (False, True):
        options = [block for block in left if block.cell.alone is alone]
        print(f"{len(options)} blocks {'one at a time' if alone else 'in parallel'}", flush=True)
        with ThreadPoolExecutor(1 if alone else lanes) as pool:
            list(pool.map(lambda block: make(block, row_file), options))
    return row_file.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("throttle.jsonl"))
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--kind", action="append", choices=sorted(BLOCK))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    reason = unavailable_reason()
    if reason:
        raise SystemExit(f"no namespaces here: {reason}")
    cells = [c for c in (QUICK if options.quick else WHOLE) if c.kind in (options.kind or BLOCK)]
    if campaign(options.file, cells, options.lanes):
        raise SystemExit("some blocks failed; run again to repeat them")


if __name__ == "__main__":
    main()
