"""Events by a quorum of votes, as pure functions.

Rule: one key has one vote on one target, its newest within the window, and one origin has one vote
(`collector/standing.py`). An event lasts while at least `quorum` independent, trusted keys on one
network vote for the same kind of interference with one target, and they are more than half of the
conclusive votes (interference, ok or refused). It begins with the vote that completes the quorum,
and ends with the vote that breaks it or when its votes are older than the window. A single probe
makes no event, unless the operator set `quorum` to 1. Votes of an unknown country make none.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from collector.places import UNKNOWN
from collector.standing import Standings
from collector.store.measurements import INTERFERENCE, SEVERITY

KINDS = {"blocked": "blocking", "intercepted": "interception", "throttled": "throttling"}
CONCLUSIVE = INTERFERENCE | {"ok", "refused"}
EXAMPLES = 5

TargetOnNetwork = tuple[str, str, int]  # target (empty: the line), country, ASN


class Vote(NamedTuple):
    """The outcome of one key's measurement `id` of one target."""

    key_id: str
    target: str
    country: str
    asn: int
    outcome: str
    stage: str
    at: float
    id: str
    experiment: str


class Event(NamedTuple):
    """Something that happened to one target on one network.

    Attributes:
        ended_at: None while it lasts.
        probes, judging: At its peak: number of agreeing keys, and of keys with a conclusive vote.
        target: Empty where it concerns the whole line.
        measurements: Ids of a few records as examples.
        sources: `quorum`, or the sources of `shutdown.py` and `throttling.py`.
    """

    id: str
    kind: str
    target: str
    country: str
    asn: int
    started_at: float
    ended_at: float | None
    probes: int
    judging: int
    measurements: tuple[str, ...]
    sources: tuple[str, ...] = ("quorum",)


def holds(agreeing: int, judging: int, quorum: int) -> bool:
    """Whether the agreeing keys are a quorum, and more than half of those judging."""
    return agreeing >= max(1, quorum) and 2 * agreeing > judging


def kinds_held(
    where: TargetOnNetwork,
    votes: Mapping[str, int],
    quorum: int,
    kinds: Mapping[str, str] = KINDS,
) -> list[str]:
    """The kinds of event that hold, from the number of independent keys by outcome.

    The same function decides for metrics and for events.
    """
    judging = sum(votes.get(outcome, 0) for outcome in {*kinds, "ok", "refused"})
    if where[1] == UNKNOWN[0]:
        return []
    return [
        kind for outcome, kind in kinds.items() if holds(votes.get(outcome, 0), judging, quorum)
    ]


def active(
    tally: Mapping[TargetOnNetwork, Mapping[str, int]], quorum: int
) -> dict[tuple[str, str, int], int]:
    """Number of events by (kind, country, ASN), from the present number of keys by outcome."""
    found: dict[tuple[str, str, int], int] = defaultdict(int)
    for where, votes in tally.items():
        for kind in kinds_held(where, votes, quorum):
            found[kind, where[1], where[2]] += 1
    return dict(found)


def detect(
    votes: Iterable[Vote],
    *,
    now: float,
    window: float,
    quorum: int,
    standings: Standings,
    kinds: Mapping[str, str] = KINDS,
) -> list[Event]:
    """Every event in these votes, newest first; votes must be in the order of their time."""
    groups: dict[TargetOnNetwork, list[Vote]] = defaultdict(list)
    for vote in votes:
        if standings.is_trusted(vote.key_id):
            groups[vote.target, vote.country, vote.asn].append(vote)
    rules = _Rules(kinds, quorum, standings)
    found = [
        event
        for where, group in groups.items()
        for event in _events(where, group, rules, now=now, window=window)
    ]
    return sorted(found, key=lambda event: (event.started_at, event.id), reverse=True)


class _Rules(NamedTuple):
    """What makes an event: the kind of each outcome, the quorum, and whose votes count."""

    kinds: Mapping[str, str]
    quorum: int
    standings: Standings


def _events(
    where: TargetOnNetwork, votes: Sequence[Vote], rules: _Rules, *, now: float, window: float
) -> list[Event]:
    """The events of one target on one network, from every instant at which votes change."""
    instants = sorted({t for v in votes for t in (v.at, v.at + window) if t <= now})
    found: list[Event] = []
    lasting: dict[str, Event] = {}
    begin = 0
    end = 0
    for instant in instants:
        while end < len(votes) and votes[end].at <= instant:
            end += 1
        while begin < end and votes[begin].at <= instant - window:
            begin += 1
        held = _quorums(where, votes[begin:end], rules, instant)
        if votes[end - 1].at != instant:
            # Expiring votes may end an event, and never begin one.
            held = {kind: event for kind, event in held.items() if kind in lasting}
        over = [kind for kind in lasting if kind not in held]
        found += [lasting.pop(kind)._replace(ended_at=instant) for kind in over]
        for kind, event in held.items():
            lasting[kind] = _at_peak(lasting.get(kind), event)
    return [*found, *lasting.values()]


def _quorums(
    where: TargetOnNetwork, votes: Sequence[Vote], rules: _Rules, instant: float
) -> dict[str, Event]:
    """The quorums at one instant, by kind."""
    newest: dict[tuple[str, str], Vote] = {(v.key_id, v.experiment): v for v in votes}
    by_key: dict[str, Vote] = {}
    for vote in newest.values():
        known = by_key.get(vote.key_id)
        if known is None or SEVERITY.get(vote.outcome, 0) > SEVERITY.get(known.outcome, 0):
            by_key[vote.key_id] = vote
    conclusive = {*rules.kinds, "ok", "refused"}
    able = {key for key, vote in by_key.items() if vote.outcome in conclusive}
    spoken = [by_key[key] for key in rules.standings.speakers(able, where[1:])]
    held = kinds_held(where, Counter(v.outcome for v in spoken), rules.quorum, rules.kinds)
    found = {}
    for outcome, kind in rules.kinds.items():
        if kind in held:
            agreeing = sorted((v for v in spoken if v.outcome == outcome), key=lambda v: v.at)
            examples = tuple(vote.id for vote in agreeing[-EXAMPLES:])
            name = "\n".join((kind, *map(str, where), str(int(instant))))
            id_ = hashlib.sha256(name.encode()).hexdigest()[:16]
            counts = len(agreeing), len(spoken)
            found[kind] = Event(id_, kind, *where, instant, None, *counts, examples)
    return found


def _at_peak(known: Event | None, event: Event) -> Event:
    """The lasting event, with its start and with the numbers of its peak."""
    if known is None:
        return event
    if event.probes <= known.probes:
        return known
    return event._replace(id=known.id, started_at=known.started_at)
