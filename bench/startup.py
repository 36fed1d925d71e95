"""What starting costs: time, processor and memory of commands, and a run until its first packet.

    python -m bench.startup [--times 9] [--before TREE]

For `run` it is the time until its first packet: a DNS query to a resolver on loopback. `--before`
is another copy of the project, such as `git worktree` makes: its numbers stand beside these. The
first rows are Python alone, below which no command can be.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.field.testbed import machine

COMMANDS = ("--version", "--help", "consent --status", "run --dry-run https://example.com/")
START = "from probe.cli import main; main()"
# Printed by the process itself: what the kernel counts for its parent begins with the parent's.
_PEAK = (
    "import atexit; atexit.register(lambda: __import__('os').write(2, ('peak' + open("
    "'/proc/self/status').read().partition('VmHWM:')[2].split()[0] + chr(10)).encode()))\n"
)
HEAVY = ["cryptography", "httpx", "dns", "aiohttp", "rich", "h2", "scapy", "aioquic", "duckdb"]
_HEAD = f"{'':44}{'ms: least':>10}{'median':>8}{'of the processor':>18}{'MB':>6}"


@dataclass(frozen=True)
class Start:
    """One start: milliseconds by the clock and of the processor, and bytes at most in memory."""

    clock: float
    processor: float
    memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description="What starting costs.")
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--before", type=Path, metavar="TREE", help="another copy of the project")
    options = parser.parse_args()
    print(machine())
    trees = {"before": options.before} if options.before else {}
    for name, tree in {**trees, "now": Path(__file__).parents[1]}.items():
        print(f"\n{name if trees else ''}\n{_HEAD}")
        with tempfile.TemporaryDirectory() as home:
            _table(environment(tree, Path(home)), options.times)


def environment(tree: Path, home: Path) -> dict[str, str]:
    """Variables of a probe as installed: modules are compiled once, not at every start."""
    installed = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(tree.absolute())}
    return {**os.environ, **installed, "QAZPROBE_HOME": str(home)}


def _table(env: dict[str, str], times: int) -> None:
    for options in (["-I", "-S"], []):
        every = [
            _start([sys.executable, *options, "-c", f"{_PEAK}pass"], env) for _ in range(times)
        ]
        print(_row(" ".join(["python", *options, "-c pass"]), every))
    for command in COMMANDS:
        argv = [sys.executable, "-P", "-c", _PEAK + START, *command.split()]
        every = [_start(argv, env) for _ in range(times)]
        print(f"{_row(f'qazprobe {command}', every)}   loads {_heavy(argv, env)}", flush=True)
    consent = [sys.executable, "-P", "-c", START, "consent", "--yes"]
    subprocess.run(consent, env=env, capture_output=True, check=True)
    print(_row("qazprobe run, to its first packet", [_first_query(env) for _ in range(times)]))


def _row(name: str, every: Sequence[Start]) -> str:
    clock = [one.clock for one in every]
    processor = min(one.processor for one in every)
    memory = max(one.memory for one in every) / 1e6
    return f"{name:44}{min(clock):10.0f}{median(clock):8.0f}{processor:18.0f}{memory:6.0f}"


def _start(argv: Sequence[str], env: dict[str, str]) -> Start:
    """One start of a command that ends by itself."""
    finished: list[bytes] = []

    def run() -> None:
        finished.append(subprocess.run(argv, env=env, capture_output=True, check=False).stderr)

    clock, processor = _spent(run)
    peak = finished[0].rpartition(b"peak")[2].split()
    return Start(clock, processor, int(peak[0]) * 1024 if peak else 0)


def _spent(run: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds by the clock, and of the processor for children that have ended by then."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * clock, 1000 * processor


def _first_query(env: dict[str, str]) -> Start:
    """From the start of a run to its first DNS query; the run is then killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 0))
        resolver.settimeout(30.0)
        words = [
            "run", "https://first.example/", "--lab",
            "--resolver", f"127.0.0.1:{resolver.getsockname()[1]}",
            "-e", "web", "--control", "none", "--no-upload", "--quiet",
        ]  # fmt: skip
        alone = {**env, "QAZPROBE_ANCHORS": "none", "QAZPROBE_RESOLVERS": "none"}
        argv = [sys.executable, "-P", "-c", START, *words]
        began = time.perf_counter()
        with subprocess.Popen(argv, env=alone, stderr=subprocess.DEVNULL) as process:
            resolver.recv(512)
            clock = time.perf_counter() - began
            memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()
            ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            process.kill()
    processor = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    return Start(1000 * clock, 1000 * processor, int(memory[0]) * 1024)


def _heavy(argv: Sequence[str], env: dict[str, str]) -> str:
    """Which heavy libraries a command imports."""
    finished = subprocess.run(
        [argv[0], "-X", "importtime", *argv[1:]],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    names = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    return ", ".join(name for name in HEAVY if name in names) or "nothing heavy"


if __name__ == "__main__":
    main()
