"""OONI's measurements judged and imported per minute on one core, and the memory that takes.

    python -m bench.ooni_import [--measurements 10000] [--keep FILE]

The archive is made for this: JSON lines in gzip, measurements of 20 to 80 kB with a page, a chain
of certificates and network events, of several hundred sites; two thirds of them work. Each number
is the processor time of the whole command with its children, at a tenth of the archive and at all
of it; memory is the most that one process of it had.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SITES = 400
SMALLEST, LARGEST = 12_000, 60_000  # of a page; the rest of a measurement has about 12 kB
STARTED = datetime(2024, 2, 12, 20, 0, tzinfo=UTC)
FAILING = ("reset", "silent", "denied", "refused")
BINARY = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="Keep the archive there.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = options.keep or Path(folder) / "archive.jsonl.gz"
        tenth = Path(folder) / "tenth.jsonl.gz"
        size = write(tenth, options.measurements // 10)
        size = write(archive, options.measurements)
        print(
            f"{options.measurements} measurements, {size / options.measurements / 1000:.0f} kB each"
        )
        print(f"{'':10} {'measurements':>12} {'cpu s':>8} {'ms each':>8} {'MB':>6}")
        for name, command in commands(Path(folder)).items():
            for number, file in (
                (options.measurements // 10, tenth),
                (options.measurements, archive),
            ):
                seconds, memory = spent([*command, str(file)])
                each = 1000 * seconds / number
                print(f"{name:10} {number:12} {seconds:8.1f} {each:8.2f} {memory / 1024:6.0f}")


def commands(folder: Path) -> dict[str, list[str]]:
    """The two commands that read an archive."""
    store = f"sqlite:///{folder}/store.sqlite3"
    form = ["--format", "ooni"]
    return {
        "judge": [str(BINARY / "qazprobe"), "judge", *form],
        "import": [str(BINARY / "qazcollector"), "import", "--store", store, *form],
    }


def spent(command: list[str]) -> tuple[float, int]:
    """Processor seconds of a command with its children, and the largest process in KiB."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True,"
    script += " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
    script += " u = resource.getrusage(resource.RUSAGE_CHILDREN);"
    script += " print(u.ru_utime + u.ru_stime, u.ru_maxrss)"
    environment = {**os.environ, "QAZPROBE_HOME": tempfile.gettempdir()}
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def write(file: Path, number: int) -> int:
    """Write an archive; its size before packing."""
    size = 0
    with gzip.open(file, "wb", compresslevel=1) as packed:
        for made in measurements(number):
            line = json.dumps(made).encode() + b"\n"
            size += len(line)
            packed.write(line)
    return size


def measurements(number: int) -> Iterator[dict[str, Any]]:
    """Measurements of sites in turn, the same for the same number."""
    chance = random.Random(7)
    words = [f"word{n}" for n in range(5000)]
    chains = _chains()
    for one in range(number):
        site = chance.randrange(SITES)
        host, ip = f"www.site{site}.example", f"93.184.{site // 200}.{site % 200 + 1}"
        text = " ".join(chance.choices(words, k=chance.randrange(SMALLEST, LARGEST) // 9))
        page = f"<html><head><title>Site {site}</title></head><body><p>{text}</p></body></html>"
        how = chance.choice(FAILING) if chance.random() < 1 / 3 else ""
        yield _measurement(one, (host, ip), page, chains[site % len(chains)], how)


def _chains() -> list[list[str]]:
    """Chains of a leaf and an intermediate, as base64."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from probe.lab import pki
    from probe.lab.pki import Pki

    lab = Pki(STARTED)
    above = pki.intermediate(lab.interceptor_anonymous, "CN=Node,O=Lab", now=STARTED)
    found = []
    for site in range(SITES):
        served = pki.leaf(above, (f"www.site{site}.example",), now=STARTED, days=(10, 40))
        ders = x509.load_pem_x509_certificates(served.chain)
        found.append([b64encode(c.public_bytes(Encoding.DER)).decode() for c in ders])
    return found


def _measurement(
    number: int, site: tuple[str, str], page: str, chain: list[str], how: str
) -> dict[str, Any]:
    from tests.probe.interop.ooni.incoming import measured as parts

    (host, ip), url = site, f"https://{site[0]}/"
    queries = [parts.query([ip], name=host), parts.query([ip], name=host, engine="udp")]
    if how == "denied":
        queries = [parts.denied(name=host), parts.query([ip], name=host, engine="udp")]
    failure = {"reset": "connection_reset", "silent": "generic_timeout_error"}.get(how)
    tcp = [parts.connect(ip, failure="connection_refused" if how == "refused" else None)]
    shaken = parts.shake(ip, failure, name=host)
    if failure is None:
        kept = [{"format": "base64", "data": one} for one in chain]
        shaken["peer_certificates"] = kept
    made = parts.measurement(
        url,
        queries=queries,
        tcp=tcp,
        tls=[] if how == "refused" else [shaken],
        requests=[parts.request(url, ip, body=page)] if not how else [],
        control=parts.helper(
            [ip],
            name=host,
            title=page.partition("<title>")[2].partition("<")[0],
            length=len(page),
        ),
        said=(False, "http-failure") if how else (True, False),
    )
    made["test_keys"]["network_events"] = [
        {
            "operation": "read",
            "address": f"{ip}:443",
            "failure": None,
            "num_bytes": 1400,
            "proto": "tcp",
            "t": n / 100,
            "t0": n / 100,
            "transaction_id": tcp[0]["transaction_id"],
        }
        for n in range(40)
    ]
    at = STARTED + timedelta(seconds=7 * number)
    made["measurement_start_time"] = f"{at:%Y-%m-%d %H:%M:%S}"
    made["measurement_uid"] = f"{at:%Y%m%d%H%M%S}.{number:06}_KZ_webconnectivity_{number:016x}"
    return made


if __name__ == "__main__":
    main()
