"""Keep the identity of events: match what the looks show now with what was told before. Pure.

An event keeps its id for ever. New looks, late records and excluded keys change what the looks
show; each change that a reader would notice is a revision with its time and reason. Nothing is
deleted: an event that the looks no longer show is withdrawn.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from collector.events.model import LOOKS, Bracket, EventState, TargetEvent

# What the state of a confirmed event is, by that which some of its looks show.
_CONFIRMED = {
    EventState.SUSPECTED: EventState.CONFIRMED,
    EventState.WITHDRAWN: EventState.ENDED,
}
GONE = "the measurements that remain do not show it"


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of an event: when it was made (Unix time), and what changed."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its identity.

    Attributes:
        id: Given when it was opened, kept for ever.
        opened_at, published_at: When the collector first told it, and first told it as confirmed.
        wave: Id of its wave, or empty.
        category: Of the target, as the lists had it last; or empty.
        earlier: Number of its first revisions that are not in `history`.
        history: Its other revisions, oldest first.
    """

    id: str
    event: TargetEvent
    opened_at: float
    published_at: float | None = None
    wave: str = ""
    category: str = ""
    earlier: int = 0
    history: tuple[Revision, ...] = ()

    @property
    def revision(self) -> int:
        """How many revisions it has."""
        return self.earlier + len(self.history)

    @property
    def span(self) -> tuple[float, float]:
        """From the first look that shows it to the first that shows its end."""
        return _span(self.event)

    @property
    def told_looks(self) -> Iterator[tuple[str, int, float]]:
        """The looks whose times it shows: country, ASN, Unix time."""
        event = self.event
        ended = (event.ended.after, event.ended.by) if event.ended else ()
        for at in (event.began.after, event.began.by, event.last_seen_at, *ended):
            if at is not None:
                yield event.country, event.asn, at


def reconcile(
    known: Iterable[StoredEvent],
    told: Iterable[TargetEvent],
    *,
    now: float,
    since: Callable[[StoredEvent], float],
    new_id: Callable[[], str],
    why: str = GONE,
    over: Callable[[StoredEvent], Bracket | None] = lambda _: None,
) -> list[StoredEvent]:
    """The events that are new or changed.

    Args:
        known: Stored events of the places that `told` covers.
        told: What the looks show.
        now: Time of the revisions.
        since: From when on all looks at a stored event are available; nothing before is taken back.
        new_id: Makes an id.
        why: The reason of events that the looks no longer show.
        over: When an event ended whose own looks are not available any more; None: not yet.
    """
    by_place: dict[tuple[str, str, str, int], list[TargetEvent]] = defaultdict(list)
    for event in told:
        by_place[event.place].append(event)
    changed: list[StoredEvent] = []
    for stored in sorted(known, key=lambda one: one.span):
        candidates = by_place[stored.event.place]
        match = _match(stored, candidates)
        if match is not None:
            candidates.remove(match)
            changed += _changed(stored, match, now=now, since=since(stored), why=why)
        elif stored.span[0] >= since(stored) and stored.event.state is not EventState.WITHDRAWN:
            changed.append(_withdrawn(stored, now, why))
        elif stored.event.lasts and (ended := over(stored)) is not None:
            changed.append(_ended(stored, ended, now))
    for events in by_place.values():
        changed += [_opened(event, now, new_id()) for event in events]
    return changed


def _match(stored: StoredEvent, told: Iterable[TargetEvent]) -> TargetEvent | None:
    """The event among these that overlaps a stored one, and began nearest to it."""
    return min(
        (one for one in told if _common(_span(one), stored.span) >= 0),
        key=lambda one: abs(one.began.by - stored.event.began.by),
        default=None,
    )


def _opened(event: TargetEvent, now: float, id_: str) -> StoredEvent:
    confirmed = event.confirmed_at is not None
    return StoredEvent(
        id=id_,
        event=event,
        opened_at=now,
        published_at=now if confirmed else None,
        history=(Revision(now, f"opened as {event.state}"),),
    )


def _changed(
    stored: StoredEvent, event: TargetEvent, *, now: float, since: float, why: str
) -> list[StoredEvent]:
    """The stored event with what is known now; empty when nothing is new."""
    if stored.span[1] < since:
        return []
    if event.sources != (LOOKS,):
        # Detections are made anew each time, and say nothing of when they were first made.
        confirmed_at = stored.event.confirmed_at or event.confirmed_at
        event = replace(event, confirmed_at=confirmed_at)
    if stored.event.began.by < since:
        # The looks that show its beginning are gone.
        event = replace(event, began=stored.event.began, confirmed_at=stored.event.confirmed_at)
        if event.confirmed_at is not None:
            # So are those that confirmed it: who is left neither doubts it nor took it back.
            known = _CONFIRMED.get(event.state, event.state)
            event = replace(event, state=known, reason="")
    if event == stored.event:
        return []
    news = tuple(Revision(now, what) for what in _differences(stored.event, event, why))
    published = stored.published_at
    if published is None and event.confirmed_at is not None:
        published = now
    return [replace(stored, event=event, published_at=published, history=(*stored.history, *news))]


def _differences(old: TargetEvent, new: TargetEvent, why: str) -> Sequence[str]:
    """What a reader would notice, in words; counts and times of the newest look are not."""
    found = []
    if new.state is not old.state:
        lowered = old.confirmed_at is not None and new.state is EventState.SUSPECTED
        reason = why if lowered else new.reason
        found.append(f"{old.state} → {new.state}{f': {reason}' if reason else ''}")
    if new.began != old.began:
        found.append("measurements that came later moved the beginning")
    if old.ended is not None and new.ended is not None and new.ended != old.ended:
        found.append("measurements that came later moved the end")
    added = sorted(set(new.mechanisms) - set(old.mechanisms))
    if added:
        found.append(f"also by {', '.join(added)}")
    if new.authority != old.authority and new.authority:
        found.append(f"authority {new.authority}")
    return found


def _withdrawn(stored: StoredEvent, now: float, why: str) -> StoredEvent:
    event = stored.event
    ended = event.ended or Bracket(event.last_seen_at, now)
    gone = replace(event, state=EventState.WITHDRAWN, ended=ended, reason=why)
    news = Revision(now, f"{event.state} → {EventState.WITHDRAWN}: {why}")
    return replace(stored, event=gone, history=(*stored.history, news))


def _ended(stored: StoredEvent, ended: Bracket, now: float) -> StoredEvent:
    event = replace(stored.event, state=EventState.ENDED, ended=ended)
    news = Revision(now, f"{stored.event.state} → {EventState.ENDED}")
    return replace(stored, event=event, history=(*stored.history, news))


def _span(event: TargetEvent) -> tuple[float, float]:
    return event.began.by, event.ended.by if event.ended is not None else inf


def _common(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How long two spans overlap; negative when they do not."""
    return min(a[1], b[1]) - max(a[0], b[0])
