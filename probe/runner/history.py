"""Earlier verdicts on a target by this machine, which may confirm a new one.

Only the newest runs are read, and only when there is something to confirm. Their verdicts become a
part of the record, so that it can be judged again (see `analysis/confirmation.py`).
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from probe.analysis.confirmation import ENDS, INTERFERENCE, SUSPECTED_ONCE, WEEK
from probe.model import Earlier, Record
from probe.ordering import Job
from probe.runner.results import (
    RecordHeader,
    Results,
    ResultsError,
    VerdictHeader,
    record_headers,
)

RUNS = 16
MAX_EARLIER = 6


class History:
    """Earlier verdicts, by experiment and target. `run` is the current run, which is excluded."""

    def __init__(self, results: Results, run: str) -> None:
        self._results = results
        self._run = run

    def earlier(self, record: Record) -> tuple[Earlier, ...]:
        """Earlier verdicts, newest first, back to the first one without interference."""
        if record.verdict is None:
            return ()
        suspected = any(hit.id == SUSPECTED_ONCE for hit in record.verdict.rules)
        if not suspected and record.verdict.outcome not in INTERFERENCE:
            return ()
        found: list[Earlier] = []
        for header in reversed(self._headers.get((record.experiment, record.input), ())):
            earlier = _earlier(header, record)
            if earlier is None:
                continue
            if earlier.outcome in ENDS:
                break
            found.append(earlier)
        return tuple(found[:MAX_EARLIER])

    def suspects(self, job: Job) -> bool:
        """Whether an earlier run found interference here, or suspected slowness, and none since."""
        for header in reversed(self._headers.get((job.experiment, job.url), ())):
            if header.verdict is not None and header.verdict.outcome in ENDS:
                return False
            if header.verdict is not None and _suspects(header.verdict):
                return True
        return False

    @cached_property
    def _headers(self) -> Mapping[tuple[str, str], list[RecordHeader]]:
        """Headers of the records of earlier runs, oldest first."""
        files = [file for file in self._results.files() if file.stem != self._run]
        found: dict[tuple[str, str], list[RecordHeader]] = defaultdict(list)
        try:
            for header in record_headers(files[-RUNS:]):
                found[header.experiment, header.input].append(header)
        except (OSError, ResultsError):
            return {}
        return found


def _suspects(verdict: VerdictHeader) -> bool:
    once = any(hit.id == SUSPECTED_ONCE for hit in verdict.rules)
    return once or verdict.outcome in INTERFERENCE


def _earlier(header: RecordHeader, record: Record) -> Earlier | None:
    """The earlier verdict relative to the new record; None if it is too old or not comparable."""
    if header.verdict is None or header.lab != record.lab:
        return None
    try:
        began = datetime.fromisoformat(header.started_at)
        age = (began - datetime.fromisoformat(record.started_at)).total_seconds()
    except (ValueError, TypeError):
        return None
    if not -WEEK <= age <= 0:
        return None
    return Earlier(
        run=header.run,
        age=round(age, 1),
        outcome=header.verdict.outcome,
        mechanisms=header.verdict.mechanisms,
        rule=header.verdict.rules[0].id if header.verdict.rules else None,
    )
