"""Replay: the events that looks give with any parameters, beside those that were stored.

Rule: detection is `collector.events.engine.replay`, the same function as in a serving collector,
one target on one network at a time. Which stored event it is, is decided as there, too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import msgspec

from collector.admin.replay_looks import SortedLooks
from collector.events.engine import replay
from collector.events.model import LOOKS, Bracket, EventState, TargetEvent
from collector.events.reconcile import StoredEvent, reconcile
from collector.events.timeline import Rules
from collector.places import NetworkKey
from collector.record_row import instant
from collector.settings import SettingsError
from collector.store.queries import Selection

Change = Literal["", "same", "changed", "appeared", "vanished"]
MARKS: dict[Change, str] = {"": " ", "same": "=", "changed": "~", "appeared": "+", "vanished": "-"}
_NEW = "replayed-"
_HOUR, _ROUNDING = 3600.0, 0.001


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a replay, or a stored one that the replay does not give.

    Attributes:
        id: Of the stored event, or empty.
        news: What the stored one says instead, in words.
    """

    event: TargetEvent
    change: Change = ""
    id: str = ""
    news: Sequence[str] = ()


def replayed(
    looks: SortedLooks, rules: Rules, *, since: float, progress: Callable[[int], None]
) -> Iterator[TargetEvent]:
    """The events at every target and network, each with all of its looks since then."""
    for _, found in looks.places(since):
        yield from replay(found, rules)
        progress(len(found))


def compared(
    told: Sequence[TargetEvent], stored: Iterable[StoredEvent], *, since: float
) -> list[Told]:
    """The events of a replay beside the stored ones; what is older than the looks is left out."""
    known = {one.id: one for one in stored if one.span[1] >= since}
    numbers = count(1)
    changed = reconcile(
        known.values(),
        told,
        now=0.0,
        since=lambda _: since,
        new_id=lambda: f"{_NEW}{next(numbers)}",
    )
    by_id, shown = {one.id: one for one in changed}, set(told)
    found = [Told(one.event, "appeared") for one in changed if one.id not in known]
    for id_, one in known.items():
        new = by_id.get(id_)
        news = () if new is None else _differences(one.event, new.event)
        if new is None or not news:
            found.append(Told(one.event, "same", id_))
        elif new.event.state is EventState.WITHDRAWN and new.event not in shown:
            found.append(Told(one.event, "vanished", id_))
        else:
            found.append(Told(new.event, "changed", id_, news))
    return found


def _differences(stored: TargetEvent, told: TargetEvent) -> tuple[str, ...]:
    """What a reader would notice, in words; counts and times of the newest look are not."""
    found = []
    if told.state is not stored.state:
        found.append(f"state was {stored.state}")
    if not _is_same(told.began, stored.began):
        found.append(f"began {_span(stored.began)}")
    if stored.ended is not None and not _is_same(told.ended, stored.ended):
        found.append(f"ended {_span(stored.ended)}")
    if set(told.mechanisms) != set(stored.mechanisms):
        found.append(f"by {' '.join(stored.mechanisms) or 'nothing'}")
    if told.authority != stored.authority:
        found.append(f"by {stored.authority or 'no authority'}")
    others = [one for one in stored.sources if one != LOOKS]
    if found and others:
        found.append(f"also shown by {', '.join(others)}")
    return tuple(found)


def _is_same(told: Bracket | None, stored: Bracket) -> bool:
    """Whether two brackets are the same, as exactly as the stored one is shown."""
    if told is None or (told.after is None) is not (stored.after is None):
        return False
    # What the public sees of networks with few probes is in whole hours.
    exact = _HOUR if stored.by % _HOUR == 0 else _ROUNDING
    return abs(told.by - stored.by) <= exact and (
        told.after is None or stored.after is None or abs(told.after - stored.after) <= exact
    )


def comparable(stored: Iterable[StoredEvent], wanted: Selection) -> list[StoredEvent]:
    """The stored events that looks can show, at what was selected."""
    return [
        one
        for one in stored
        if LOOKS in one.event.sources
        and wanted.target in {"", one.event.target}
        and wanted.country in {"", one.event.country}
        and wanted.asn in {-1, one.event.asn}
        and one.event.began.by < wanted.until
    ]


# --- events of a file ----------------------------------------------------------------------------


class _Bracket(msgspec.Struct):
    by: str
    after: str | None = None


class _KeyCounts(msgspec.Struct):
    agree: int = 0
    able: int = 0


