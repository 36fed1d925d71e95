"""What several experiments found at one target, as one finding.

Only `web` measures a page; the other experiments measure the name of its site. What they find
counts for every measured page of that site, so that a site is never `ok` in one row and
`throttled` in another.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from probe.model import Mechanism, Outcome, Stage
from probe.report.names import host_of_or_none

ACCUSING = (Outcome.INTERCEPTED, Outcome.BLOCKED, Outcome.THROTTLED)
# Gravest first. What is certain counts more than what could not be judged.
_GRAVITY = (*ACCUSING, Outcome.REFUSED, Outcome.DOWN, Outcome.OK, Outcome.INCONCLUSIVE)
# The order of rows: what needs attention first.
ROW_ORDER = (*ACCUSING, Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.DOWN, Outcome.OK)
_PAGES = "web"
_RUN = "run"


class Hit(Protocol):
    """A rule that matched."""

    @property
    def id(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Conclusion(Protocol):
    """A verdict, of a whole record or of its header."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def mechanisms(self) -> tuple[Mechanism, ...]: ...
    @property
    def stage(self) -> Stage: ...
    @property
    def confidence(self) -> float: ...
    @property
    def rules(self) -> Sequence[Hit]: ...


class JudgedRecord(Protocol):
    """A record, or the header of one."""

    @property
    def id(self) -> str: ...
    @property
    def experiment(self) -> str: ...
    @property
    def input(self) -> str: ...
    @property
    def category(self) -> str | None: ...
    @property
    def started_at(self) -> str: ...
    @property
    def verdict(self) -> Conclusion | None: ...


J = TypeVar("J", bound=JudgedRecord)


@dataclass(frozen=True, slots=True)
class TargetFinding(Generic[J]):
    """All records about one target.

    Attributes:
        target: The URL, or the id of a service; empty for the connection itself.
        gravest: The record that decides the row.
        records: One for each experiment: the page first, then in the order in which they began.
    """

    target: str
    gravest: J
    records: tuple[J, ...]

    @property
    def verdict(self) -> Conclusion:
        """The verdict that decides the row."""
        verdict = self.gravest.verdict
        if verdict is None:
            raise ValueError("records without a verdict are left out")
        return verdict

    @property
    def outcome(self) -> Outcome:
        """The outcome that decides the row."""
        return self.verdict.outcome

    @property
    def category(self) -> str | None:
        """The category of the target, if one of the records knows it."""
        return next((record.category for record in self.records if record.category), None)

    @property
    def certain(self) -> float:
        """The confidence in the outcome."""
        return self.verdict.confidence


def findings(records: Iterable[J]) -> list[TargetFinding[J]]:
    """Group the records of a run by target, in the order of the rows."""
    pages: dict[str, list[J]] = defaultdict(list)
    names: dict[str, list[J]] = defaultdict(list)
    for record in records:
        if record.verdict is not None and record.experiment != _RUN:
            own = record.experiment == _PAGES
            (pages if own else names)[record.input if own else _site(record)].append(record)
    sites = {host_of_or_none(url) for url in pages}
    found = [
        _finding(url, [*seen, *names.get(host_of_or_none(url) or url, ())])
        for url, seen in pages.items()
    ]
    found += [_finding(seen[0].input, seen) for site, seen in names.items() if site not in sites]
    return sorted(found, key=lambda one: (ROW_ORDER.index(one.outcome), one.target))


def gravity(record: JudgedRecord) -> int:
    """Return how grave a record's outcome is; 0 is the gravest."""
    return _GRAVITY.index(record.verdict.outcome) if record.verdict else len(_GRAVITY)


def _site(record: JudgedRecord) -> str:
    """Return the host that an experiment measured; the connection has one for each experiment."""
    return host_of_or_none(record.input) or record.input or f"{record.experiment}:"


def _finding(target: str, seen: list[J]) -> TargetFinding[J]:
    """Return the finding of these records; of two by one experiment the graver one is kept."""
    kept: dict[str, J] = {}
    for record in sorted(seen, key=lambda one: (one.experiment != _PAGES, one.started_at)):
        before = kept.get(record.experiment)
        if before is None or gravity(record) <= gravity(before):
            kept[record.experiment] = record
    return TargetFinding(target, min(kept.values(), key=_decides), tuple(kept.values()))


def _decides(record: JudgedRecord) -> tuple[int, int]:
    """Sort key: interference decides; otherwise the page itself, which is what a person opens."""
    grave = gravity(record)
    accuses = grave < len(ACCUSING)
    return (grave if accuses else len(ACCUSING) + (record.experiment != _PAGES), grave)
