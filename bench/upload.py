"""The cost of uploading a sweep: bytes and processor time for records of a synthetic internet.

    python -m bench.upload [--sites 300] [--blocked 0.1]

This measures packing and signing in the probe; `ingest` measures the collector.
"""

import argparse
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.field.plan import Spec
from bench.field.testbed import FieldTestbed, machine
from probe import codec


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of uploading a sweep.")
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--blocked", type=float, default=0.1)
    options = parser.parse_args()
    print(machine())
    with FieldTestbed(Spec(sites=options.sites, blocked=options.blocked)) as testbed:
        records = testbed.probe().records
    lines = [codec.encode(record) for record in records]
    key = Ed25519PrivateKey.generate()
    print(f"{'records a batch':>16}{'bytes each':>12}{'packed':>9}{'ratio':>7}{'ms cpu each':>13}")
    for size in (1, 10, 50, codec.BATCH_RECORDS):
        began = time.process_time()
        batches = [codec.pack(lines[at : at + size]) for at in range(0, len(lines), size)]
        for batch in batches:
            key.sign(batch)
        spent = time.process_time() - began
        plain, packed = sum(map(len, lines)), sum(map(len, batches))
        count = len(lines)
        print(
            f"{size:16}{plain / count:12.0f}{packed / count:9.0f}{plain / packed:7.1f}"
            f"{1000 * spent / count:13.2f}"
        )


if __name__ == "__main__":
    main()
