"""The table "Numbers to reach" for throttling, speed and outages, with what was measured beside it.

Everything is measured on this machine: limiters and lines in namespaces of this process, statistics
and outages by seeded simulation. The whole table takes about half an hour; `--quick` a minute.

Usage: python -m bench.throttle_table [--quick]
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bench import outage_alarm, throttle_plateau, throttle_runs, throttle_simulated
from bench.throttle_net import Net, rerun_inside, why_not
from bench.throttle_runs import CONDITIONS, Outcome
from probe.net.transfer import transfer
from probe.pairs import State

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rates: tuple[float, ...]
    null_runs: int
    slowed_runs: int
    simulated: int
    networks: int
    quick: bool


WHOLE = Effort(throttle_plateau.RATES, 40, 4, 20_000, 10, quick=False)
QUICK = Effort(throttle_plateau.QUICK, 3, 1, 2_000, 1, quick=True)


def plateau_rows(net: Net, effort: Effort) -> Iterator[Row]:
    cells = throttle_plateau.cells(effort.rates, quick=effort.quick)
    found = throttle_plateau.errors(net, cells, 5.0, 1)
    for limiter, words, goal in (
        ("tbf", "plateau error, shaper, 5 s", "median <= 0.5 %, p90 <= 2 %"),
        ("police", "plateau error, policer, 5 s", "median <= 1 %, p90 <= 7 %"),
    ):
        middle, high = throttle_plateau.summary(found, limiter)
        yield words, goal, f"median {middle:.2f} %, p90 {high:.2f} %"


def fast_row(net: Net) -> Row:
    """A downloader at 500 Mbit/s, without a delay line in the way (it is written in Python)."""
    net.clear()
    net.direct()
    served = net.serve()
    net.shape(500e6, burst=625_000, latency_ms=50)
    cell = throttle_plateau.Cell("tbf", 500e6, 0.0, "cubic")
    step = asyncio.run(
        transfer(
            served.address,
            served.port,
            "any.test",
            1 << 32,
            path=f"/{1 << 32}",
            host="any.test",
            pin=served.pin,
            cap=5.0,
        )
    )
    error = abs((step.rate or 0.0) / throttle_plateau.expected(cell) - 1) * 100
    cores = (step.cpu_seconds or 0.0) / step.elapsed
    return "downloader at 500 Mbit/s", "<= 1 %", f"{error:.2f} % ({cores:.2f} of a core)"


def null_rows(net: Net, effort: Effort) -> Iterator[Row]:
    conditions = CONDITIONS[:1] if effort.quick else CONDITIONS
    found = throttle_runs.nulls(net, conditions, "metered", effort.null_runs)
    suspected = sum(o.state.accuses for o in found)
    strong = sum(o.state in {State.STRONG, State.EXTREME} for o in found)
    runs = len(found)
    yield (
        f"false suspected / strong, {runs} null runs on real TCP",
        "<= 0.3 % / <= 0.1 %",
        f"{suspected} / {strong}",
    )
    transfers = sum(o.transfers for o in found) / runs
    size = sum(o.size for o in found) / runs / 1000
    yield (
        "cost when nothing is throttled, 64 KiB",
        "<= 3, <= 180 kB",
        f"{transfers:.2f}, {size:.0f} kB",
    )


def simulated_rows(effort: Effort) -> Iterator[Row]:
    """The lines that MEASURING counts: lossy, congested and slow, and worse ones told apart."""
    for noise in throttle_simulated.KINDS:
        states, used = throttle_simulated.many(noise, 1.0, effort.simulated, 1)
        suspected, strong = throttle_simulated.rates(states)
        yield (
            f"the same, simulated, {noise.name}, {effort.simulated} runs",
            "<= 0.3 % / <= 0.1 %",
            f"{suspected * 100:.3f} % / {strong * 100:.3f} %, {used:.2f} transfers",
        )


def recall_rows(net: Net, effort: Effort) -> Iterator[Row]:
    conditions = CONDITIONS[:1] if effort.quick else CONDITIONS
    runs = effort.slowed_runs
    slow = [o for c in conditions for o in throttle_runs.slowed(net, c, "metered", 16, runs)]
    yield "recall at 131 kbit/s, 64 KiB", ">= 99 %", recalled(slow)
    if effort.quick:
        return
    middling = [o for c in CONDITIONS[:3] for o in throttle_runs.slowed(net, c, "normal", 64, runs)]
    yield "recall at 524 kbit/s, 256 KiB", ">= 95 %", recalled(middling)
    fast = throttle_runs.slowed(net, CONDITIONS[0], "deep", 128, runs)
    yield "recall at 1049 kbit/s, 1 MiB", ">= 95 %", recalled(fast)


def recalled(found: list[Outcome]) -> str:
    seen = sum(o.state.accuses for o in found)
    return f"{seen}/{len(found)}"


def freeze_row(net: Net, effort: Effort) -> Row:
    found = throttle_runs.freezes(net, CONDITIONS[0], 16_384, effort.slowed_runs)
    states = Counter(o.state.value for o in found)
    worst = max((abs(o.truth - s) for o in found for s in o.stalled_at), default=-1)
    return (
        "a 16 KB freeze",
        "always; to one segment",
        f"{states[State.FREEZE]}/{len(found)}; off by {worst} bytes at most",
    )


def outage_rows(effort: Effort) -> Iterator[Row]:
    fleets = (outage_alarm.Fleet(3, 2),) if effort.quick else outage_alarm.FLEETS
    for fleet in fleets:
        found = outage_alarm.measured(fleet, 30, effort.networks, 1)
        yield (
            f"outage alarm, {fleet}",
            "<= 0.2 false/month, <= 15 min",
            f"{found.wrong:.2f}, {found.delay:.1f} min (recall {found.recall:.2f})",
        )


def rows(effort: Effort) -> Iterator[Row]:
    yield from outage_rows(effort)
    yield from simulated_rows(effort)
    with Net() as net:
        yield freeze_row(net, effort)
        yield from recall_rows(net, effort)
        yield from null_rows(net, effort)
        yield from plateau_rows(net, effort)
    if not effort.quick:
        with Net() as net:
            yield fast_row(net)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        raise SystemExit(f"no namespaces here: {reason}")
    rerun_inside()
    measured = list(rows(QUICK if options.quick else WHOLE))
    print(f"\n{'what':58}{'to reach':32}measured")
    for what, goal, value in measured:
        print(f"{what:58}{goal:32}{value}")


if __name__ == "__main__":
    main()
