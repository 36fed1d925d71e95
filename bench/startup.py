"""Startup time of commands: the minimum and the median of several starts.

    python -m bench.startup [--times 9]

For `run` it is the time until its first packet: a DNS query to a resolver on loopback.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.field.testbed import machine

COMMANDS = ("--version", "--help", "run --dry-run https://example.com/")
START = "from probe.cli import main; main()"
HEAVY = ["cryptography", "httpx", "dns", "aiohttp", "rich", "h2", "scapy", "aioquic", "duckdb"]


def main() -> None:
    parser = argparse.ArgumentParser(description="How long commands take to start.")
    parser.add_argument("--times", type=int, default=9)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        # As installed: modules are compiled once, not at every start.
        installed = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(Path(__file__).parents[1])}
        env = {**os.environ, **installed, "QAZPROBE_HOME": home}
        bare = _times([sys.executable, "-c", "pass"], env, options.times)
        print(f"{'python -c pass':44}{bare[0]:7.0f} ms{median(bare):7.0f} ms")
        for command in COMMANDS:
            argv = [sys.executable, "-c", START, *command.split()]
            spent = _times(argv, env, options.times)
            loaded = ", ".join(_heavy(argv, env)) or "nothing heavy"
            text = f"qazprobe {command}"
            print(f"{text:44}{spent[0]:7.0f} ms{median(spent):7.0f} ms   loads {loaded}")
        subprocess.run(
            [sys.executable, "-c", START, "consent", "--yes"],
            env=env, capture_output=True, check=True,
        )  # fmt: skip
        first = sorted(_until_first_query(env) for _ in range(options.times))
        print(f"{'qazprobe run, to its first packet':44}{first[0]:7.0f} ms{median(first):7.0f} ms")


def _until_first_query(env: dict[str, str]) -> float:
    """Milliseconds from the start of a run to its first DNS query; the run is then killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 0))
        resolver.settimeout(30.0)
        resolver_at = f"127.0.0.1:{resolver.getsockname()[1]}"
        options = [
            "--lab",
            "--resolver",
            resolver_at,
            "-e",
            "web",
            "--control",
            "none",
            "--no-upload",
            "--quiet",
        ]
        alone = {**env, "QAZPROBE_ANCHORS": "none", "QAZPROBE_RESOLVERS": "none"}
        argv = [sys.executable, "-c", START, "run", "https://first.example/", *options]
        began = time.perf_counter()
        with subprocess.Popen(argv, env=alone, stderr=subprocess.DEVNULL) as process:
            resolver.recv(512)
            spent = time.perf_counter() - began
            process.kill()
    return 1000 * spent


def _times(argv: list[str], env: dict[str, str], times: int) -> list[float]:
    """Milliseconds of each run, the best first."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(argv, env=env, capture_output=True, check=False)
        found.append(1000 * (time.perf_counter() - began))
    return sorted(found)


def _heavy(argv: list[str], env: dict[str, str]) -> list[str]:
    """Which heavy libraries a command imports."""
    finished = subprocess.run(
        [argv[0], "-X", "importtime", *argv[1:]],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    names = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    return [name for name in HEAVY if name in names]


if __name__ == "__main__":
    main()
