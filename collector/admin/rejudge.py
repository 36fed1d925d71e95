"""Judge stored records again, by the installed rules and with controls that came later.

Rule: the evidence is never changed. A changed verdict moves its counts in the same transaction, so
that counts and records never disagree.
"""

import logging
import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from collector import controls, evidence_check
from collector.judging.limits import OutOfTime
from collector.record_row import Judge, judge_again
from collector.store import Execute, Operation, Query, Store, event_places, keys
from collector.store.measurements import CONCLUSIVE, INTERFERENCE, SEVERITY, UNLISTED, Judged
from collector.store.rollup import CountChanges, RecordCounts, hour_of, sweep
from probe.certificates.roots import Roots
from probe.model import Record

log = logging.getLogger("qazcollector")


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
    imported: int
    voting: int

    @property
    def checkable(self) -> bool:
        """Whether a probe sent it, so that its evidence has to be checked."""
        return self.role == "probe" and not self.imported


class _Evidence(NamedTuple):
    """A stored record, as it may be judged, and the observations of controls around it."""

    old: _Old
    record: Record
    seen: Sequence[controls.Observation]


class _Changed(NamedTuple):
    old: _Old
    judged: Judged


@dataclass(frozen=True, slots=True)
class Rejudged:
    """How many records were judged again, and of how many the outcome changed."""

    judged: int
    changed: int


async def rejudge(
    store: Store, judge: Judge, *, since: float, now: float, roots: Roots | None = None
) -> Rejudged:
    """Judge every record again that was measured since then and still has its evidence.

    `roots` are those that chains are checked against; None: what a probe says of them is used.
    """
    after, judged, changed = -1, 0, 0
    while page := await store.read(_page(after, since), slow=True):
        after, judged = page[-1].seq, judged + len(page)
        found = [
            _rejudge(one, judge, now) for one in await store.read(_evidence(page, roots), slow=True)
        ]
        changes = [one for one in found if one is not None]
        if changes:
            done = await store.write(_rewrite(changes))
            changed += sum(one.old.outcome != one.judged.outcome for one in done)
    return Rejudged(judged, changed)


def _page(after: int, since: float) -> Operation[list[_Old]]:
    rows = yield Query("rejudge_page", {"after": after, "since": since})
    return [_Old(*row) for row in rows]


def _evidence(page: Sequence[_Old], roots: Roots | None) -> Operation[list[_Evidence]]:
    """The evidence of these records, checked as when they arrived."""
    near = yield from controls.near(
        [(one.input, one.at) for one in page], within=controls.NEAR_SECONDS
    )
    found = []
    for old, seen in zip(page, near, strict=True):
        try:
            record = msgspec.json.decode(zlib.decompress(old.body), type=Record)
        except msgspec.MsgspecError:
            continue  # of another version of the program
        if old.checkable:
            served = yield Query("certificates_of", {"seq": old.seq})
            certs = {sha256: b64encode(der).decode() for sha256, der in served}
            named = yield from controls.issued(one.id for one in record.control)
            chains = None if record.lab else roots
            whole = msgspec.structs.replace(record, certs=certs)
            record = evidence_check.check(whole, named, roots=chains, at=old.at).record
        found.append(_Evidence(old, record, () if old.role == "control" else seen))
    return found


def _rejudge(evidence: _Evidence, judge: Judge, now: float) -> _Changed | None:
    """The new verdict, if it is another one; a record that cannot be judged keeps its old one."""
    old = evidence.old
    try:
        judged = judge_again(evidence.record, judge, evidence.seen, now=now)
    except (Exception, OutOfTime):
        log.exception("a record of experiment %s was not judged again", old.experiment)
        return None
    if judged.outcome == old.outcome and old.stage == "confirmed":
        # Confirmation rests on the key's other records, which are not judged here.
        judged = msgspec.structs.replace(judged, stage="confirmed")
    same = (judged.outcome, judged.verdict, judged.ruleset) == (
        old.outcome,
        old.verdict,
        old.ruleset,
    )
    return None if same else _Changed(old, judged)


def _rewrite(changes: Sequence[_Changed]) -> Operation[list[_Changed]]:
    """Store changed verdicts; return those whose records are still there as they were read."""
    # An erasure comes before or after: it holds the key too.
    for key_id in sorted({one.old.key_id for one in changes}):
        yield from keys.hold(key_id)
    tally = CountChanges()
    done: list[_Changed] = []
    for one in sorted(changes, key=lambda change: change.old.seq):
        params = {**_params(one), "was": one.old.outcome}
        found = yield Query("measurement_judge", params)
        if not found:
            continue
        done.append(one)
        if one.old.role != "control" and found[0][0]:
            tally.add(_counts(one.old, one.old.outcome), -1)
            tally.add(_counts(one.old, one.judged.outcome))
    rows = [_params(one) for one in done]
    yield Execute("newest_judge", rows)
    yield Execute("series_judge", rows)
    yield from _judge_votes(done)
    yield from tally.write()
    yield from sweep()
    return done


def _judge_votes(done: Sequence[_Changed]) -> Operation[None]:
    """Change the votes too, and have the events there made again."""
    listed = [one for one in done if one.old.target != UNLISTED]
    yield Execute("vote_judge", [_params(one) for one in listed])
    # What could not tell before had no vote.
    new = [
        one
        for one in listed
        if one.old.voting
        and one.old.role != "control"
        and one.judged.outcome in CONCLUSIVE
        and one.old.outcome not in CONCLUSIVE
    ]
    yield Execute("vote_put", [_params(one) for one in new])
    places = [
        (
            one.old.target if one.old.experiment != "connectivity" else "",
            one.old.country,
            one.old.asn,
        )
        for one in done
    ]
    bad = [place for place, one in zip(places, done, strict=True) if _is_bad(one)]
    yield from event_places.note_looks(bad, places)


def _is_bad(one: _Changed) -> bool:
    return one.judged.outcome in INTERFERENCE


def _params(one: _Changed) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(one.judged),
        "seq": one.old.seq,
        "key_id": one.old.key_id,
        "id": one.old.id,
        "input": one.old.input,
        "target": one.old.target,
        "experiment": one.old.experiment,
        "at": one.old.at,
        "country": one.old.country,
        "asn": one.old.asn,
        "hour": hour_of(one.old.at),
        "severity": SEVERITY.get(one.judged.outcome, 0),
    }


def _counts(old: _Old, outcome: str) -> RecordCounts:
    return RecordCounts(old.experiment, outcome, old.country, old.asn, old.target, old.at, "")
