"""What `trace` says on paths of several routers: false accusations, and boxes that it finds.

    python -m bench.paths [--times 20] [--groups chain,far_ways] [--only far] [--append FILE]

Each situation of `probe/lab/paths.py` is traced until there are so many traces of it. The table
has, for each, how often it was accused and how often the answer was right. With `--append`, the
traces are kept in a file, one JSON object a line with the load of the machine, and those of earlier
calls count: a benchmark that was interrupted goes on where it was.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic

from probe.lab.paths import SITUATIONS, PathResult, PathSituation, groups, trace_all

Traces = dict[str, list[PathResult]]
GROUPS = {
    f"{shape.how}{'_lossy' if line.loss else ''}": tuple(group)
    for (shape, line), group in groups(SITUATIONS).items()
}
_BY_NAME = {one.name: one for one in SITUATIONS}


def read(file: Path) -> Iterator[PathResult]:
    """The traces in a file; those of situations that are no more are left out."""
    for line in file.read_text().splitlines() if file.exists() else ():
        said = json.loads(line)
        situation = _BY_NAME.get(said["situation"])
        place = (said["place"][0], said["place"][1]) if said["place"] else None
        if situation is not None:
            yield PathResult(situation, said["outcome"], said["rule"], place)


def as_line(result: PathResult) -> str:
    """One trace as a line of the file."""
    load = round(os.getloadavg()[0], 1)
    said = {"situation": result.situation.name, "outcome": result.outcome, "rule": result.rule}
    return json.dumps({**said, "place": result.place, "load": load}) + "\n"


def rounds(group: Iterable[PathSituation], done: Traces, times: int) -> Iterator[PathResult]:
    """Trace what is missing of a group; the seconds of each round go to standard error."""
    while missing := [one for one in group if len(done.get(one.name, ())) < times]:
        most = min(times - len(done.get(one.name, ())) for one in missing)
        began, before = monotonic(), sum(map(len, done.values()))
        for result in trace_all(missing, most):
            done.setdefault(result.situation.name, []).append(result)
            yield result
        if sum(map(len, done.values())) == before:
            raise SystemExit("a round ended without a trace")
        each = (monotonic() - began) / most
        what = f"{missing[0].shape.how}: {most} times {len(missing)} traces"
        print(f"{what}, {each:.0f} s for each time", file=sys.stderr, flush=True)


def row(name: str, results: list[PathResult]) -> str:
    """One situation as a row of the table."""
    kind = results[0].situation.kind
    accused = sum(one.outcome == "blocked" for one in results)
    right = sum(one.right for one in results)
    rules = ", ".join(f"{n} {rule}" for rule, n in Counter(one.rule for one in results).items())
    return f"| {name} | {kind} | {len(results)} | {accused} | {right} | {rules} |"


def summary(every: Iterable[PathResult]) -> str:
    """How many innocent traces were accused, and how many answers were wrong."""
    traces = list(every)
    false = sum(one.false_accusation for one in traces)
    innocent = sum(one.situation.kind != "box" for one in traces)
    wrong = sum(not one.right for one in traces)
    return f"{false} of {innocent} innocent traces accused; {wrong} of {len(traces)} wrong"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--only", default="", help="situations whose name has this in it")
    parser.add_argument("--groups", default=",".join(GROUPS), help="default: %(default)s")
    parser.add_argument("--append", type=Path, metavar="FILE", help="keep the traces here")
    options = parser.parse_args()
    options.groups = options.groups.split(",")
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(unknown)}; there are: {', '.join(GROUPS)}")
    return options


def main() -> None:
    """Trace, and print a Markdown table."""
    options = _options()
    done: Traces = {}
    for result in read(options.append) if options.append else ():
        done.setdefault(result.situation.name, []).append(result)
    chosen: list[PathSituation] = []
    for name in options.groups:
        group = [one for one in GROUPS[name] if options.only in one.name]
        chosen += group
        for result in rounds(group, done, options.times):
            if options.append:
                with options.append.open("a") as file:
                    file.write(as_line(result))
    print("| situation | kind | traces | accused | right | rules |\n|---|---|---|---|---|---|")
    for situation in chosen:
        print(row(situation.name, done[situation.name]))
    print("\n" + summary(one for each in chosen for one in done[each.name]))


if __name__ == "__main__":
    main()
