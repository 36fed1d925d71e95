"""Whether two versions of the probe record the same of one field: `--other TREE` is the second.

    git worktree add /tmp/before HEAD~1
    python -m bench.same_records --other /tmp/before [--sites 300] [--blocked 0.1]

Both measure the same field in turn, and the first one twice, because what a run does depends a
little on its timing. Times and what follows from them (limits, counters of bytes, ids) are left
out. Printed is every field that differs, in how many records, and how often the first differs from
itself.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.field.plan import Spec
from bench.field.testbed import FieldTestbed, machine
from probe.model import Record

# Of a run, of a clock, or of how the network cut the bytes.
_VARYING = frozenset(
    {"id", "run", "started_at", "at", "elapsed", "limit", "bytes_in", "bytes_out", "received_bytes"}
    | {"ttl", "ip_ttl", "line", "loaded", "rate_samples", "arriving", "peak_gap"}
)


def fields(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf of a record with the names on its path, without numbers of items."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in _VARYING:
                known = "" if path == "certs" else f".{name}"  # of which the names are hashes
                yield from fields(item, f"{path}{known}".lstrip("."))
    elif isinstance(value, list | tuple):
        yield f"{path}[]", len(value)
        for item in value:
            kind = item.get("type", "") if isinstance(item, dict) else ""
            yield from fields(item, f"{path}[{kind}]")
    else:
        yield path, value


def differing(one: Sequence[Record], other: Sequence[Record]) -> Counter[str]:
    """In how many records each field differs; steps are compared without regard to their order."""
    before, after = ({(r.experiment, r.input): r for r in every} for every in (one, other))
    found = Counter({"(record missing)": len(before.keys() ^ after.keys())})
    for key in before.keys() & after.keys():
        mine, theirs = (Counter(fields(msgspec.to_builtins(r[key]))) for r in (before, after))
        found.update({path for path, _ in (mine - theirs) | (theirs - mine)})
    return +found


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether two versions record the same.")
    parser.add_argument("--other", type=Path, required=True, metavar="TREE")
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--blocked", type=float, default=0.1)
    options = parser.parse_args()
    print(machine())
    with FieldTestbed(Spec(sites=options.sites, blocked=options.blocked)) as testbed:
        here = testbed.probe().sites
        again = testbed.probe().sites
        there = testbed.probe(tree=options.other).sites
    noise, found = differing(here, again), differing(here, there)
    print(
        f"{len(here)} records; fields that differ: in how many records, and from one run to another"
    )
    for path, number in sorted(found.items(), key=lambda one: -one[1]):
        print(f"{number:6} {noise[path]:6}  {path}")


if __name__ == "__main__":
    main()
