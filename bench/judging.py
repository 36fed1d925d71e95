"""Records judged per second on one core, and what an attacker's largest records cost.

    python -m bench.judging [--against CHECKOUT]

The ordinary records are golden cases of the experiment `web` of 3 to 8 KB; two thirds of them are
sites that work. Each number is the best of several rounds, in processor time. With `--against` the
same records are judged by another checkout too, in turn, and both must give the same verdicts.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_json:
        print(json.dumps(measure()))
        return
    here = _measured_by(ROOT)
    other = _measured_by(options.against) if options.against else {}
    for name, value in here.items():
        if name != "verdicts":
            print(f"{name:44} {value:10.1f}" + (f" {other[name]:10.1f}" if other else ""))
    if other:
        same = here["verdicts"] == other["verdicts"]
        print("verdicts are the same" if same else "VERDICTS DIFFER")
        raise SystemExit(not same)


def _measured_by(checkout: Path) -> dict[str, float]:
    """The numbers of the code in a checkout, by this file and the cases beside it."""
    script = f"import sys; sys.path[:0] = [{str(checkout)!r}, {str(ROOT)!r}]; import runpy\n"
    script += (
        f"sys.argv = ['judging', '--as-json']; runpy.run_path({__file__!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure() -> dict[str, float]:
    """What the code on the path does."""
    import hashlib

    import msgspec

    from probe import codec
    from probe.judge import judge
    from tests.probe.growth import WAYS, grown, seconds

    records = {}
    for path in sorted(CASES.rglob("*.json")):
        case = json.loads(path.read_text())
        name = f"{path.parent.name}/{path.stem}"
        records[name] = codec.decode(json.dumps(case["record"]).encode())
    lines = {name: codec.encode(record) for name, record in records.items()}
    ordinary = [
        n for n, r in records.items() if r.experiment == "web" and 3e3 < len(lines[n]) < 8e3
    ]
    fine = [n for n in ordinary if judge(records[n]).outcome == "ok"]
    mixed = [*fine * 2, *(n for n in ordinary if n not in fine)]
    mean = sum(len(lines[n]) for n in mixed) / len(mixed)

    def per_second(work: Callable[[], object], count: int) -> float:
        return count / seconds(work, times=ROUNDS)

    numbers = {
        "ordinary records, bytes": mean,
        "ordinary records decoded a second": per_second(
            partial(lambda: [codec.decode(lines[n]) for n in mixed]), len(mixed)
        ),
        "ordinary records judged a second": per_second(
            partial(lambda: [judge(records[n]) for n in mixed]), len(mixed)
        ),
    }
    for experiment in sorted({r.experiment for r in records.values()}):
        own = [r for r in records.values() if r.experiment == experiment]
        rate = per_second(partial(lambda own=own: [judge(r) for r in own]), len(own))
        numbers[f"{experiment}: judged a second"] = rate
        first = max(own, key=lambda r: len(r.steps))
        cost = max(seconds(partial(judge, grown(first, 1000, way)), times=1) for way in WAYS)
        numbers[f"{experiment}: 1000 steps, milliseconds"] = cost * 1000
    verdicts = b"".join(msgspec.json.encode(judge(r)) for r in records.values())
    return {**numbers, "verdicts": int(hashlib.sha256(verdicts).hexdigest()[:12], 16)}


if __name__ == "__main__":
    main()
