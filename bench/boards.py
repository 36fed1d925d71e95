"""How long each query of the dashboards takes over a fortnight: `python -m bench.boards`.

A real Prometheus has the fortnight of a collector in use in its blocks, and the recorded rules.
Every query is asked as Grafana asks it, on a wide screen. Printed is the least of some turns by the
clock, and the processor's time of Prometheus, both in milliseconds.
"""

import argparse
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.fortnight_of_metrics import Fortnight
from tests.e2e.prometheus_server import PrometheusServer, get
from tests.e2e.test_boards_of_a_fortnight import MARKS, NOW, QUERIES, SITES, asked, fortnight

WANTED_MS = 500.0
_CPU = re.compile(r"^process_cpu_seconds_total (\S+)$", re.MULTILINE)


def measure(server: PrometheusServer, turns: int) -> dict[str, tuple[float, float]]:
    """The least milliseconds of each query by the clock, and the mean of the processor."""
    marks = {name: mark | {"points": 14 * 24 * 4} for name, mark in MARKS.items()}
    found = {}
    for name, target in _with_every_network({**QUERIES, **marks}).items():
        before = _worked(server)
        took = [asked(server, target, site)[1] for _ in range(turns) for site in SITES]
        worked = (_worked(server) - before) / len(took)
        found[name] = (min(took) * 1000, worked * 1000)
    return found


def _with_every_network(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Nothing is chosen when a board is opened, but on the board of one network."""
    one = "qazprobe-network/"
    return {
        name: {
            **of,
            "expr": of["expr"] if name.startswith(one) else of["expr"].replace("$asn", ".*"),
        }
        for name, of in targets.items()
    }


def _worked(server: PrometheusServer) -> float:
    (seconds,) = _CPU.findall(get(f"{server.prometheus}/metrics").decode())
    return float(seconds)


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--networks", type=int, default=7)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--show", type=int, default=12, help="how many, the slowest first")
    chosen = parser.parse_args()
    made = Fortnight(NOW, sites=chosen.sites, networks=chosen.networks)
    with (
        tempfile.TemporaryDirectory() as folder,
        fortnight(Path(folder), made) as server,
    ):
        series = server.query('count(last_over_time({job="qazcollector"}[15d]))')
        found = measure(server, chosen.turns)
    slowest = sorted(found.items(), key=lambda one: -one[1][0])
    print(f"{series[0]['value'][1]} series, {len(found)} queries")
    print(f"{'query':70} {'clock':>8} {'processor':>10}  ms")
    for name, (clock, worked) in slowest[: chosen.show]:
        print(f"{name[:70]:70} {clock:8.0f} {worked:10.0f}")
    late = sum(clock > WANTED_MS for clock, _ in found.values())
    print(f"above {WANTED_MS:.0f} ms: {late}")


if __name__ == "__main__":
    main()
