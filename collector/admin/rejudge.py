"""Judge stored records again, by the installed rules and with controls that came later.

Rule: the evidence is never changed. A changed verdict moves its counts in the same transaction, so
that counts and records never disagree.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from collector import controls
from collector.record_row import Judge, judge_again
from collector.store import Execute, Operation, Query, Store
from collector.store.measurements import SEVERITY, UNLISTED, Judged
from collector.store.rollup import RecordCounts, hour_of, roll, sweep
from probe.model import Record


class _Old(NamedTuple):
    """A stored record with its present verdict."""

    seq: int
    key_id: str
    id: str
    role: str
    experiment: str
    input: str
    target: str
    at: float
    country: str
    asn: int
    outcome: str
    stage: str
    verdict: str
    ruleset: str
    body: bytes
    counted: int


class _Changed(NamedTuple):
    old: _Old
    judged: Judged


@dataclass(frozen=True, slots=True)
class Rejudged:
    """How many records were judged again, and of how many the outcome changed."""

    judged: int
    changed: int


async def rejudge(store: Store, judge: Judge, *, since: float, now: float) -> Rejudged:
    """Judge every record again that was measured since then and still has its evidence."""
    after, judged, changed = -1, 0, 0
    while page := await store.read(_page(after, since), slow=True):
        after, judged = page[-1].seq, judged + len(page)
        wanted = [(one.input, one.at) for one in page]
        seen = await store.read(controls.near(wanted, within=controls.NEAR_SECONDS), slow=True)
        found = [_rejudge(one, near, judge, now) for one, near in zip(page, seen, strict=True)]
        changes = [one for one in found if one is not None]
        changed += sum(one.old.outcome != one.judged.outcome for one in changes)
        if changes:
            await store.write(_rewrite(changes))
    return Rejudged(judged, changed)


def _page(after: int, since: float) -> Operation[list[_Old]]:
    rows = yield Query("rejudge_page", {"after": after, "since": since})
    return [_Old(*row) for row in rows]


def _rejudge(
    old: _Old, seen: Sequence[controls.Observation], judge: Judge, now: float
) -> _Changed | None:
    record = msgspec.json.decode(zlib.decompress(old.body), type=Record)
    near = () if old.role == "control" else seen
    judged = judge_again(record, judge, near, now=now)
    if judged.outcome == old.outcome and old.stage == "confirmed":
        # Confirmation rests on the key's other records, which are not judged here.
        judged = msgspec.structs.replace(judged, stage="confirmed")
    same = (judged.outcome, judged.verdict, judged.ruleset) == (
        old.outcome,
        old.verdict,
        old.ruleset,
    )
    return None if same else _Changed(old, judged)


def _rewrite(changes: Sequence[_Changed]) -> Operation[None]:
    rows = [
        {
            **msgspec.structs.asdict(one.judged),
            "seq": one.old.seq,
            "key_id": one.old.key_id,
            "id": one.old.id,
            "input": one.old.input,
            "target": one.old.target,
            "experiment": one.old.experiment,
            "hour": hour_of(one.old.at),
            "severity": SEVERITY.get(one.judged.outcome, 0),
        }
        for one in changes
    ]
    yield Execute("measurement_judge", rows)
    yield Execute("newest_judge", rows)
    yield Execute("series_judge", rows)
    yield Execute("vote_judge", [row for row in rows if row["target"] != UNLISTED])
    counted = [one for one in changes if one.old.role != "control" and one.old.counted]
    yield from roll((_counts(one.old, one.old.outcome) for one in counted), -1)
    yield from roll(_counts(one.old, one.judged.outcome) for one in counted)
    yield from sweep()


def _counts(old: _Old, outcome: str) -> RecordCounts:
    return RecordCounts(old.experiment, outcome, old.country, old.asn, old.target, old.at, "")
