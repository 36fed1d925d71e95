"""Run the comparison, or parts of it, and print its tables.

    python -m bench.peers [field|catalogue|throttled|uncontrolled|report]… [--out FILE]

Runs are appended to FILE, so that parts can run separately; `report` prints its tables. Without
steps it builds the peer and runs everything.
"""

import argparse
import os
import tempfile
from pathlib import Path

from bench.field.testbed import machine
from bench.peers import adapter, build, on_catalogue, on_field, tally

STEPS = ("field", "catalogue", "throttled", "uncontrolled", "report")


def report(out: Path, *, wrong: bool) -> None:
    """Print all tables of a file."""
    runs = tally.grouped(tally.load(out))
    print(machine())
    for testbed in dict.fromkeys(run.testbed for run in runs):
        here = [run for run in runs if run.testbed == testbed]
        print(f"\n### {testbed}\n\n{tally.costs(here)}")
        ours = [run for run in here if run.program.startswith("qazprobe")]
        for peer in (run for run in here if run not in ours):
            for one in ours[-1:]:
                print(f"\n{one.program}, against {peer.program}:\n\n{tally.matrix(one, peer)}")
        for run in here if wrong else []:
            print(f"\n{run.program}: not right\n{tally.wrong(run)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []], help="default: all of them")
    parser.add_argument("--out", type=Path, help="runs are appended to this file")
    parser.add_argument("--sites", type=int, nargs="+", default=[100])
    parser.add_argument("--blocked", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--parts", default="1-4/4", help="of the catalogue: FIRST-LAST/ALL")
    parser.add_argument("--limit", type=int, default=420, help="seconds for the peer in each run")
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--wrong", action="store_true", help="list every URL with a wrong verdict")
    options = parser.parse_args()
    steps = options.steps or STEPS
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {adapter.CORE} or {adapter.CORE})
    out = options.out or Path(tempfile.mkdtemp(prefix="qazprobe-peers-")) / "runs.jsonl"
    if not options.steps:
        build.main()
    if "field" in steps:
        for sites in options.sites:
            for blocked in options.blocked:
                on_field.main(sites, blocked, options.limit, options.only, out)
    if "catalogue" in steps:
        span, _, parts = options.parts.partition("/")
        first, _, last = span.partition("-")
        for part in range(int(first), int(last or first) + 1):
            on_catalogue.main(part, int(parts), options.limit, options.only, out)
    for name in ("throttled", "uncontrolled"):
        if name in steps:
            on_catalogue.main_special(name, options.limit, options.only, out)
    if "report" in steps:
        report(out, wrong=options.wrong)
    print(f"runs are in {out}")


if __name__ == "__main__":
    main()
