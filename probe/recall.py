"""Whether an earlier run on this machine came to the same: then a verdict is confirmed.

Only the newest runs are read, and only when there is something to confirm.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from probe.model import Outcome, Record
from probe.results import Brief, Results, ResultsError, briefs

INTERFERENCE = frozenset({Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED})
WITHIN = timedelta(days=7)
RUNS = 8


class Recall:
    """The newest word of earlier runs on each target; `run` is the one that is under way."""

    def __init__(self, results: Results, run: str) -> None:
        self._results = results
        self._run = run

    def seen_before(self, record: Record) -> bool:
        """An earlier run, not long ago, came to the same outcome for the same target."""
        verdict = record.verdict
        if verdict is None or verdict.outcome not in INTERFERENCE:
            return False
        known = self._newest.get((record.experiment, record.input))
        if known is None or known.verdict is None:
            return False
        return known.verdict.outcome is verdict.outcome and _near(known, record)

    @cached_property
    def _newest(self) -> dict[tuple[str, str], Brief]:
        return {(one.experiment, one.input): one for one in self._earlier() if one.verdict}

    def _earlier(self) -> Iterable[Brief]:
        """Heads of the records of earlier runs, oldest first."""
        files = [file for file in self._results.files() if file.stem != self._run]
        try:
            return list(briefs(files[-RUNS:]))
        except (OSError, ResultsError):
            return ()


def _near(known: Brief, record: Record) -> bool:
    try:
        apart = datetime.fromisoformat(record.started_at) - datetime.fromisoformat(known.started_at)
    except (ValueError, TypeError):
        return False
    return timedelta(0) <= apart <= WITHIN and known.lab == record.lab
