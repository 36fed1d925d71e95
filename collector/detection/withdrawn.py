"""Events that held only with data that the operator set aside: withdrawn, with his reason. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from collector.detection.quorum import Event, Vote


class Withdrawn(NamedTuple):
    """An event that no longer holds, and why."""

    event: Event
    why: str


def repeats(one: Event, other: Event) -> bool:
    """Whether two events are of one kind, target and network, and overlap in time."""
    where = (one.kind, one.target, one.country, one.asn)
    return (
        where == (other.kind, other.target, other.country, other.asn)
        and (other.ended_at is None or other.ended_at >= one.started_at)
        and (one.ended_at is None or one.ended_at >= other.started_at)
    )


class Aside(NamedTuple):
    """Votes with those that were set aside, where there are any, and why those of a key were."""

    votes: Sequence[Vote]
    reasons: Mapping[str, str]


def withdrawn_events(
    aside: Aside, held: Iterable[Event], find: Callable[[Sequence[Vote]], list[Event]]
) -> list[Withdrawn]:
    """The events that `find` finds in these votes, and that are not among those that still hold."""
    others = list(held)
    return [
        Withdrawn(event, "; ".join(_reasons(event, aside)))
        for event in find(aside.votes)
        if not any(repeats(event, other) for other in others)
    ]


def _reasons(event: Event, aside: Aside) -> list[str]:
    where = (event.target, event.country, event.asn)
    voted = {v.key_id for v in aside.votes if (v.target, v.country, v.asn) == where}
    return sorted({aside.reasons[key] for key in voted if key in aside.reasons})
