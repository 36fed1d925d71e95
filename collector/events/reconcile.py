"""Keep the identity of events: match what the looks show now with what was told before. Pure.

An event keeps its id for ever. New looks, late records and excluded keys change what the looks
show; each change that a reader would notice is a revision with its time and reason. Nothing is
deleted: an event that the looks no longer show is withdrawn.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from collector.events.model import Bracket, EventState, TargetEvent

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
        history: Its revisions, oldest first.
    """

    id: str
    event: TargetEvent
    opened_at: float
    published_at: float | None = None
    wave: str = ""
    history: tuple[Revision, ...] = ()

    @property
    def span(self) -> tuple[float, float]:
        """From the first look that shows it to the first that shows its end."""
        return _span(self.event)


def reconcile(
    known: Iterable[StoredEvent],
    told: Iterable[TargetEvent],
    *,
    now: float,
    since: float,
    new_id: Callable[[], str],
) -> list[StoredEvent]:
    """The events that are new or changed.

    Args:
        known: Stored events of the places that `told` covers.
        told: What the looks since `since` show.
        now: Time of the revisions.
        since: Looks before then are not available, so nothing about that time is taken back.
        new_id: Makes an id.
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
            changed += _changed(stored, match, now=now, since=since)
        elif stored.span[0] >= since and stored.event.state is not EventState.WITHDRAWN:
            changed.append(_withdrawn(stored, now))
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
    stored: StoredEvent, event: TargetEvent, *, now: float, since: float
) -> list[StoredEvent]:
    """The stored event with what is known now; empty when nothing is new."""
    if stored.event.began.by < since:
        # The looks that show its beginning are gone.
        event = replace(event, began=stored.event.began, confirmed_at=stored.event.confirmed_at)
        if event.confirmed_at is not None and event.state is EventState.SUSPECTED:
            event = replace(event, state=EventState.CONFIRMED)
    if event == stored.event:
        return []
    news = tuple(Revision(now, what) for what in _differences(stored.event, event))
    published = stored.published_at
    if published is None and event.confirmed_at is not None:
        published = now
    return [replace(stored, event=event, published_at=published, history=(*stored.history, *news))]


def _differences(old: TargetEvent, new: TargetEvent) -> Sequence[str]:
    """What a reader would notice, in words; counts and times of the newest look are not."""
    found = []
    if new.state is not old.state:
        reason = f": {new.reason}" if new.reason else ""
        found.append(f"{old.state} → {new.state}{reason}")
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


def _withdrawn(stored: StoredEvent, now: float) -> StoredEvent:
    event = stored.event
    ended = event.ended or Bracket(event.last_seen_at, now)
    gone = replace(event, state=EventState.WITHDRAWN, ended=ended, reason=GONE)
    news = Revision(now, f"{event.state} → {EventState.WITHDRAWN}: {GONE}")
    return replace(stored, event=gone, history=(*stored.history, news))


def _span(event: TargetEvent) -> tuple[float, float]:
    return event.began.by, event.ended.by if event.ended is not None else inf


def _common(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How long two spans overlap; negative when they do not."""
    return min(a[1], b[1]) - max(a[0], b[0])
