"""How each key's verdicts of a day compare with those of the trusted keys of its network.

It is what a stranger earns trust by, and what lists keys that stray. Rule: a target is compared
when more than half of the other trusted, independent keys of the network say the same of it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from collector.places import PLACE_SECONDS
from collector.standing import CONDUCT_SECONDS, DAY, KeyStanding, Standings, aggregate
from collector.store.interface import Execute, Operation, Query, Store
from collector.store.measurements import INTERFERENCE

if TYPE_CHECKING:
    from collector.places import NetworkKey

# Records may come long after they were measured, and are counted by the day of that.
LOOKS_SECONDS = 365 * DAY
# So many take some tens of megabytes.
VOTES_AT_ONCE = 200_000
_FINE = frozenset({"ok", "refused"})


TargetRange = tuple[str, str]  # the first and the last target


class DayVote(NamedTuple):
    """One key's vote on one target."""

    key_id: str
    target: str
    country: str
    asn: int
    outcome: str


class Conduct(NamedTuple):
    """Targets of one key on one day: with a vote, comparable, and in agreement."""

    voted: int = 0
    compared: int = 0
    agreed: int = 0


def retire(now: float) -> Operation[None]:
    """Delete what no standing and no quota looks at any more, and where keys were."""
    yield Execute("retire_places", [{"before": int(now - PLACE_SECONDS)}])
    yield Execute("retire_looks", [{"day": int((now - LOOKS_SECONDS) // DAY)}])
    yield Execute("retire_conduct", [{"day": int((now - CONDUCT_SECONDS) // DAY)}])


def read_standings(now: float, *, lab: bool) -> Operation[Standings]:
    """The standing of every key, from one snapshot of the store."""
    if lab:
        return Standings(lab=True)
    found = yield from standing_rows(now)
    places = yield Query("places_all")
    return Standings(found, ((r[0], r[1], r[2], r[3]) for r in places), now=now)


def standing_rows(now: float) -> Operation[list[KeyStanding]]:
    """What decides about each key."""
    keys = yield Query("standing_keys")
    days = yield Query("conduct_since", {"day": int((now - CONDUCT_SECONDS) // DAY)})
    sums = aggregate((r[0], r[1], r[2], r[3]) for r in days)
    nothing = (0, 0, 0, 0)
    return [KeyStanding._make((*row, *sums.get(row[0], nothing))) for row in keys]


def counts(key_id: str, now: float, *, lab: bool) -> Operation[bool]:
    """Whether the votes of a key count; those of one that is no enrolled key may have."""
    keys = yield Query("standing_key", {"key_id": key_id})
    if lab or not keys:
        return True
    day = int((now - CONDUCT_SECONDS) // DAY)
    days = yield Query("conduct_of", {"key_id": key_id, "day": day})
    sums = aggregate((r[0], r[1], r[2], r[3]) for r in days)
    return KeyStanding._make((*keys[0], *sums.get(key_id, (0, 0, 0, 0)))).is_trusted(now)


def assess(votes: Iterable[DayVote], standings: Standings) -> Mapping[str, Conduct]:
    """The conduct of each key in the votes of one day, in the order of their time."""
    groups: dict[tuple[str, NetworkKey], dict[str, bool]] = defaultdict(dict)
    for vote in votes:
        if vote.outcome in INTERFERENCE or vote.outcome in _FINE:
            where = vote.target, (vote.country, vote.asn)
            groups[where][vote.key_id] = vote.outcome in INTERFERENCE
    found: dict[str, Conduct] = defaultdict(Conduct)
    for (_, network), said in groups.items():
        speakers = set(standings.speakers(said, network))
        bad = sum(said[key] for key in speakers)
        for key, says_bad in said.items():
            others = len(speakers) - (key in speakers)
            against = bad - (says_bad and key in speakers)
            known = found[key]
            compared = others > 0 and 2 * against != others
            agrees = compared and says_bad == (2 * against > others)
            found[key] = Conduct(known.voted + 1, known.compared + compared, known.agreed + agrees)
    return found


def days_due(last: int | None, now: float) -> Sequence[int]:
    """The days to assess: today, the day before, and those missed since the last assessment."""
    today = int(now // DAY)
    first = today - int(CONDUCT_SECONDS // DAY) if last is None else last - 1
    return range(max(first, today - int(CONDUCT_SECONDS // DAY)), today + 1)


def parts_of(day: int) -> Operation[list[TargetRange]]:
    """The targets of one day, in ranges with not too many votes to be in memory at once."""
    rows = yield Query("targets_of_day", {"first": day * 24, "after": (day + 1) * 24})
    parts: list[TargetRange] = []
    size = VOTES_AT_ONCE
    for target, n in sorted((str(row[0]), int(row[1])) for row in rows):
        if size + n > VOTES_AT_ONCE:
            parts.append((target, target))
            size = 0
        parts[-1] = (parts[-1][0], target)
        size += n
    return parts


def read_votes(day: int, part: TargetRange) -> Operation[list[DayVote]]:
    """The votes of one day on some targets that are not set aside, in the order of their time."""
    hours = {"first": day * 24, "after": (day + 1) * 24}
    rows = yield Query("votes_of_day", {**hours, "target": part[0], "last": part[1]})
    return [DayVote(*row) for row in rows]


async def assess_day(store: Store, day: int, standings: Standings) -> Mapping[str, Conduct]:
    """The conduct of each key on one day."""
    found: dict[str, Conduct] = {}
    for part in await store.read(parts_of(day), slow=True):
        votes = await store.read(read_votes(day, part), slow=True)
        for key, more in (await asyncio.to_thread(assess, votes, standings)).items():
            known = found.get(key, Conduct())
            found[key] = Conduct(*(a + b for a, b in zip(known, more, strict=True)))
    return found


def last_day() -> Operation[int | None]:
    """The newest day that was assessed."""
    rows = yield Query("conduct_last")
    return None if rows[0][0] is None else int(rows[0][0])


def store_days(assessed: Mapping[int, Mapping[str, Conduct]]) -> Operation[None]:
    """Store the conduct of all keys on some days."""
    rows = [
        {"key_id": key, "day": day, **one._asdict()}
        for day, found in sorted(assessed.items())
        for key, one in sorted(found.items())
    ]
    yield Execute("conduct_put", rows)
