"""How much faster more workers judge a lake again: processes, Spark's threads, two worker JVMs.

    python -m bench.lake_workers [--records 4000] [--ways "1;2;local[1];local[2]"]

The records are golden cases of the experiment `web`, the same on each of eight days, which are the
units of work. The seconds begin when all workers have loaded the program; `of the sum` is the rate
of a way, divided by its number of workers times the rate of its kind's single worker. The seconds
of the processor are those of the whole way with its start, which other work does not change much.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from msgspec.structs import replace

from collector import target_labels
from collector.lake import manifest as manifests, rejudging
from collector.lake.archives import LakeImport
from collector.lake.files import LakeFiles
from collector.record_row import BatchContext
from probe.interop.reading import Read
from probe.lab import cases
from probe.model import Outcome, Record, Verdict

ROOT = Path(__file__).parents[1]
DAYS = 8
STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAYS = ("1", "2", "local[1]", "local[2]", "local-cluster[2,1,1024]")
# Single worker of the same kind, and the number of workers.
_BASE = {"1": ("1", 1), "2": ("1", 2), "local[1]": ("local[1]", 1), "local[2]": ("local[1]", 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--ways", default=";".join(WAYS), help="Separated by semicolons.")
    parser.add_argument("--lake", help="Use, or make, the lake here.")
    parser.add_argument("--judge", metavar="WAY", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.judge:
        judge(given.lake, given.judge)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = given.lake or str(Path(folder) / "lake")
        if not LakeFiles(root).is_there(manifests.NAME):
            make(root, given.records)
        compare(root, given.ways.split(";"))


def make(root: str, number: int) -> None:
    """A lake of records, whose first verdicts do not matter."""
    labels, _ = target_labels.load(())
    context = BatchContext("0" * 32, "probe", lab=True, now=time.time(), votes=False)
    unsaid = Verdict(outcome=Outcome.INCONCLUSIVE)
    made = LakeImport(LakeFiles(root), "bench", context, labels=labels, judge=lambda _: unsaid)
    for record in cased_records(number):
        refused = made.add(Read("bench", record=record))
        assert not refused, refused
    made.finish()


def cased_records(number: int) -> Iterator[Record]:
    """So many records of golden cases on some days, each with an id of its own."""
    every = [cases.read(file).record for file in sorted((ROOT / "tests/cases/web").glob("*.json"))]
    for one, record in enumerate(islice(cycle(every), number)):
        at = STARTED + timedelta(days=one % DAYS, seconds=one)
        yield replace(record, id=f"00000000-0000-7000-8000-{one:012}", started_at=at.isoformat())


def compare(root: str, ways: list[str]) -> None:
    """Judge by each way and print the table."""
    print(
        f"{'way':26} {'records':>8} {'seconds':>8} {'a second':>9} {'cpu s':>8} {'of the sum':>10}",
        flush=True,
    )
    rates: dict[str, float] = {}
    for way in ways:
        words = [sys.executable, "-m", "bench.lake_workers", "--lake", root, "--judge", way]
        before = _children()
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        used = _children() - before
        records, seconds = done.stdout.split()[-2:]
        rates[way] = int(records) / float(seconds)
        base, workers = _BASE.get(way, ("local[1]", 2))
        share = f"{rates[way] / workers / rates[base]:10.2f}" if base in rates else ""
        print(
            f"{way:26} {records:>8} {seconds:>8} {rates[way]:9.0f} {used:8.1f} {share}", flush=True
        )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(root: str, way: str) -> None:
    """Judge by one way, and print the number of records and the seconds (in a child)."""
    found = rejudging.units(root, manifests.read(LakeFiles(root)))
    if way.isdecimal():
        began = time.monotonic()
        done = rejudging.run_local(found, int(way), lambda _: None)
    else:
        from collector.lake.spark import spark_session

        with spark_session(way) as session:
            waiting = session.sparkContext.parallelize(range(DAYS), DAYS)
            waiting.map(_load).collect()
            began = time.monotonic()
            done = rejudging.run_spark(found, way)
    print(sum(one.judged for one in done), f"{time.monotonic() - began:.2f}")


def _load(_: int) -> int:
    """Load what judging needs, as the first record would; wait until other workers do it too."""
    from probe.certificates.roots import Roots
    from probe.judge import RULESET

    Roots.mozilla()
    time.sleep(0.5)
    return len(RULESET)


if __name__ == "__main__":
    main()
