"""A lake of many measurements: how fast it is written, how large it is, how fast it is asked.

The measurements are generated column by column: four years of 60 probes on 7 networks at 800 sites,
with random ids, as a collector has them. Then every named question is asked of all of it by DuckDB
with two threads, in a process of its own whose peak memory is told.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from collector.lake import engines, manifest as manifests, questions, writing
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin
from collector.lake.parts import Partition, write_part
from collector.lake.schema import schema
from collector.store import open_store

START = datetime(2022, 1, 1, tzinfo=UTC).timestamp()
DAY, SITES, PROBES, NETWORKS = 86_400, 800, 60, 7
FLAGS = ("voting", "excluded", "lab", "coarse", "imported")
_HEX = np.array(list("0123456789abcdef"))


def generate(files: LakeFiles, rows: int, days: int) -> None:
    """Write the table of measurements, a file a day."""
    dice, parts = np.random.default_rng(7), []
    for day in range(days):
        count = rows * (day + 1) // days - rows * day // days
        table = _day(dice, count, START + day * DAY)
        where = Partition(datetime.fromtimestamp(START + day * DAY, UTC).date().isoformat(), "KZ")
        for name, made in (("measurements", table), ("votes", _votes(table))):
            parts.append(write_part(files, name, where, made, origin="bench", name="bench-0-0"))
    known = manifests.read(files, create=True)
    manifests.write(files, known.changed(more=parts, origins={"bench": LakeOrigin()}))


def _day(dice: np.random.Generator, count: int, since: float) -> pa.Table:
    """The measurements of one day, in the order of their times."""
    wanted = schema("measurements")
    columns = _columns(dice, count, since)
    arrays = [_array(field, columns.get(field.name), count) for field in wanted]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _columns(dice: np.random.Generator, count: int, since: float) -> dict[str, Any]:
    probe, site = dice.integers(0, PROBES, count), dice.integers(0, SITES, count)
    times = ((since + np.sort(dice.random(count)) * DAY) * 1000).astype("int64")
    prefix = np.char.mod("%012x", times)
    keys = np.array([f"{number:020x}" for number in dice.integers(0, 2**60, PROBES)])
    stamps = pa.array(times, pa.timestamp("ms", tz="UTC"))
    return {
        "id": _ids(dice, prefix),
        "run": [f"{p[:8]}-0000-7000-8000-{n:012}" for p, n in zip(prefix, probe, strict=True)],
        "key": keys[probe],
        "origin": keys[probe],
        "standing": ["earned"] * count,
        "role": ["probe"] * count,
        "input": [f"https://site{n}.example/" for n in site],
        "target": [f"site{n}.example" for n in site],
        "category": np.array(["NEWS", "HUMR", "ANON", "GRP"])[site % 4],
        "measured_at": stamps,
        "started_at": stamps,
        "received_at": stamps,
        "asn": 9000 + probe % NETWORKS,
        "region": ["KZ-75"] * count,
        "network": ["A network"] * count,
        "claimed_country": ["KZ"] * count,
        "claimed_asn": 9000 + probe % NETWORKS,
        "version": ["0.1.0"] * count,
        **_verdicts(dice, count),
        **_speeds(dice, site),
        **{name: [name == "voting"] * count for name in FLAGS},
    }


def _ids(dice: np.random.Generator, prefix: Any) -> list[str]:
    """Record ids: the time, then random digits."""
    digits = _HEX[dice.integers(0, 16, (len(prefix), 20))].view("<U20").ravel()
    return [
        f"{p[:8]}-{p[8:]}-7{r[:3]}-8{r[3:6]}-{r[6:18]}" for p, r in zip(prefix, digits, strict=True)
    ]


def _verdicts(dice: np.random.Generator, count: int) -> dict[str, Any]:
    outcome = np.array(["ok", "blocked", "inconclusive", "throttled"])[
        dice.choice(4, count, p=[0.85, 0.09, 0.05, 0.01])
    ]
    words = {"blocked": "tls.timeout", "throttled": "throttle.policed"}
    return {
        "outcome": outcome,
        "mechanisms": [words.get(one, "") for one in outcome],
        "stage": ["confirmed"] * count,
        "confidence": np.round(0.7 + 0.3 * dice.random(count), 2),
        "rule": np.where(outcome == "ok", "web.ok", "tls.silence"),
        "ruleset": ["1"] * count,
        "claim": outcome,
    }


def _speeds(dice: np.random.Generator, site: Any) -> dict[str, Any]:
    """Some sites are measured by `throttle`, which has rates."""
    rates = np.where(site < 20, dice.random(len(site)) * 1e6, np.nan)
    return {
        "experiment": np.where(site < 20, "throttle", "web"),
        "rate_target": rates,
        "rate_reference": rates * 2,
        "line_round_trip": np.round(dice.random(len(site)) * 0.2, 3),
    }


def _array(field: pa.Field, values: Any, count: int) -> pa.Array:
    """A column; without values the empty text, or null."""
    if values is None:
        values = [""] * count if field.type == pa.string() else [None] * count
    return pa.array(values, field.type, from_pandas=True)


def _votes(table: pa.Table) -> pa.Table:
    return table.select(schema("votes").names).filter(pa.compute.field("outcome") != "inconclusive")


def ask(root: str, name: str) -> None:
    """Answer one question twice and print the seconds and the peak of memory (in a child)."""
    with engines.engine("duckdb", LakeFiles(root)) as opened:
        asked = questions.find(name)
        took = []
        for _ in range(2):
            began = time.monotonic()
            rows = opened.ask(asked, questions.filled(asked, {})).num_rows
            took.append(time.monotonic() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"rows": rows, "first": took[0], "again": took[1], "peak": peak}))


def written(store: str, folder: Path) -> None:
    """Write a lake of a store, and print its rows a second."""

    async def work() -> None:
        opened = await open_store(store)
        began, used = time.monotonic(), time.process_time()
        done = await writing.write(opened, LakeFiles(str(folder)), now=time.time() + 300)
        took, used = time.monotonic() - began, time.process_time() - used
        await opened.close()
        print(
            f"written: {done.records} records, {done.rows} rows in {took:.1f} s "
            f"({used:.1f} s of processor): {done.rows / took:.0f} rows/s"
        )

    asyncio.run(work())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--lake", help="Use, or make, the lake here.")
    parser.add_argument("--store", help="Also write a lake of this store.")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        ask(given.lake, given.ask)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = given.lake or str(Path(folder) / "lake")
        files = LakeFiles(root)
        if not files.is_there(manifests.NAME):
            generate(files, given.rows, given.days)
        parts = manifests.read(files).of("measurements")
        size, rows = sum(one.size for one in parts), sum(one.rows for one in parts)
        print(f"{rows} measurements in {len(parts)} files: {size / rows:.1f} bytes a row")
        print(f"{'question':16} {'rows':>8} {'first s':>8} {'again s':>8} {'peak MB':>8}")
        for name in questions.questions():
            words = [sys.executable, "-m", "bench.lake", "--lake", root, "--ask", name]
            found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            print(
                f"{name:16} {found['rows']:8} {found['first']:8.2f} {found['again']:8.2f} "
                f"{found['peak']:8}"
            )
        if given.store:
            written(given.store, Path(folder) / "written")


if __name__ == "__main__":
    main()
