"""The rows that the metric families are made of, with one vote for one key and for one origin.

Rule: only votes of trusted, independent keys are counted (`collector/standing.py`); those of
strangers are counted apart. One origin has one vote on each target of a network: that of its oldest
key with a conclusive verdict.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from collector.conduct import read_standings
from collector.detection.quorum import TargetOnNetwork
from collector.standing import EVERYBODY, Standings
from collector.store.interface import Operation, Query, Rows
from collector.store.measurements import CONCLUSIVE, INTERFERENCE


class CastVote(NamedTuple):
    """One key's vote on one target."""

    key_id: str
    target: str
    country: str
    asn: int
    outcome: str
    mechanisms: str
    authority: str
    stage: str
    at: float


class VoteCount(NamedTuple):
    """How many keys (`n`) cast this vote, and how many of them confirmed."""

    target: str
    country: str
    asn: int
    outcome: str
    mechanisms: str
    authority: str
    n: int
    confirmed: int
    newest: float


@dataclass(frozen=True)
class Snapshot:
    """The rows that the families are made of, read in one transaction.

    Attributes:
        votes: Of trusted, independent keys. strangers: of all others.
        anchors, rates: Likewise of trusted, independent keys, without their ids.
    """

    votes: Sequence[VoteCount]
    anchors: Rows
    rates: Rows
    active: Rows
    totals: Rows
    timings: Rows
    events: Rows = ()
    strangers: Sequence[VoteCount] = ()
    standings: Standings = field(default=EVERYBODY)

    @cached_property
    def outcomes(self) -> Mapping[TargetOnNetwork, Mapping[str, int]]:
        """Number of keys by outcome, for each target on each network; made once for all pages."""
        return {where: dict(of) for where, of in by_outcome(self.votes).items()}


@dataclass(frozen=True, slots=True)
class StoredRows:
    """What was read for a snapshot, before it is decided whose votes count."""

    votes: Rows
    anchors: Rows
    rates: Rows
    active: Rows
    totals: Rows
    timings: Rows
    standings: Standings
    events: Rows


def read_rows(since: float, *, now: float, lab: bool) -> Operation[StoredRows]:
    """Read everything that a snapshot needs, in one transaction."""
    params = {"since": since}
    votes = yield Query("current_votes", params)
    anchors = yield Query("current_anchors", params)
    rates = yield Query("current_rates", params)
    active = yield Query("active_probes", params)
    totals = yield Query("totals")
    timings = yield Query("timings")
    events = yield Query("event_counts")
    standings = yield from read_standings(now, lab=lab)
    return StoredRows(votes, anchors, rates, active, totals, timings, standings, events)


def snapshot_of(rows: StoredRows) -> Snapshot:
    """Decide whose votes count."""
    standings = rows.standings
    counted, strangers = _spoken([CastVote(*row) for row in rows.votes], standings)
    return Snapshot(
        votes=_count(counted),
        strangers=_count(strangers),
        anchors=_independent(rows.anchors, standings, lambda row: ("", row[1], row[2])),
        rates=_independent(rows.rates, standings, lambda row: (row[1], row[2], row[3])),
        active=rows.active,
        totals=rows.totals,
        timings=rows.timings,
        events=rows.events,
        standings=standings,
    )


def _spoken(
    votes: Iterable[CastVote], standings: Standings
) -> tuple[list[CastVote], list[CastVote]]:
    """The votes that count, and those of strangers."""
    groups: dict[TargetOnNetwork, dict[str, CastVote]] = defaultdict(dict)
    for vote in votes:
        groups[vote.target, vote.country, vote.asn][vote.key_id] = vote
    counted: list[CastVote] = []
    strangers: list[CastVote] = []
    for (_, country, asn), cast in groups.items():
        able = {key for key, vote in cast.items() if vote.outcome in CONCLUSIVE}
        speakers = standings.speakers(able, (country, asn), later=cast.keys() - able)
        counted += [cast[key] for key in speakers]
        strangers += [vote for key, vote in cast.items() if not standings.is_trusted(key)]
    return counted, strangers


def _count(votes: Iterable[CastVote]) -> list[VoteCount]:
    sums: dict[tuple[str, str, int, str, str, str], tuple[int, int, float]] = {}
    for vote in votes:
        n, confirmed, newest = sums.get(vote[1:7], (0, 0, 0.0))
        more = vote.stage == "confirmed"
        sums[vote[1:7]] = (n + 1, confirmed + more, max(newest, vote.at))
    return [VoteCount(*key, *sum_) for key, sum_ in sums.items()]


def _independent(
    rows: Rows, standings: Standings, where: Callable[[Sequence[Any]], TargetOnNetwork]
) -> Rows:
    """The rows of trusted, independent keys without their first column, the key's id."""
    groups: dict[TargetOnNetwork, dict[str, Sequence[Any]]] = defaultdict(dict)
    for row in rows:
        groups[where(row)][row[0]] = row
    return [
        tuple(of[key])[1:]
        for (_, country, asn), of in groups.items()
        for key in standings.speakers(of, (country, asn))
    ]


def by_outcome(votes: Iterable[VoteCount]) -> dict[TargetOnNetwork, dict[str, int]]:
    """Number of keys by outcome, for each target on each network."""
    found: dict[TargetOnNetwork, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for vote in votes:
        found[vote.target, vote.country, vote.asn][vote.outcome] += vote.n
    return found


def ratio(outcomes: Mapping[str, int]) -> float | None:
    """Share of interfering votes among conclusive ones; None if there are none."""
    bad = sum(n for outcome, n in outcomes.items() if outcome in INTERFERENCE)
    judging = bad + outcomes.get("ok", 0) + outcomes.get("refused", 0)
    return bad / judging if judging else None
