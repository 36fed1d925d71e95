"""Accuracy of plateau detection: configured limits against what `probe.analysis.plateau` finds.

Usage: python -m bench.throttle_plateau [--quick] [--seconds S] [--reps N]
Prints one line per cell, then the medians over all cells of a limiter.
"""

import argparse
import asyncio
import json
from dataclasses import dataclass
from statistics import median, quantiles

from msgspec.structs import astuple

from bench.throttle_net import BulkServer, Line, Net, rerun_inside
from probe.experiments.operations import TransferRequest
from probe.model import Transfer
from probe.net.transfer import transfer

MSS = 1448
RATES = (0.131e6, 0.256e6, 1e6, 10e6, 100e6)
QUICK = (0.256e6, 10e6)


@dataclass(frozen=True)
class Limited:
    """One limiter at one rate on one line."""

    limiter: str
    bits: float
    delay: float
    congestion: str


def expected(cell: Limited) -> float:
    """Bytes per second of TCP payload that the limiter lets through."""
    # tbf counts Ethernet frames (14 bytes), the policer IP packets; 52: IP and TCP with timestamps.
    header = 66 if cell.limiter.startswith("tbf") else 52
    return cell.bits / 8 * MSS / (MSS + header)


def limit(net: Net, cell: Limited) -> None:
    net.clear()
    if cell.limiter == "tbf":
        net.shape(cell.bits, burst=max(4000, int(cell.bits / 8 * 0.002)))
    elif cell.limiter == "tbfbig":
        net.shape(cell.bits, burst=max(4000, int(cell.bits / 8 * 0.01)), latency_ms=50)
    else:
        net.police(cell.bits)


def run(bulk_server: BulkServer, seconds: float) -> Transfer:
    request = TransferRequest(
        bulk_server.address,
        bulk_server.port,
        "any.test",
        1 << 32,
        path=f"/{1 << 32}",
        host="any.test",
        pin=bulk_server.pin,
        cap=seconds,
    )
    return asyncio.run(transfer(request))


def errors(
    net: Net, cells: list[Limited], seconds: float, reps: int, *, save: bool = False
) -> dict[Limited, list[float]]:
    found: dict[Limited, list[float]] = {}
    laid: tuple[float, str] | None = None
    bulk_server: BulkServer | None = None
    for cell in sorted(cells, key=lambda c: (c.delay, c.congestion)):
        if bulk_server is None or laid != (cell.delay, cell.congestion):
            net.line(Line(delay=cell.delay / 2))
            bulk_server, laid = net.serve(cell.congestion), (cell.delay, cell.congestion)
        limit(net, cell)
        for _ in range(reps):
            step = run(bulk_server, seconds)
            error = abs((step.rate or 0.0) / expected(cell) - 1) * 100
            found.setdefault(cell, []).append(error)
            last = step.samples[-1] if step.samples else None
            print(
                json.dumps(
                    {
                        "limiter": cell.limiter,
                        "mbit": cell.bits / 1e6,
                        "rtt_ms": cell.delay * 1000,
                        "cc": cell.congestion,
                        "error_percent": round(error, 2),
                        "measured_mbit": round((step.rate or 0) * 8 / 1e6, 4),
                        "ooo": round((last.out_of_order or 0) / max(last.segments or 1, 1), 3)
                        if last
                        else None,
                        "ended": step.ended,
                        "cpu": step.cpu_seconds,
                        "expected": expected(cell),
                        "samples": [list(astuple(one)) for one in step.samples] if save else [],
                        "mss": step.segment_bytes,
                    }
                ),
                flush=True,
            )
    return found


def summary(found: dict[Limited, list[float]], limiter: str) -> tuple[float, float]:
    """Median and 90th percentile of the error, in percent."""
    values = [e for cell, es in found.items() if cell.limiter.startswith(limiter) for e in es]
    if len(values) < 2:
        return (values or [float("nan")])[0], (values or [float("nan")])[0]
    return median(values), quantiles(values, n=10, method="inclusive")[-1]


def cells(rates: tuple[float, ...], *, quick: bool = False) -> list[Limited]:
    return [
        Limited(limiter, bits, delay, congestion)
        for limiter in ("tbf", "police")
        for bits in rates
        for delay in ((0.04,) if quick else (0.0, 0.04))
        for congestion in (("cubic",) if quick else ("cubic", "bbr"))
        if not (limiter == "tbf" and bits < 0.2e6)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--limiter", choices=("tbf", "police"))
    parser.add_argument("--save", action="store_true", help="print every sample as well")
    options = parser.parse_args()
    rerun_inside()
    with Net() as net:
        limited = cells(QUICK if options.quick else RATES, quick=options.quick)
        limited = [cell for cell in limited if options.limiter in {None, cell.limiter}]
        found = errors(net, limited, options.seconds, options.reps, save=options.save)
    for limiter in [options.limiter] if options.limiter else ["tbf", "police"]:
        middle, high = summary(found, limiter)
        print(f"{limiter}: median {middle:.2f} %, p90 {high:.2f} %")


if __name__ == "__main__":
    main()
