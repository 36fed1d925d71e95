"""The table of goals for throttling, speed and outages, with the measured values.

Limiters and lines run in namespaces; statistics and outages are seeded simulations. Runs on real
TCP are made by `bench.throttle_campaign FILE`, which takes about an hour and can be interrupted;
`--from FILE` makes the table from its rows so far.

Usage: python -m bench.throttle_table [--from FILE | --quick] [--lanes N]
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles

from bench import outage_alarm, throttle_simulated
from bench.throttle_campaign import campaign
from bench.throttle_net import unavailable_reason
from bench.throttle_rows import (
    KBIT_131,
    KBIT_524,
    KBIT_1049,
    LATE_LIMITS,
    LINES,
    QUICK,
    WHOLE,
    Row,
    read,
    states,
)
from probe.analysis.paired_test import SUSPECTED, PairState

MSS = 1448
SLOWED = (PairState.SUSPECTED, PairState.STRONG, PairState.EXTREME)


@dataclass(frozen=True)
class TableLine:
    """A line of the table; `met` is None if there is no goal."""

    what: str
    goal: str
    measured: str
    met: bool | None = None


def plateau_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    for limiter, words, middle, high in (
        ("tbf", "plateau error, shaper 0.26 to 100 Mbit/s, 5 s", 0.5, 2.0),
        ("police", "plateau error, policer 0.13 to 100 Mbit/s, 5 s", 1.0, 7.0),
    ):
        errors = _errors(r for r in rows if r.kind == "plateau" and r.line.startswith(limiter))
        if errors:
            half, tenth = median(errors), high_tenth(errors)
            yield TableLine(
                f"{words}, {len(errors)} flows",
                f"median <= {middle:g} %, p90 <= {high:g} %",
                f"median {half:.2f} %, p90 {tenth:.2f} %",
                half <= middle and tenth <= high,
            )
    fast = [r for r in rows if r.kind == "fast"]
    errors = _errors(fast)
    if errors:
        cores = median(r.cores or 0.0 for r in fast)
        yield TableLine(
            f"downloader at 500 Mbit/s, {len(errors)} flows",
            "<= 1 %",
            f"median {median(errors):.2f} %, worst {max(errors):.2f} %, {cores:.2f} of a core",
            max(errors) <= 1.0,
        )


def _errors(rows: Iterable[Row]) -> list[float]:
    return [r.error for r in rows if r.error is not None]


def high_tenth(values: Sequence[float]) -> float:
    """The 90th percentile."""
    return quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]


def null_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    every = [r for r in rows if r.kind == "null"]
    noisy = [r for r in every if r.line != "clean"]
    if not noisy:
        noisy = every
    if not noisy:
        return
    strong, suspected = _count(noisy, SLOWED[1:]), _count(noisy, SLOWED)
    yield TableLine(
        f"false suspected / strong, {len(noisy)} null runs on {_line_names(noisy)} lines",
        "<= 0.3 % / <= 0.1 %",
        f"{_share(suspected, len(noisy))} / {_share(strong, len(noisy))}",
        suspected <= 0.003 * len(noisy) and strong <= 0.001 * len(noisy),
    )
    for line, tier in sorted({(r.line, r.tier) for r in every}):
        here = [r for r in every if (r.line, r.tier) == (line, tier)]
        undecided = states(here)[PairState.INCONCLUSIVE]
        yield TableLine(
            f"  {line}, {tier}, {len(here)} runs",
            "",
            f"{_count(here, SLOWED)} / {_count(here, SLOWED[1:])}, {undecided} undecided",
        )
    yield from cost_lines([r for r in noisy if r.tier == "metered"])


def cost_lines(metered: Sequence[Row]) -> Iterator[TableLine]:
    if metered:
        transfers = mean(r.transfers for r in metered)
        size = mean(r.size for r in metered) / 1000
        yield TableLine(
            f"cost when nothing is throttled, 64 KiB, {len(metered)} runs",
            "<= 3 transfers, <= 180 kB",
            f"{transfers:.2f} transfers, {size:.0f} kB",
            transfers <= 3 and size <= 180,
        )


def _count(rows: Iterable[Row], which: Sequence[PairState]) -> int:
    found = states(rows)
    return sum(found[state] for state in which)


def _share(found: int, runs: int) -> str:
    low, high = interval_95(found, runs)
    return f"{found} = {found / runs:.2%} ({low:.2%} to {high:.2%})"


def _line_names(rows: Iterable[Row]) -> str:
    return ", ".join(line for line in LINES if any(r.line == line for r in rows))


def interval_95(found: int, runs: int) -> tuple[float, float]:
    """The share's exact 95 % interval (Clopper and Pearson)."""
    low = _crossing(lambda p: 1 - _at_most(found - 1, runs, p) - 0.025) if found else 0.0
    high = _crossing(lambda p: 0.025 - _at_most(found, runs, p)) if found < runs else 1.0
    return low, high


