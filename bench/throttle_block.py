"""Run one block of a cell of the throttling campaign, in a network of its own.

Usage: python -m bench.throttle_block KIND LINE TIER LIMIT SEED,SEED… (prints one row per line)
"""

import signal
import sys
from collections.abc import Iterator
from typing import cast

import msgspec

from bench.throttle_net import Line, Net, rerun_inside
from bench.throttle_plateau import Limited, expected, limit, run
from bench.throttle_rows import Key, Kind, Row
from bench.throttle_runs import CONDITIONS, Outcome, freezes, late_runs, runs
from probe.model import Transfer


def pairs(net: Net, key: Key, seeds: list[int]) -> Iterator[Row]:
    """Whole runs of the experiment: throttled, frozen or neither."""
    kind, line, tier, bits = key
    condition = next(c for c in CONDITIONS if c.name == line)
    if kind == "late":
        found = late_runs(net, condition, tier, bits, seeds)
    elif kind == "freeze":
        found = freezes(net, condition, int(bits), seeds)
    else:
        found = runs(net, condition, tier, bits, seeds)
    for seed, one in zip(seeds, found, strict=True):
        yield row(key, seed, one)


def row(key: Key, seed: int, one: Outcome) -> Row:
    kind, line, tier, bits = key
    return Row(
        kind=kind,
        line=line,
        tier=tier,
        limit=bits,
        seed=seed,
        state=one.state.value,
        transfers=one.transfers,
        size=one.size,
        ratio=one.ratio and round(one.ratio, 4),
        control=one.control and round(one.control),
        mechanism=one.mechanism,
        stalled_at=one.stalled_at,
        truth=one.truth,
    )


def plateaus(net: Net, key: Key, seeds: list[int]) -> Iterator[Row]:
    """Transfers through one limiter, for five seconds each."""
    _, line, _, bits = key
    limiter, congestion, delay = line.split("/")
    cell = Limited(limiter, bits, float(delay), congestion)
    net.line(Line(delay=cell.delay / 2))
    bulk_server = net.serve(congestion)
    limit(net, cell)
    for seed in seeds:
        yield measured(key, seed, run(bulk_server, 5.0), expected(cell))


def fast(net: Net, key: Key, seeds: list[int]) -> Iterator[Row]:
    """At 500 Mbit/s, without the delay line, which is written in Python."""
    net.direct()
    bulk_server = net.serve()
    net.shape(key[3], burst=int(key[3] / 8 * 0.01), latency_ms=50)
    cell = Limited("tbf", key[3], 0.0, "cubic")
    for seed in seeds:
        yield measured(key, seed, run(bulk_server, 5.0), expected(cell))


def measured(key: Key, seed: int, step: Transfer, truth: float) -> Row:
    return Row(
        kind=key[0],
        line=key[1],
        limit=key[3],
        seed=seed,
        state=step.ended,
        error=round(abs((step.rate or 0.0) / truth - 1) * 100, 3),
        cores=round((step.cpu_seconds or 0.0) / step.elapsed, 3),
    )


def main() -> None:
    rerun_inside()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the network is removed
    kind, line, tier, bits, seeds = sys.argv[1:6]
    make = {"plateau": plateaus, "fast": fast}.get(kind, pairs)
    key = (cast("Kind", kind), line, tier, float(bits))
    with Net() as net:
        for made in make(net, key, [int(seed) for seed in seeds.split(",")]):
            print(msgspec.json.encode(made).decode(), flush=True)


if __name__ == "__main__":
    main()
