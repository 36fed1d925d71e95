"""Compare stated confidence with how often the verdict was right: reliability table, Brier score.

Every scenario with the default line runs on a lossy line several times, each run with another seed.
Confidences were set before these runs. Scenarios whose names hash to an odd number are also
reported separately: a fixed half of the catalogue, since no held-out set was kept.

    python -m bench.calibration --line loss_5 --runs 3 --keep rows.jsonl
    python -m bench.calibration --from rows.jsonl          the tables alone
"""

import argparse
import json
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from probe.lab.catalogue.lines import LINES
from probe.lab.matrix import MatrixRow, move_to_line, run_matrix, select_scenarios
from probe.model import Outcome

_EDGES = (0.0, 0.6, 0.8, 0.88, 0.92, 0.96, 1.01)
_INTERFERING = {Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED}

Verdicts = Sequence[dict[str, object]]


def rows(line: str, runs: int, pattern: str, after: int = 0) -> Iterable[dict[str, object]]:
    """Run the scenarios; yield every verdict and whether it was right."""
    scenarios = [s for s in select_scenarios(pattern) if "throttle" not in s.experiments]
    is_default = [s for s in scenarios if not s.environment.control.startswith("st")]
    for result in run_matrix(move_to_line(is_default, LINES[line]), runs=runs, seed=1 + after):
        if result.problem:
            print(f"left out: {result.environment}: {result.problem}")
        for row in result.rows:
            yield {**_as_dict(row, line), "run": row.run + after}


def _as_dict(row: MatrixRow, line: str) -> dict[str, object]:
    return {
        "scenario": row.scenario.name,
        "url": row.expect.url,
        "line": line,
        "run": row.run,
        "wanted": row.expect.outcome,
        "outcome": row.actual.outcome,
        "confidence": row.actual.confidence,
        "right": row.outcome_right,
        "mechanisms_right": row.right,
        "falsely_accused": row.false_positive,
        "rules": list(row.actual.rules),
    }


def table(verdicts: Verdicts) -> str:
    """A reliability table of the conclusive verdicts."""
    concluded = [v for v in verdicts if v["outcome"] not in {Outcome.INCONCLUSIVE, "(no record)"}]
    lines = ["| stated | verdicts | mean stated | right |", "|---|---|---|---|"]
    for low, high in pairwise(_EDGES):
        part = [v for v in concluded if low <= _confidence(v) < high]
        if part:
            stated = sum(map(_confidence, part)) / len(part)
            right = sum(bool(v["right"]) for v in part) / len(part)
            end = min(high, 1.0)
            lines.append(f"| {low:.2f} to {end:.2f} | {len(part)} | {stated:.3f} | {right:.3f} |")
    return "\n".join(lines)


def _confidence(verdict: dict[str, object]) -> float:
    value = verdict["confidence"]
    return float(value) if isinstance(value, int | float) else 0.0


def brier(verdicts: Verdicts) -> float:
    """Mean squared distance of stated confidence from truth; 0 is perfect, 0.25 a coin flip."""
    concluded = [v for v in verdicts if v["outcome"] not in {Outcome.INCONCLUSIVE, "(no record)"}]
    return sum((_confidence(v) - bool(v["right"])) ** 2 for v in concluded) / max(1, len(concluded))


def summary(verdicts: Verdicts) -> str:
    """Number of verdicts, recall and false positives."""
    true = [v for v in verdicts if v["wanted"] in _INTERFERING]
    found = sum(bool(v["right"]) and v["outcome"] in _INTERFERING for v in true)
    false = [v for v in verdicts if v["falsely_accused"]]
    runs = len({(v["line"], v["run"]) for v in verdicts})
    share = 100 * found / max(1, len(true))
    lines = [
        f"{len(verdicts)} verdicts in {runs} runs.",
        f"Interference found {found} of {len(true)} times ({share:.1f} %).",
        f"False positives: {len(false)}. Brier score: {brier(verdicts):.4f}.",
    ]
    lines += [f"false positive: {v['scenario']} {v['url']} {v['rules']}" for v in false]
    return "\n".join(lines)


def report(verdicts: Verdicts) -> str:
    """Tables of all scenarios and of the half with odd hashes."""
    group = [v for v in verdicts if zlib.crc32(str(v["scenario"]).encode()) % 2]
    parts = (("All scenarios", verdicts), ("The half with odd hashes", group))
    return "\n\n".join(f"## {name}\n\n{summary(v)}\n\n{table(v)}" for name, v in parts if v)


def main() -> None:
    """Run or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--line", choices=sorted(LINES), default="loss_5")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--after", type=int, default=0, help="number of runs made before")
    parser.add_argument("--scenario", default="*")
    parser.add_argument("--keep", type=Path, help="append verdicts to this file")
    parser.add_argument(
        "--from", dest="source", type=Path, help="read verdicts from this file instead of running"
    )
    options = parser.parse_args()
    if options.source is not None:
        print(report([json.loads(line) for line in options.source.read_text().splitlines()]))
        return
    verdicts = []
    for row in rows(options.line, options.runs, options.scenario, options.after):
        verdicts.append(row)
        if options.keep is not None:
            with options.keep.open("a") as kept:
                kept.write(json.dumps(row) + "\n")
    print(report(verdicts))


if __name__ == "__main__":
    main()
