"""What earlier runs on this machine concluded of a target, when that may confirm a verdict.

Only the newest runs are read, and only when there is something to confirm. What they said goes into
the record, so that anybody can judge it again (`reading/repeated.py` says what it amounts to).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from probe.analysis.confirmation import ENDS, INTERFERENCE, SUSPECTED_ONCE, WEEK
from probe.model import Earlier, Record, Verdict
from probe.runner.results import RecordHeader, Results, ResultsError, briefs

RUNS = 16
KEPT = 6


class History:
    """The words of earlier runs on each target; `run` is the one that is under way."""

    def __init__(self, results: Results, run: str) -> None:
        self._results = results
        self._run = run

    def earlier(self, record: Record) -> tuple[Earlier, ...]:
        """What was concluded before, newest first, back to the first that found nothing wrong."""
        if record.verdict is None or not _doubtful(record.verdict):
            return ()
        found: list[Earlier] = []
        for one in reversed(self._known.get((record.experiment, record.input), ())):
            told = _told(one, record)
            if told is None:
                continue
            if told.outcome in ENDS:
                break
            found.append(told)
        return tuple(found[:KEPT])

    @cached_property
    def _known(self) -> Mapping[tuple[str, str], list[RecordHeader]]:
        found: dict[tuple[str, str], list[RecordHeader]] = defaultdict(list)
        for one in self._earlier():
            found[one.experiment, one.input].append(one)
        return found

    def _earlier(self) -> Iterable[RecordHeader]:
        """Heads of the records of earlier runs, oldest first."""
        files = [file for file in self._results.files() if file.stem != self._run]
        try:
            return list(briefs(files[-RUNS:]))
        except (OSError, ResultsError):
            return ()


def _doubtful(verdict: Verdict) -> bool:
    suspected = any(hit.id == SUSPECTED_ONCE for hit in verdict.rules)
    return suspected or verdict.outcome in INTERFERENCE


def _told(known: RecordHeader, record: Record) -> Earlier | None:
    """As the new record has it; None when it is too long ago, or of another world."""
    if known.verdict is None or known.lab != record.lab:
        return None
    try:
        began = datetime.fromisoformat(known.started_at)
        age = (began - datetime.fromisoformat(record.started_at)).total_seconds()
    except (ValueError, TypeError):
        return None
    if not -WEEK <= age <= 0:
        return None
    return Earlier(
        run=known.run,
        age=round(age, 1),
        outcome=known.verdict.outcome,
        mechanisms=known.verdict.mechanisms,
        rule=known.verdict.rules[0].id if known.verdict.rules else None,
    )
