"""The probe's processor time by stage, milliseconds per target.

python -m bench.stages [--sites 700] [--blocked 0.1]
"""

import argparse
import json

from bench.field.plan import Spec
from bench.field.testbed import FieldTestbed, machine


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds of processor a target, by stage.")
    parser.add_argument("--sites", type=int, default=700)
    parser.add_argument("--blocked", type=float, default=0.1)
    options = parser.parse_args()
    print(machine())
    with FieldTestbed(Spec(sites=options.sites, blocked=options.blocked)) as testbed:
        out = testbed.folder / "stages.json"
        cost = testbed.probe(sampled=str(out))
        seconds: dict[str, float] = json.loads(out.read_text())
    whole = sum(seconds.values())
    each = 1000 * cost.cpu / options.sites
    for name, spent in sorted(seconds.items(), key=lambda one: -one[1]):
        print(f"{name:26}{each * spent / whole:8.2f} ms{spent / whole:6.0%}")
    print(f"{'all':26}{each:8.2f} ms, by the kernel's account; the shares are sampled")


if __name__ == "__main__":
    main()
