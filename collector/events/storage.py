"""Events and the looks they are made of, in and out of the store, as operations."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from collector.events.engine import Where
from collector.events.model import FINE, Bracket, EventState, Look, TargetEvent
from collector.events.reconcile import Revision, StoredEvent
from collector.store.event_places import at
from collector.store.interface import Execute, Operation, Params, Query

Row = Sequence[Any]


class DuePlace(NamedTuple):
    """A target and network whose events are to be made again.

    Attributes:
        looks: Number that says which looks were there; it changes with each of them.
        complete: Since when no look there was erased, Unix time.
    """

    where: Where
    looks: int = 0
    complete: float = 0.0


class PlaceLooks(NamedTuple):
    """What is known of one target and network.

    Attributes:
        since: From when on all looks are there, Unix time.
        reasons: Why the operator set looks there aside.
    """

    place: DuePlace
    since: float
    looks: Sequence[Look]
    known: Sequence[StoredEvent]
    reasons: Sequence[str]

    def troubled(self, is_trusted: Callable[[str], bool]) -> bool:
        """Whether a look of a key whose votes count is not fine."""
        return any(one.outcome not in FINE and is_trusted(one.key) for one in self.looks)


def places_due(after: Where, limit: int) -> Operation[list[DuePlace]]:
    """Some targets and networks whose looks changed, in their order after one of them."""
    rows = yield Query("places_due", {**at(after), "limit": limit})
    return [DuePlace((row[0], row[1], row[2]), row[3], row[4]) for row in rows]


def detected_places(since: float) -> Operation[list[Where]]:
    """Where there are detected events that lasted since then."""
    rows = yield Query("detected_places", {"since": since})
    return [(row[0], row[1], row[2]) for row in rows]


def places(wanted: Iterable[Where]) -> Operation[list[DuePlace]]:
    """Some targets and networks, whether or not there was interference."""
    found = []
    for where in wanted:
        rows = yield Query("place_state", at(where))
        found.append(DuePlace(where, *rows[0]) if rows else DuePlace(where))
    return found


def read_places(due: Iterable[DuePlace], since: float) -> Operation[list[PlaceLooks]]:
    """The looks at some targets and networks since then, and their events."""
    oldest = (yield Query("oldest_vote"))[0][0]
    first = max(since, 0.0 if oldest is None else oldest * 3600.0)
    found = []
    for one in due:
        looks = yield from _read_place(one, since, first)
        found.append(looks)
    return found


def _read_place(due: DuePlace, since: float, first: float) -> Operation[PlaceLooks]:
    params: Params = {**at(due.where), "since": since}
    rows = yield Query("looks_at" if due.where[0] else "line_looks_at", params)
    known = yield Query("events_at", at(due.where))
    reasons = yield Query("reasons_at", params)
    return PlaceLooks(
        due,
        max(first, due.complete),
        [_look(row, due.where) for row in rows],
        [stored_event(row) for row in known],
        [str(row[0]) for row in reasons],
    )


def read_looks(where: Iterable[Where], since: float) -> Operation[list[Look]]:
    """The looks at some targets and networks."""
    found: list[Look] = []
    for one in where:
        rows = yield Query("looks_at" if one[0] else "line_looks_at", {**at(one), "since": since})
        found += [_look(row, one) for row in rows]
    return found


def looks_between(where: Where, since: float, until: float, limit: int) -> Operation[list[Look]]:
    """The looks at a target and network in a period, or at lines; each has its own network."""
    params = {**at(where), "since": since, "until": until, "limit": limit}
    if where[0]:
        rows = yield Query("looks_between", params)
        return [_look(row, where) for row in rows]
    rows = yield Query("line_looks_between", params)
    return [_look(row[:8], (*where[:2], row[8])) for row in rows]


def changes(params: Params) -> Operation[list[tuple[StoredEvent, int, Revision]]]:
    """The newest revisions of some events, each with its event and number."""
    rows = yield Query("event_changes", params)
    return [(stored_event(row), row[26], Revision(row[27], row[28])) for row in rows]


def keep(
    places: Iterable[PlaceLooks],
    changed: Iterable[StoredEvent],
    is_trusted: Callable[[str], bool] = bool,
) -> Operation[None]:
    """Store what changed, and note that these places are up to date.

    A place needs no attention where only strangers saw interference; that they are trusted later
    makes it due.
    """
    events = list(changed)
    yield from put(events)
    with_events = {(one.event.target, one.event.country, one.event.asn) for one in events}
    for one in places:
        due = one.place
        settled = not one.known and due.where not in with_events
        name = "place_settled" if settled and not one.troubled(is_trusted) else "place_done"
        yield Execute(name, [{**at(due.where), "looks": due.looks}])


def put(events: Sequence[StoredEvent]) -> Operation[None]:
    """Store events, and those of their revisions that are new."""
    yield Execute("event_put", [event_columns(one) for one in events])
    yield Execute("event_revision_add", [one for event in events for one in _revisions(event)])


def began_between(first: float, last: float) -> Operation[list[StoredEvent]]:
    """The events of targets that were confirmed, and began between these instants."""
    rows = yield Query("events_began_between", {"first": first, "last": last})
    return [stored_event(row) for row in rows]


def all_events() -> Operation[list[StoredEvent]]:
    """Every event, without its history, in the order of the beginning."""
    rows = yield Query("events_all")
    return [stored_event(row) for row in rows]


def event(id_: str) -> Operation[StoredEvent | None]:
    """One event with its history; None when there is none."""
    rows = yield Query("event_by_id", {"id": id_})
    if not rows:
        return None
    history = yield Query("event_history", {"id": id_})
    found = stored_event(rows[0])
    return StoredEvent(
        id=found.id,
        event=found.event,
        opened_at=found.opened_at,
        published_at=found.published_at,
        wave=found.wave,
        category=found.category,
        history=tuple(Revision(row[1], row[2]) for row in history),
    )


def stored_event(row: Row) -> StoredEvent:
    """An event from its row, without its history."""
    return StoredEvent(
        id=row[0],
        event=TargetEvent(
            kind=row[1],
            target=row[2],
            country=row[3],
            asn=row[4],
            state=EventState(row[5]),
            began=Bracket(row[6], row[7]),
            ended=None if row[9] is None else Bracket(row[8], row[9]),
            last_seen_at=row[10],
            last_look_at=row[11],
            confirmed_at=row[12],
            mechanisms=tuple(row[15].split()),
            authority=row[16],
            agree=row[17],
            able=row[18],
            confidence=row[19],
            evidence=tuple(row[20].split()),
            sources=tuple(row[21].split()),
            reason=row[22],
        ),
        opened_at=row[13],
        published_at=row[14],
        wave=row[23],
        earlier=row[24],
        category=row[25],
    )


def event_columns(one: StoredEvent) -> Params:
    """An event as the columns of its row."""
    event, ended = one.event, one.event.ended
    return {
        "id": one.id,
        "kind": event.kind,
        "target": event.target,
        "country": event.country,
        "asn": event.asn,
        "state": str(event.state),
        "began_after": event.began.after,
        "began_by": event.began.by,
        "ended_after": None if ended is None else ended.after,
        "ended_by": None if ended is None else ended.by,
        "last_seen_at": event.last_seen_at,
        "last_look_at": event.last_look_at,
        "confirmed_at": event.confirmed_at,
        "opened_at": one.opened_at,
        "published_at": one.published_at,
        "mechanisms": " ".join(event.mechanisms),
        "authority": event.authority,
        "agree": event.agree,
        "able": event.able,
        "confidence": event.confidence,
        "evidence": " ".join(event.evidence),
        "sources": " ".join(event.sources),
        "reason": event.reason,
        "wave": one.wave,
        "revision": one.revision,
        "category": one.category,
    }


def _look(row: Row, where: Where) -> Look:
    return Look._make((*row[:4], *where, *row[4:]))


def _revisions(one: StoredEvent) -> Iterator[Params]:
    for number, revision in enumerate(one.history, one.earlier + 1):
        yield {"event": one.id, "number": number, "at": revision.at, "what": revision.what}
