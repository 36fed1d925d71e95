"""Capture golden cases of the throughput experiments from the small network, with verdicts.

Usage: python -m bench.throttle_cases FOLDER
"""

import asyncio
import sys
import zlib
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from bench.throttle_net import THROTTLED_NAME, BulkServer, Line, Net, rerun_inside
from bench.throttle_runs import BenchNet
from probe import codec
from probe.api_types import BulkReply
from probe.experiments import speed, throttle
from probe.experiments.interface import Experiment, Net as NetPort, Task
from probe.judge import judge
from probe.model import Record, Steps, Transfer, Vantage

ADDRESS = "192.0.2.7"


def capture(
    folder: Path, name: str, experiment: Experiment, bulk_server: BulkServer, tier: str
) -> None:
    """Run an experiment, judge it, and write the record with a documentation address."""
    bulk = BulkReply(
        address=bulk_server.address, port=bulk_server.port, spki_sha256=bulk_server.pin
    )
    options = {"bulk": (bulk,), "tier": tier, "own_address": False}
    task = Task(url=f"https://{THROTTLED_NAME}/", seed=5, options=options)

    async def measured() -> Steps:
        return await experiment.measure(task, cast("NetPort", BenchNet()))

    steps = asyncio.run(measured())
    moved = [replace(s, address=ADDRESS) for s in steps if isinstance(s, Transfer)]
    record = Record(
        id=f"019a0000-0000-7000-8000-{zlib.crc32(name.encode()):012d}",
        run="019a0000-0000-7000-8000-000000000000",
        experiment=experiment.name,
        input=task.url,
        lab=True,
        started_at="2026-11-22T00:00:00.000Z",
        elapsed=round(sum(s.elapsed for s in moved), 3),
        vantage=Vantage(country="KZ"),
        steps=tuple(moved),
    )
    verdict = judge(record)
    print(f"{experiment.name}/{name}: {verdict.outcome} {verdict.mechanisms}")
    path = folder / experiment.name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(codec.encode(replace(record, verdict=verdict)) + b"\n")


def main() -> None:
    rerun_inside()
    folder = Path(sys.argv[1])
    with Net() as net:
        net.line(Line(0.02))
        bulk_server = net.serve()
        net.shape(20e6, burst=25_000, latency_ms=100)
        capture(folder, "open", throttle.EXPERIMENT, bulk_server, "metered")
        capture(folder, "line", speed.EXPERIMENT, bulk_server, "normal")
        net.police_name(16)
        capture(folder, "policed", throttle.EXPERIMENT, bulk_server, "metered")
        net.clear()
        net.shape(20e6, burst=25_000, latency_ms=100)
        net.freeze_name(16_384)
        capture(folder, "frozen", throttle.EXPERIMENT, bulk_server, "normal")
        net.clear()
        net.shape(0.2e6, burst=4000, latency_ms=400)
        capture(folder, "slow_plan", throttle.EXPERIMENT, bulk_server, "metered")


if __name__ == "__main__":
    main()
