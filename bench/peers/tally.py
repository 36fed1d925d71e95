"""Two programs' words set beside the truth, and the tables that come of it.

OONI's words are its two fields as one: what `blocking` names, or `accessible`, `site down` (neither
blocked nor accessible), `no verdict` (null). It has no word for throttled or refused: a page that
the server withholds counts as rightly told whether it is called accessible or down.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.peers.adapter import Bill, total

_BLOCKING = frozenset({"dns", "tcp_ip", "http-failure", "http-diff"})
ACCUSING = frozenset({"blocked", "intercepted", "throttled"}) | _BLOCKING
UNDECIDED = frozenset({"inconclusive", "no verdict", "broke off"})
KINDS = ("right", "missed", "accused", "undecided", "other")
# What the peer should say where the truth is one of ours; none of its words is one of ours.
_TOLD = {
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
    """One URL. also: outcomes that would be right as well as the truth."""

    url: str
    truth: str
    also: tuple[str, ...]
    word: str

    @property
    def kind(self) -> str:
        """Right, missed, accused (without ground), undecided (and could have told), or other."""
        allowed = {self.truth, *self.also}
        told = allowed.union(*(_TOLD.get(one, frozenset()) for one in allowed))
        if self.word in told:
            return "right"
        if self.word in UNDECIDED:
            return "undecided"
        if allowed & ACCUSING:
            return "missed"
        return "accused" if self.word in ACCUSING else "other"


@dataclass(frozen=True)
class Run:
    """One program over one ground. starting: seconds before its first target."""

    testbed: str
    program: str
    asked: int
    bill: Bill
    starting: float
    verdicts: tuple[Verdict, ...]

    def save(self, path: Path) -> None:
        with path.open("a") as out:
            out.write(json.dumps(asdict(self)) + "\n")


def load(path: Path) -> list[Run]:
    """Every run that a file has."""
    found = []
    for line in path.read_text().splitlines():
        read = json.loads(line)
        verdicts = tuple(
            Verdict(one["url"], one["truth"], tuple(one["also"]), one["word"])
            for one in read.pop("verdicts")
        )
        found.append(Run(**{**read, "bill": Bill(**read["bill"]), "verdicts": verdicts}))
    return found


def merged(runs: Sequence[Run]) -> Run:
    """The parts of one program's run over one ground as one."""
    bill = total([run.bill for run in runs])
    verdicts = tuple(verdict for run in runs for verdict in run.verdicts)
    starting, asked = sum(run.starting for run in runs), sum(run.asked for run in runs)
    return Run(runs[0].testbed, runs[0].program, asked, bill, starting, verdicts)


def grouped(runs: Iterable[Run]) -> list[Run]:
    """Parts put together, in the order in which they first came."""
    parts: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        parts.setdefault((run.testbed, run.program), []).append(run)
    return [merged(group) for group in parts.values()]


_HEAD = ("program", "targets done", "seconds", "starting", "a minute", "ms CPU", "MB", "KB down",
         "KB up", *KINDS)  # fmt: skip


def costs(runs: Sequence[Run]) -> str:
    """What each came to, a target, as a table; starting is not in the rate."""
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for run in runs:
        done, bill = len(run.verdicts) or 1, run.bill
        kinds = Counter(verdict.kind for verdict in run.verdicts)
        numbers = (
            f"{len(run.verdicts)} of {run.asked}",
            f"{bill.seconds:.0f}",
            f"{run.starting:.0f}",
            f"{60 * done / (bill.seconds - run.starting):.0f}",
            f"{1000 * bill.cpu / done:.1f}",
            f"{bill.memory / 1e6:.0f}",
            f"{bill.down / done / 1000:.1f}",
            f"{bill.up / done / 1000:.1f}",
        )
        rows.append((run.program, *numbers, *(str(kinds[kind]) for kind in KINDS)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def matrix(one: Run, other: Run) -> str:
    """How two programs' words fall together, over the URLs that both got to."""
    words = {verdict.url: verdict.word for verdict in other.verdicts}
    pairs = Counter((v.truth, v.word, words[v.url]) for v in one.verdicts if v.url in words)
    across = sorted({pair[2] for pair in pairs})
    rows = [("truth", one.program, *across), tuple("---" for _ in range(2 + len(across)))]
    for truth, word in sorted({pair[:2] for pair in pairs}):
        counted = (pairs[truth, word, there] for there in across)
        rows.append((truth, word, *(str(count or "") for count in counted)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def wrong(run: Run) -> str:
    """Every URL of which a program was not right, with what it said."""
    return "\n".join(
        f"{v.kind:10} {v.url:48} {v.truth:13} {v.word}" for v in run.verdicts if v.kind != "right"
    )
