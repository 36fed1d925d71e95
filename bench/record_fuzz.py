"""Send mutated records through what a collector does with them: decode, judge, make a row.

    python -m bench.record_fuzz [--minutes 30] [--seed N] [--seconds 1.0]

Each mutant is a golden case with a few changes at places that its own structure names: numbers at
their bounds, other words, copied and swapped parts, deep nesting, repeated keys, odd characters. An
exception other than a refusal, a record that takes longer than `--seconds` of processor time, and a
row that does not survive its own encoding are findings; each is printed with its seed.
"""

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from probe import codec  # noqa: E402 - the checkout beside this file is what is measured
from probe.failure import Failure  # noqa: E402 - the same
from probe.judge import judge  # noqa: E402 - the same
from probe.model import Record, Role  # noqa: E402 - the same
from probe.words import EXPERIMENTS  # noqa: E402 - the same

CASES = ROOT / "tests" / "cases"
# The share of mutants whose steps are repeated up to the largest allowed number.
MANY_STEPS = 0.03
NUMBERS = (0, 1, -1, 2, 32, 33, 255, 65_535, 65_536, 2**31, 2**32 - 1, 2**50, 2**63 - 1, 10**40)
FLOATS = (0.0, -0.0, 1e-9, 0.5, 900.0, -900.0, 2_678_400.0, -2_678_400.0, 1e300, 5e-324)
TEXTS = (
    *("", "a", "x" * 64, "x" * 256, "я" * 300, "\u202e", "\x00", "\n", "é" * 8, "0", "::1"),
    *("1.2.3.4", "10.0.0.1", "999.1.1.1", "fe80::1%eth0", "::ffff:1.2.3.4", "[", "http://[", "%"),
    *("https://a.example/", "http://a.example:99999/", "//", "https://xn--/", "system", "doh"),
    *("0" * 16, "f" * 16, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-13-45T99:99:99Z"),
    *("name:", "aki:", "=cmd()", "{name}", "%s", "CN=a\\,CN=b", "CN=" + "a" * 250, "\ud7ff\ue000"),
)
WORDS = (*map(str, Failure), *map(str, Role), *EXPERIMENTS, "A", "AAAA", "HTTPS", "udp", "tcp")


@dataclass(frozen=True)
class FuzzFinding:
    """What went wrong with one mutant."""

    seed: str
    what: str
    line: bytes


def corpus(folder: Path = CASES) -> dict[str, Any]:
    """The records of the golden cases, as JSON values."""
    cases = {path.stem: json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))}
    return {name: case["record"] for name, case in cases.items()}


def mutant(records: dict[str, Any], seed: str) -> bytes:
    """The line of one mutated record."""
    chance = random.Random(seed)
    record = json.loads(json.dumps(records[chance.choice(sorted(records))]))
    places = list(_places(record))
    for _ in range(chance.choice((1, 1, 2, 3, 6, 12))):
        # An earlier change may have removed the place.
        with suppress(LookupError, TypeError, AttributeError):
            _change(record, places, records, chance)
    if chance.random() < MANY_STEPS:
        _repeat_steps(record, chance)
    line = json.dumps(record, ensure_ascii=chance.random() < 0.5)
    return _bytes_changed(line.encode("utf-8", "surrogatepass"), chance)


def _change(
    record: Any, places: Sequence[tuple[Any, Any]], records: dict[str, Any], chance: random.Random
) -> None:
    holder, key = chance.choice(places)
    donor = records[chance.choice(sorted(records))]
    match chance.randrange(10):
        case 0:
            del holder[key]
        case 1:
            other, name = chance.choice(places)
            holder[key] = _copied(other[name])
        case 2:
            holder[key:key] = [_copied(holder[key]) for _ in range(chance.choice((1, 5, 40)))]
        case 3:
            record["steps"] = [*record.get("steps", []), *_copied(donor.get("steps", []))]
        case 4:
            part = chance.choice(("control", "line", "earlier", "experiment", "input", "loaded"))
            record[part] = _copied(donor.get(part, record.get(part)))
        case _:
            holder[key] = _other(holder[key], chance)


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value, by what holds it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(items):
        yield value, key
        if isinstance(part, dict | list):
            yield from _places(part)


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return chance.choice((not value, None))
    if isinstance(value, int):
        return chance.choice((*NUMBERS, value + 1, -value, None))
    if isinstance(value, float):
        return chance.choice((*FLOATS, value * 1000, -value, None))
    if isinstance(value, str):
        return chance.choice((*TEXTS, chance.choice(WORDS), value[::-1], value * 3, None))
    if value is None:
        return chance.choice((0, 0.5, "x", True, [], {}))
    return chance.choice((None, [], {}, [value], value))


