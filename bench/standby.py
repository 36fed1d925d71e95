"""The cost of a probe while it measures nothing: a heartbeat, and the wait between two rounds.

    python -m bench.standby [--seconds 60] [--before TREE]

A heartbeat by the timer is one `qazprobe upload`, every five minutes; with `run --every` one
process stays and sends them itself. Here the collector is reached without TLS: over TLS a heartbeat
by the timer has a handshake more, about 4 KB. `--before` is another copy of the project, whose
heartbeat is printed first.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.field.collector import FieldCollector
from bench.field.plan import Spec
from bench.field.testbed import PROBE, Cost, FieldTestbed, machine
from probe.lab import commands

_A_DAY = 24 * 60 / 5  # heartbeats


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of a probe while it measures nothing.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--before", type=Path, metavar="TREE")
    options = parser.parse_args()
    print(machine())
    with (
        FieldTestbed(Spec(sites=8, round_trip=0.05)) as testbed,
        FieldCollector(testbed) as field_collector,
    ):
        env = commands.environment(testbed.env())
        probe = [sys.executable, "-c", PROBE]
        consent = [*probe, "consent", "--yes", "--heartbeat"]
        subprocess.run(consent, env=env, check=True, capture_output=True)
        to_collector = ["--collector", field_collector.url, "--lab", "--quiet"]
        upload = [sys.executable, "-P", "-c", PROBE, "upload", *to_collector]
        for name, tree in {"before": options.before, "now": Path(__file__).parents[1]}.items():
            if tree is not None:
                there = {**env, "PYTHONPATH": str(tree.absolute())}
                testbed.measure(upload, there)  # enrols
                print(_heartbeat(name, [testbed.measure(upload, there) for _ in range(5)]))
        argv = [
            *probe, "run", "--targets", str(testbed.folder / "listed.txt"), *to_collector,
            "--every", "1h",
            "--ca-file", str(testbed.folder / "ca.pem"),
        ]  # fmt: skip
        with subprocess.Popen(testbed.inside(argv), env=env) as process:
            _settle(process.pid)
            before = _spent(process.pid)
            time.sleep(options.seconds)
            spent = 3600 * (_spent(process.pid) - before) / options.seconds
            memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2].split()
            process.terminate()
        print(
            f"waiting in `run --every`   {spent:6.1f} s of processor an hour"
            f" {int(memory[0]) / 1000:5.0f} MB"
        )


def _heartbeat(name: str, every: Sequence[Cost]) -> str:
    """The cheapest of some heartbeats, and the most memory that one took."""
    sent = min(every, key=lambda cost: cost.cpu)
    memory = max(cost.memory for cost in every) / 1e6
    lasting = f"{sent.seconds:6.2f} s {1000 * sent.cpu:6.0f} ms cpu {memory:5.0f} MB"
    traffic = f"{sent.down / 1000:6.1f} KB down {sent.up / 1000:5.1f} KB up"
    daily = f"{_A_DAY * sent.cpu:.0f} s, {_A_DAY * (sent.down + sent.up) / 1e6:.1f} MB"
    return f"a heartbeat by the timer, {name:8} {lasting} {traffic}; a day: {daily}"


def _settle(pid: int) -> None:
    """Wait until a process has done next to nothing for some seconds."""
    before = -1.0
    while _spent(pid) - before > 0.05:
        before = _spent(pid)
        time.sleep(5.0)


def _spent(pid: int) -> float:
    """Seconds of processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
