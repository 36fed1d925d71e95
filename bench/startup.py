"""How long commands take before they do anything: the best and the middle of several starts.

python -m bench.startup [--times 9]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.field.ground import machine

COMMANDS = ("--version", "--help", "run --dry-run https://example.com/")
START = "from probe.cli import main; main()"
HEAVY = ["cryptography", "httpx", "dns", "aiohttp", "rich", "h2", "scapy", "aioquic", "duckdb"]


def main() -> None:
    parser = argparse.ArgumentParser(description="How long commands take to start.")
    parser.add_argument("--times", type=int, default=9)
    chosen = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "QAZPROBE_HOME": home, "PYTHONPATH": str(Path(__file__).parents[1])}
        bare = _times([sys.executable, "-c", "pass"], env, chosen.times)
        print(f"{'python -c pass':44}{bare[0]:7.0f} ms{median(bare):7.0f} ms")
        for command in COMMANDS:
            argv = [sys.executable, "-c", START, *command.split()]
            spent = _times(argv, env, chosen.times)
            loaded = ", ".join(_heavy(argv, env)) or "nothing heavy"
            text = f"qazprobe {command}"
            print(f"{text:44}{spent[0]:7.0f} ms{median(spent):7.0f} ms   loads {loaded}")


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
    said = subprocess.run(
        [argv[0], "-X", "importtime", *argv[1:]],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    names = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
    return [name for name in HEAVY if name in names]


if __name__ == "__main__":
    main()