def _repeat_steps(record: Any, chance: random.Random) -> None:
    steps = record.get("steps")
    if not isinstance(steps, list) or not steps:
        return
    for number in range(min(len(steps) * chance.choice((2, 8, 60)), 2000) - len(steps)):
        copy = _copied(steps[number])
        if isinstance(copy, dict):
            copy["id"] = len(steps) + 1
            copy["hop"] = chance.choice((copy.get("hop", 0), chance.randrange(33)))
        steps.append(copy)


def _bytes_changed(line: bytes, chance: random.Random) -> bytes:
    """Now and then something that no JSON value holds: repeated keys, nesting, odd bytes."""
    where = chance.randrange(len(line))
    changed = {
        0: line.replace(b'{"', b'{"op":"dns","op":"tls","', 1),
        1: line.replace(b"[", b"[" * 3000, 1),
        2: line[:where] + b"\xff\xfe" + line[where:],
        3: line[:where] + line[where + 1 :],
        4: line.replace(b'"steps":', b'"steps":[],"steps":', 1),
        5: line.replace(b": 0", b": 1e999", 2).replace(b": 1", b": NaN", 1),
    }
    return changed.get(chance.randrange(40), line)


def examine(line: bytes, seed: str, *, seconds: float) -> tuple[str, FuzzFinding | None]:
    """What became of one line: a word for the statistics, and a finding if there is one."""
    began = time.process_time()
    try:
        record = codec.decode(line)
    except codec.CodecError as error:
        if len(str(error)) > 1000:
            return "refused", FuzzFinding(seed, "a refusal of more than 1000 characters", line)
        return "refused", None
    try:
        _through(record)
    except Exception:  # noqa: BLE001 - what is looked for
        return "raised", FuzzFinding(seed, traceback.format_exc(limit=-4), line)
    took = time.process_time() - began
    if took > seconds:
        text = f"{took:.2f} s for {len(record.steps)} steps of {record.experiment}"
        return "slow", FuzzFinding(seed, text, line)
    return "judged", None


def _through(record: Record) -> None:
    """Judge it and make its row, as far as this is independent of a store."""
    verdict = judge(record)
    judged = record.__class__(
        **{name: getattr(record, name) for name in record.__struct_fields__ if name != "verdict"},
        verdict=verdict,
    )
    again = codec.check(codec.encode(judged))
    if again.verdict != verdict:
        raise ValueError("the verdict does not survive its encoding")
    _row(record)


def _row(record: Record) -> None:
    from collector import record_row
    from collector.target_labels import TargetLabels

    context = record_row.BatchContext("k" * 32, record.vantage.role, record.lab, NOW)
    if record_row.refusal(record, context) is None:
        labels = TargetLabels(())
        record_row.make_row(record, context, labels=labels, judge=judge)


NOW = time.time()


def run(minutes: float, seed: int, seconds: float) -> list[FuzzFinding]:
    """Examine mutants for so long; print statistics at the end."""
    records = corpus()
    counts: Counter[str] = Counter()
    found: list[FuzzFinding] = []
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        name = f"{seed}:{counts.total()}"
        line = mutant(records, name)
        word, finding = examine(line, name, seconds=seconds)
        counts[word] += 1
        if finding is not None:
            found.append(finding)
            print(f"--- {finding.seed}\n{finding.what}", flush=True)
    print(f"{counts.total()} records: {dict(counts)}; {len(found)} findings")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    raise SystemExit(bool(run(options.minutes, options.seed, options.seconds)))


if __name__ == "__main__":
    main()
