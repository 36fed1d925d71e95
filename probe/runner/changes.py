"""What changed between two runs: interference that began, ended, or changed its mechanism.

Only what is certain counts: interference that a later run confirmed, and targets that answered.
What was inconclusive, offline, down everywhere or seen only once says nothing, so the state before
it is still the known one; for this the runs before the two are read too. Runs on different networks
are never mixed: a site that works elsewhere has not been unblocked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from probe.escape import plain
from probe.i18n import N_, _
from probe.model import Mechanism, Outcome, Stage
from probe.report.findings import ACCUSING
from probe.report.glossary import word
from probe.report.table import target_label
from probe.runner.results import RecordHeader, RunSummary, lines

Kind = Literal["began", "ended", "changed"]
# How many runs before the earlier one are read to know what was the case then.
LOOK_BACK = 64
_CLEAR = (Outcome.OK, Outcome.REFUSED)
_FINISHED = "finished"
_KINDS: Mapping[Kind, str] = {
    "began": N_("began"),
    "ended": N_("ended"),
    "changed": N_("changed"),
}
# A measured thing: experiment and input.
_Key = tuple[str, str]


class State(Struct, frozen=True):
    """What is known about a target: an outcome that is certain, and the mechanisms."""

    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()

    @property
    def interferes(self) -> bool:
        """Whether the network interferes."""
        return self.outcome in ACCUSING

    def __str__(self) -> str:
        how = f" ({', '.join(self.mechanisms)})" if self.mechanisms else ""
        return f"{word(self.outcome)}{how}"


class Change(Struct, frozen=True):
    """One change of one target, as one experiment saw it."""

    kind: Kind
    experiment: str
    input: str
    before: State
    after: State

    def __str__(self) -> str:
        target = target_label(self.input, self.experiment)
        return f"{_(_KINDS[self.kind])}: {target}: {self.before} → {self.after} [{self.experiment}]"


def complete_runs(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Return the runs that finished and were not offline, of the newest one's network and kind."""
    usable = [
        one for one in runs if one.ended == _FINISHED and set(one.outcomes) - {"inconclusive"}
    ]
    return [one for one in usable if comparable(one, usable[0])]


def comparable(one: RunSummary, other: RunSummary) -> bool:
    """Whether two runs were made on the same network, as far as that is known."""
    networks = {one.vantage.asn, other.vantage.asn} - {None}
    return one.lab == other.lab and len(networks) < 2


def between(files: Sequence[Path], runs: Sequence[RunSummary], old: str, new: str) -> list[Change]:
    """Return the changes from one run to a later one.

    Args:
        runs: Summaries of all runs in these files, newest first.
    """
    by_id = {one.run: one for one in runs}
    before = _known(files, runs, by_id[old])
    after = _known(files, runs, by_id[new])
    return sorted(_changes(before, after), key=lambda one: (one.kind, one.input, one.experiment))


def _known(
    files: Sequence[Path], runs: Sequence[RunSummary], last: RunSummary
) -> Mapping[_Key, State]:
    """Return what is known about each target after this run, from it and the runs before it."""
    earlier = runs[runs.index(last) :][: LOOK_BACK + 1]
    order = {one.run: -place for place, one in enumerate(earlier) if comparable(one, last)}
    known: dict[_Key, tuple[tuple[int, str], State]] = {}
    for header, _line in lines(_holding(files, order)):
        state = certain(header) if header.run in order else None
        if state is None:
            continue
        key, when = (header.experiment, header.input), (order[header.run], header.started_at)
        if key not in known or known[key][0] <= when:
            known[key] = (when, state)
    return {key: state for key, (_when, state) in known.items()}


def _holding(files: Sequence[Path], runs: Iterable[str]) -> Sequence[Path]:
    """Leave out files that are named after other runs, as those of the results folder are."""
    named = {path.stem for path in files}
    wanted = set(runs)
    return [path for path in files if path.stem in wanted] if wanted <= named else files


def certain(header: RecordHeader) -> State | None:
    """Return what a record proves; None if it proves nothing."""
    verdict = header.verdict
    if verdict is None:
        return None
    if verdict.outcome in ACCUSING and verdict.stage is Stage.CONFIRMED:
        return State(verdict.outcome, tuple(sorted(verdict.mechanisms)))
    return State(verdict.outcome) if verdict.outcome in _CLEAR else None


def _changes(before: Mapping[_Key, State], after: Mapping[_Key, State]) -> Iterator[Change]:
    for key, now in after.items():
        then = before.get(key)
        if then is None or then == now:
            continue
        kind: Kind | None = None
        if then.interferes and now.interferes:
            kind = "changed"
        elif then.interferes or now.interferes:
            kind = "ended" if then.interferes else "began"
        if kind is not None:
            yield Change(kind, *key, then, now)


def counts(changes: Iterable[Change]) -> dict[Kind, int]:
    """Return the number of changes of each kind."""
    found = [one.kind for one in changes]
    return {kind: found.count(kind) for kind in _KINDS}


def text(changes: Iterable[Change]) -> list[str]:
    """Return one line for each change, in the user's language and safe to print."""
    return [plain(str(one), 500) for one in changes]