def _at_most(found: int, runs: int, p: float) -> float:
    return math.fsum(math.comb(runs, n) * p**n * (1 - p) ** (runs - n) for n in range(found + 1))


def _crossing(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above it crosses it, between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return high


def recall_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    for limit, words, goal in (
        (KBIT_131, "131 kbit/s, 64 KiB", 0.99),
        (KBIT_524, "524 kbit/s, 256 KiB", 0.95),
        (KBIT_1049, "1049 kbit/s, 1 MiB", 0.95),
    ):
        slowed = [r for r in rows if r.kind == "slowed" and r.limit == limit]
        counted = [r for r in slowed if r.line in lines_above_limit(slowed, limit)]
        if not counted:
            continue
        found = _count(counted, SLOWED)
        yield TableLine(
            f"recall at {words}, {len(counted)} runs on {_line_names(counted)} lines",
            f">= {goal:.0%}",
            _share(found, len(counted)),
            found >= goal * len(counted),
        )
        for line in LINES:
            here = [r for r in slowed if r.line == line]
            if here:
                yield _on_line(line, here, limit)


def _on_line(line: str, here: Sequence[Row], limit: float) -> TableLine:
    control = median(r.control or 0.0 for r in here) / limit
    why = "" if lines_above_limit(here, limit) else ": too slow a line to show it, not counted"
    return TableLine(
        f"  {line}, {len(here)} runs",
        "",
        f"{_count(here, SLOWED)} found; the control gets {control:.1f} times the limit{why}",
    )


def lines_above_limit(rows: Iterable[Row], limit: float) -> set[str]:
    """Lines on which the control usually gets more than twice the limit.

    On other lines the limit does not halve the rate, so a rule with that threshold cannot find it.
    """
    controls: dict[str, list[float]] = {}
    for row in rows:
        controls.setdefault(row.line, []).append(row.control or 0.0)
    return {line for line, got in controls.items() if median(got) * SUSPECTED > limit}


def late_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    """Limits that the first bytes of a connection do not meet, and the same look at no limit."""
    late = [r for r in rows if r.kind == "late" and r.limit]
    slow = [r for r in late if r.limit <= KBIT_524]
    if slow:
        found = _count(slow, SLOWED)
        yield TableLine(
            f"recall of limits that begin late, to 524 kbit/s, {len(slow)} runs on "
            f"{_line_names(slow)} lines",
            ">= 95%",
            _share(found, len(slow)),
            found >= 0.95 * len(slow),
        )
    for line in LINES:
        for begins in LATE_LIMITS:
            here = [r for r in late if (r.line, r.tier) == (line, begins)]
            if here:
                yield TableLine(f"  {line}, {begins}, {len(here)} runs", "", _by_rate(here))
    yield from _never_lines([r for r in rows if r.kind == "late" and not r.limit])


def _by_rate(rows: Sequence[Row]) -> str:
    parts = []
    for limit in sorted({r.limit for r in rows}):
        here = [r for r in rows if r.limit == limit]
        parts.append(f"{limit / 1000:.0f} kbit/s: {_count(here, SLOWED)} of {len(here)}")
    return "; ".join(parts)


def _never_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    if not rows:
        return
    suspected, strong = _count(rows, SLOWED), _count(rows, SLOWED[1:])
    yield TableLine(
        f"false suspected / strong, later in a connection, {len(rows)} null runs on "
        f"{_line_names(rows)} lines",
        "<= 0.3 % / <= 0.1 %",
        f"{_share(suspected, len(rows))} / {_share(strong, len(rows))}",
        suspected <= 0.003 * len(rows) and strong <= 0.001 * len(rows),
    )
    for line in LINES:
        here = [r for r in rows if r.line == line]
        if here:
            undecided = sum(
                states(here)[state] for state in (PairState.INCONCLUSIVE, PairState.MORE)
            )
            size = mean(r.size for r in here) / 1e6
            yield TableLine(
                f"  {line}, {len(here)} runs",
                "",
                f"{_count(here, SLOWED)} / {_count(here, SLOWED[1:])}, {undecided} undecided, "
                f"{mean(r.transfers for r in here):.1f} transfers, {size:.1f} MB in all",
            )


def freeze_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    frozen = [r for r in rows if r.kind == "freeze"]
    if frozen:
        found = states(frozen)[PairState.FREEZE]
        off = [abs(r.truth - at) for r in frozen for at in r.stalled_at]
        worst = max(off, default=-1)
        yield TableLine(
            f"a 16 KB freeze, {len(frozen)} runs on {_line_names(frozen)} lines",
            "always; to one segment",
            f"{found}/{len(frozen)}; off by {worst} bytes at most, median {median(off or [-1]):g}",
            found == len(frozen) and 0 <= worst <= MSS,
        )


def simulated_lines(runs: int) -> Iterator[TableLine]:
    for noise in throttle_simulated.KINDS:
        found, used = throttle_simulated.many(noise, 1.0, runs, 1)
        suspected, strong = throttle_simulated.rates(found)
        yield TableLine(
            f"false suspected / strong, simulated, {noise.name}, {runs} runs",
            "<= 0.3 % / <= 0.1 %",
            f"{suspected:.3%} / {strong:.3%}, {used:.2f} transfers",
            suspected <= 0.003 and strong <= 0.001,
        )


def outage_lines(*, quick: bool) -> Iterator[TableLine]:
    for fleet in (outage_alarm.Fleet(3, 2),) if quick else outage_alarm.FLEETS:
        found = outage_alarm.measured(fleet, 30, 1 if quick else 10, 1)
        yield TableLine(
            f"outage alarm, {fleet}",
            "<= 0.2 false/month, <= 15 min",
            f"{found.wrong:.2f}, {found.delay:.1f} min (recall {found.recall:.2f})",
            found.wrong <= 0.2 and not found.delay > 15,  # NaN: no outage was found
        )


def campaign_lines(rows: Sequence[Row]) -> Iterator[TableLine]:
    """The lines from a campaign's rows."""
    yield from plateau_lines(rows)
    yield from null_lines(rows)
    yield from recall_lines(rows)
    yield from late_lines(rows)
    yield from freeze_lines(rows)


def lines(rows: Sequence[Row], *, quick: bool) -> Iterator[TableLine]:
    """The whole table."""
    yield from campaign_lines(rows)
    yield from simulated_lines(10_000 if quick else 50_000)
    yield from outage_lines(quick=quick)


def markdown(one: TableLine) -> str:
    """A line as in `docs/calibration.md`; details of the line above are indented."""
    mark = "" if one.met is None else "met" if one.met else "**missed**"
    what = one.what.replace("  ", "&nbsp;&nbsp;", 1) if one.what.startswith("  ") else one.what
    return f"| {what} | {one.goal} | {one.measured} | {mark} |"


def show(table: Iterable[TableLine]) -> None:
    """Print the table line by line."""
    print("| what | to reach | measured | |\n|---|---|---|---|")
    for one in table:
        print(markdown(one), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="file", type=Path, help="a campaign's file")
    parser.add_argument("--quick", action="store_true", help="about a minute of everything")
    parser.add_argument("--lanes", type=int, default=8)
    options = parser.parse_args()
    if options.file is not None:
        show(lines(read(options.file), quick=False))
        return
    reason = unavailable_reason()
    if reason:
        raise SystemExit(f"no namespaces here: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "throttle.jsonl")
        campaign(file, QUICK if options.quick else WHOLE, options.lanes)
        show(lines(read(file), quick=options.quick))


if __name__ == "__main__":
    main()