class _Event(msgspec.Struct):
    id: str
    kind: str
    state: EventState
    began: _Bracket
    target: str | None = None
    country: str | None = None
    asn: int | None = None
    ended: _Bracket | None = None
    last_seen_at: str | None = None
    confirmed_at: str | None = None
    mechanisms: tuple[str, ...] = ()
    authority: str | None = None
    probes: _KeyCounts = msgspec.field(default_factory=_KeyCounts)
    confidence: float = 0.0
    evidence: tuple[Any, ...] = ()
    sources: tuple[str, ...] = (LOOKS,)


class _Events(msgspec.Struct):
    events: tuple[_Event, ...]
    next: str | None = None


def read_events(text: bytes, name: str) -> list[StoredEvent]:
    """The events of a file in JSON, as `GET /v1/events` gives them.

    Raises:
        SettingsError: It is something else.
    """
    try:
        found = msgspec.json.decode(text, type=_Events | list[_Event])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise SettingsError(f"{name}: no events as /v1/events gives them ({error})") from error
    if isinstance(found, list):
        return [_stored(one) for one in found]
    if found.next is not None:
        raise SettingsError(f"{name}: has only the first of several pages; ask for limit=1000")
    return [_stored(one) for one in found.events]


def _stored(one: _Event) -> StoredEvent:
    event = TargetEvent(
        kind=one.kind,
        target=one.target or "",
        country=one.country or "ZZ",
        asn=one.asn or 0,
        state=one.state,
        began=_bracket(one.began),
        ended=None if one.ended is None else _bracket(one.ended),
        last_seen_at=_time(one.last_seen_at) or 0.0,
        confirmed_at=_time(one.confirmed_at),
        mechanisms=one.mechanisms,
        authority=one.authority or "",
        agree=one.probes.agree,
        able=one.probes.able,
        confidence=one.confidence,
        evidence=tuple(map(str, one.evidence)),
        sources=one.sources,
    )
    return StoredEvent(one.id, event, opened_at=0.0)


def _bracket(one: _Bracket) -> Bracket:
    return Bracket(_time(one.after), _time(one.by) or 0.0)


def _time(text: str | None) -> float | None:
    return instant(text) if text else None


# --- telling -------------------------------------------------------------------------------------

_HEAD = ("", "kind", "target", "network", "began", "ended", "state", "probes", "what")


def table(told: Iterable[Told]) -> Iterator[str]:
    """Lines of columns; the first one marks what appeared (+), vanished (-) or changed (~)."""
    rows = [_HEAD, *map(_cells, sorted(told, key=_order))]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD))]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _order(one: Told) -> tuple[float, str, NetworkKey]:
    return one.event.began.by, one.event.target, one.event.place[2:]


def _cells(one: Told) -> tuple[str, ...]:
    event = one.event
    return (
        MARKS[one.change],
        event.kind,
        event.target or "(the line)",
        f"{event.country} {event.asn}",
        _span(event.began),
        _span(event.ended) if event.ended else "",
        str(event.state),
        f"{event.agree} of {event.able}",
        f"stored: {'; '.join(one.news)}" if one.news else " ".join(event.mechanisms),
    )


def _span(bracket: Bracket) -> str:
    """The last look before and the first after, to the minute: `2026-11-21 10:05 … 16:10`."""
    by = _minute(bracket.by)
    if bracket.after is None:
        return f"… {by}"
    after = _minute(bracket.after)
    return f"{after} … {by[11:] if by[:10] == after[:10] else by}"


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def as_json(one: Told) -> dict[str, object]:
    """An event as an object."""
    event = one.event
    return {
        "id": one.id or None,
        "change": one.change or None,
        "news": list(one.news),
        "kind": event.kind,
        "target": event.target or None,
        "country": event.country,
        "asn": event.asn,
        "state": str(event.state),
        "began": _as_json(event.began),
        "ended": None if event.ended is None else _as_json(event.ended),
        "last_seen_at": _instant(event.last_seen_at),
        "confirmed_at": _instant(event.confirmed_at),
        "mechanisms": event.mechanisms,
        "authority": event.authority or None,
        "probes": {"agree": event.agree, "able": event.able},
        "confidence": event.confidence,
        "evidence": event.evidence,
        "reason": event.reason or None,
    }


def _as_json(bracket: Bracket) -> dict[str, str | None]:
    return {"after": _instant(bracket.after), "by": _instant(bracket.by)}


def _instant(at: float | None) -> str | None:
    if at is None:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
