"""What `trace` says on paths of several routers: false accusations, and boxes that it finds.

    python -m bench.paths [--times 20] [--only far]

Each situation of `probe/lab/paths.py` is traced so many times. The table has, for each, how often
it was accused and how often the answer was right.
"""

import argparse
from collections import Counter

from probe.lab.paths import SITUATIONS, PathResult, groups, trace_all


def _row(name: str, results: list[PathResult]) -> str:
    kind = results[0].situation.kind
    accused = sum(one.outcome == "blocked" for one in results)
    right = sum(one.right for one in results)
    rules = ", ".join(f"{n} {rule}" for rule, n in Counter(one.rule for one in results).items())
    return f"| {name} | {kind} | {len(results)} | {accused} | {right} | {rules} |"


def main() -> None:
    """Trace, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--only", default="", help="situations whose name has this in it")
    arguments = parser.parse_args()
    chosen = [one for one in SITUATIONS if arguments.only in one.name]
    every: list[PathResult] = []
    print("| situation | kind | traces | accused | right | rules |\n|---|---|---|---|---|---|")
    for group in groups(chosen).values():
        results = list(trace_all(group, arguments.times))
        every += results
        for situation in group:
            own = [one for one in results if one.situation is situation]
            print(_row(situation.name, own), flush=True)
    false = sum(one.false_accusation for one in every)
    innocent = sum(one.situation.kind != "box" for one in every)
    wrong = sum(not one.right for one in every)
    print(f"\n{false} of {innocent} innocent traces accused; {wrong} of {len(every)} wrong")


if __name__ == "__main__":
    main()
