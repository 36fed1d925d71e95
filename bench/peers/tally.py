"""Compare two programs' verdicts with the truth, and make the tables.

OONI's verdict is its two fields as one word: the value of `blocking`, or `accessible`, `site down`
(neither blocked nor accessible), `no verdict` (null). It has no verdict for throttled or refused:
for a page that the server refuses, both `accessible` and `site down` are right.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.peers.adapter import ResourceUsage, total

_BLOCKING = frozenset({"dns", "tcp_ip", "http-failure", "http-diff"})
INTERFERENCE = frozenset({"blocked", "intercepted", "throttled"}) | _BLOCKING
UNDECIDED = frozenset({"inconclusive", "no verdict", "crashed"})
KINDS = ("right", "missed", "false positive", "undecided", "other")
# The peer's right verdicts for each of the probe's outcomes; the two vocabularies are disjoint.
_EQUIVALENT = {
    "blocked": _BLOCKING,
    "intercepted": _BLOCKING,
    "throttled": _BLOCKING,
    "ok": frozenset({"accessible"}),
    "refused": frozenset({"accessible", "site down"}),
    "down": frozenset({"site down"}),
    "inconclusive": frozenset({"no verdict"}),
}


@dataclass(frozen=True)
class Verdict:
    """A verdict on one URL. also: outcomes that are right besides `truth`."""

    url: str
    truth: str
    also: tuple[str, ...]
    verdict: str

    @property
    def kind(self) -> str:
        """Right, missed, false positive, undecided (where a verdict was possible), or other."""
        allowed = {self.truth, *self.also}
        right = allowed.union(*(_EQUIVALENT.get(one, frozenset()) for one in allowed))
        if self.verdict in right:
            return "right"
        if self.verdict in UNDECIDED:
            return "undecided"
        if allowed & INTERFERENCE:
            return "missed"
        return "false positive" if self.verdict in INTERFERENCE else "other"


@dataclass(frozen=True)
class Run:
    """One program in one testbed. starting: seconds before its first target."""

    testbed: str
    program: str
    asked: int
    usage: ResourceUsage
    starting: float
    verdicts: tuple[Verdict, ...]

    def save(self, path: Path) -> None:
        with path.open("a") as out:
            out.write(json.dumps(asdict(self)) + "\n")


def load(path: Path) -> list[Run]:
    """All runs in a file."""
    found = []
    for line in path.read_text().splitlines():
        read = json.loads(line)
        verdicts = tuple(
            Verdict(one["url"], one["truth"], tuple(one["also"]), one["verdict"])
            for one in read.pop("verdicts")
        )
        found.append(Run(**{**read, "usage": ResourceUsage(**read["usage"]), "verdicts": verdicts}))
    return found


def merged(runs: Sequence[Run]) -> Run:
    """The parts of one program's run in one testbed as one run."""
    usage = total([run.usage for run in runs])
    verdicts = tuple(verdict for run in runs for verdict in run.verdicts)
    starting, asked = sum(run.starting for run in runs), sum(run.asked for run in runs)
    return Run(runs[0].testbed, runs[0].program, asked, usage, starting, verdicts)


def grouped(runs: Iterable[Run]) -> list[Run]:
    """Runs with their parts merged, in the order of first appearance."""
    parts: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        parts.setdefault((run.testbed, run.program), []).append(run)
    return [merged(group) for group in parts.values()]


_HEAD = ("program", "targets done", "seconds", "starting", "a minute", "ms CPU", "MB", "KB down",
         "KB up", *KINDS)  # fmt: skip


def costs(runs: Sequence[Run]) -> str:
    """A table of costs per target; the rate excludes starting."""
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for run in runs:
        done, usage = len(run.verdicts) or 1, run.usage
        kinds = Counter(verdict.kind for verdict in run.verdicts)
        numbers = (
            f"{len(run.verdicts)} of {run.asked}",
            f"{usage.seconds:.0f}",
            f"{run.starting:.0f}",
            f"{60 * done / (usage.seconds - run.starting):.0f}",
            f"{1000 * usage.cpu / done:.1f}",
            f"{usage.memory / 1e6:.0f}",
            f"{usage.down / done / 1000:.1f}",
            f"{usage.up / done / 1000:.1f}",
        )
        rows.append((run.program, *numbers, *(str(kinds[kind]) for kind in KINDS)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def matrix(one: Run, other: Run) -> str:
    """A contingency table of two programs' verdicts on the URLs that both measured."""
    verdicts = {verdict.url: verdict.verdict for verdict in other.verdicts}
    pairs = Counter(
        (v.truth, v.verdict, verdicts[v.url]) for v in one.verdicts if v.url in verdicts
    )
    across = sorted({pair[2] for pair in pairs})
    rows = [("truth", one.program, *across), tuple("---" for _ in range(2 + len(across)))]
    for truth, verdict in sorted({pair[:2] for pair in pairs}):
        counted = (pairs[truth, verdict, there] for there in across)
        rows.append((truth, verdict, *(str(count or "") for count in counted)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def wrong(run: Run) -> str:
    """Every URL with a wrong verdict, and the verdict."""
    return "\n".join(
        f"{v.kind:10} {v.url:48} {v.truth:13} {v.verdict}"
        for v in run.verdicts
        if v.kind != "right"
    )
