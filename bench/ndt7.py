"""ndt7 through a limited line: what `qazprobe speed` says, and what others say of our server.

Usage: python -m bench.ndt7 [--rates MBITS …] [--client PROGRAM]
PROGRAM is another ndt7 client, called with `--server HOST:PORT --no-locate --no-verify`.
Prints one JSON object for each rate: the error of each direction in percent. Both directions are
shaped by a queue, the delay is 20 ms each way.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.throttle_net import BulkServer, Line, Net, rerun_inside, sh
from bench.throttle_plateau import Limited, expected
from probe import consent_record

DELAY = 0.02
BYTES = 200_000_000


def shape(net: Net, bits: float) -> None:
    """The same queue in both directions."""
    burst = max(4000, int(bits / 8 * 0.002))
    net.shape(bits, burst=burst)
    sh(f"tc qdisc replace dev c0 root tbf rate {bits:.0f}bit burst {burst} latency 400ms")


def ours(served: BulkServer) -> dict[str, float]:
    """Bits a second by direction, as the command says them."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        consent_record.record(home, "en", heartbeat=False)
        settings = home / "speed.toml"
        settings.write_text("[options.speed]\nunmetered = true\ndaily_bytes = 2000000000\n")
        url = f"ndt7://{served.address}:{served.port}#pin={served.pin}"
        words = ["speed", "--server", url, "--lab", "--json", "--max-bytes", str(BYTES)]
        done = subprocess.run(
            [sys.executable, "-m", "probe.cli", *words, "--config", str(settings)],
            env={**os.environ, "QAZPROBE_HOME": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    said = json.loads(done.stdout)
    return {way: said[way]["bits_per_second"] or 0.0 for way in ("down", "up")}


def theirs(program: str, served: BulkServer) -> str:
    """The summary of another client."""
    server = f"{served.address}:{served.port}"
    words = [program, "--server", server, "--no-locate", "--no-verify", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.partition("Test results")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 10.0, 50.0])
    parser.add_argument("--client")
    asked = parser.parse_args()
    rerun_inside()
    with Net() as net:
        net.line(Line(DELAY))
        served = net.serve()
        for megabits in asked.rates:
            shape(net, megabits * 1e6)
            true = 8 * expected(Limited("tbf", megabits * 1e6, DELAY, "cubic"))
            said = ours(served)
            errors = {way: round((rate / true - 1) * 100, 2) for way, rate in said.items()}
            print(json.dumps({"megabits": megabits, "error_percent": errors}), flush=True)
            if asked.client:
                print(theirs(asked.client, served), flush=True)


if __name__ == "__main__":
    main()
