"""The messages of `/v1/events` and `/v1/waves`."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from collector.api.http import instant_text
from collector.api.lists import RowsPage
from collector.detection.shutdown import ShutdownCandidate
from collector.events.model import Bracket
from collector.events.reconcile import StoredEvent

# No probe could look any more: no conclusive look for so long while it lasts.
SILENT_SECONDS = 86_400.0
HOUR = 3600.0


class BracketShown(msgspec.Struct, frozen=True):
    """A change, between two looks; `after` is null where no look before it is known."""

    after: str | None
    by: str


class ProbesShown(msgspec.Struct, frozen=True):
    """Independent probes at its peak: those that agreed, and those that could tell."""

    agree: int
    able: int


class RevisionShown(msgspec.Struct, frozen=True):
    """One change of an event."""

    at: str
    what: str


class EventShown(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as readers get it."""

    id: str
    kind: str
    target: str | None
    category: str | None
    country: str
    asn: int
    network: str | None
    region: str | None
    mechanisms: Sequence[str]
    authority: str | None
    state: str
    began: BracketShown
    ended: BracketShown | None
    last_seen_at: str
    silent_since: str | None
    confirmed_at: str | None
    published_at: str | None
    probes: ProbesShown
    confidence: float
    evidence: Sequence[str]
    sources: Sequence[str]
    group: str | None
    reason: str | None
    revision: int
    coarse: bool = False


class EventDetail(EventShown, frozen=True, kw_only=True):
    """An event with its revisions, oldest first."""

    history: Sequence[RevisionShown]


class OutageShown(msgspec.Struct, frozen=True, kw_only=True):
    """A silence of many probes that nothing else confirms."""

    country: str
    asn: int
    started_at: str
    ended_at: str | None
    probes: int
    active: bool
    why: str = "nothing else says so yet"


class FewProbes(msgspec.Struct, frozen=True):
    """A network with too few probes to notice an outage."""

    country: str
    asn: int
    probes: int


class EventPage(RowsPage, frozen=True, kw_only=True):
    """A page of events, newest beginning first.

    Attributes:
        unconfirmed: Outages that no second source confirms; they are no events.
        too_few: Networks with too few probes to notice an outage.
    """

    events: Sequence[EventShown]
    next: str | None
    unconfirmed: Sequence[OutageShown] = ()
    too_few: Sequence[FewProbes] = ()


class WaveShown(msgspec.Struct, frozen=True, kw_only=True):
    """Events that began together.

    Attributes:
        began: When the first of them did. last_began_by: the first look at the last of them.
        events: Their ids, oldest first; `/v1/events?group=ID` has them whole.
        networks: AS numbers.
    """

    id: str
    kinds: Sequence[str]
    country: str
    began: BracketShown
    last_began_by: str
    events: Sequence[str]
    targets: Sequence[str]
    networks: Sequence[int]


class WavePage(RowsPage, frozen=True, kw_only=True):
    """A page of waves, newest first."""

    waves: Sequence[WaveShown]
    next: str | None


def shown_event(
    stored: StoredEvent, *, now: float, coarse: bool, network: Callable[[int], str | None]
) -> EventShown:
    """The message of an event; a coarse one has times to the hour and no ids of records."""
    event = stored.event

    def text(at: float) -> str:
        return instant_text(at // HOUR * HOUR if coarse else at)

    def bracket(of: Bracket) -> BracketShown:
        after, by = of.in_hours() if coarse else of
        return BracketShown(maybe(after), instant_text(by))

    def maybe(at: float | None) -> str | None:
        return None if at is None else text(at)

    silent = event.lasts and event.last_look_at < now - SILENT_SECONDS
    return EventShown(
        id=stored.id,
        kind=event.kind,
        target=event.target or None,
        category=stored.category or None,
        country=event.country,
        asn=event.asn,
        network=network(event.asn),
        region=None,
        mechanisms=event.mechanisms,
        authority=event.authority or None,
        state=event.state,
        began=bracket(event.began),
        ended=None if event.ended is None else bracket(event.ended),
        last_seen_at=text(event.last_seen_at),
        silent_since=text(event.last_look_at) if silent else None,
        confirmed_at=maybe(event.confirmed_at),
        published_at=maybe(stored.published_at),
        probes=ProbesShown(event.agree, event.able),
        confidence=event.confidence,
        evidence=() if coarse else event.evidence,
        sources=event.sources,
        group=stored.wave or None,
        reason=event.reason or None,
        revision=stored.revision,
        coarse=coarse,
    )


def with_history(shown: EventShown, stored: StoredEvent) -> EventDetail:
    """The event with its revisions; the collector may have made one right after a look."""
    history = [
        RevisionShown(instant_text(one.at // HOUR * HOUR if shown.coarse else one.at), one.what)
        for one in stored.history
    ]
    return EventDetail(**msgspec.structs.asdict(shown), history=history)


def shown_wave(id_: str, events: Sequence[EventShown]) -> WaveShown:
    """A wave of these events, oldest first; within an hour they may be in any order."""
    first = min(events, key=lambda one: one.began.by)
    return WaveShown(
        id=id_,
        kinds=sorted({one.kind for one in events}),
        country=events[0].country,
        began=first.began,
        last_began_by=max(one.began.by for one in events),
        events=[one.id for one in events],
        targets=sorted({one.target for one in events if one.target}),
        networks=sorted({one.asn for one in events}),
    )


def shown_outages(candidates: Iterable[ShutdownCandidate]) -> list[OutageShown]:
    """Unconfirmed outages."""
    return [
        OutageShown(
            country=one.country,
            asn=one.asn,
            started_at=instant_text(one.started_at),
            ended_at=None if one.ended_at is None else instant_text(one.ended_at),
            probes=one.probes,
            active=one.ended_at is None,
        )
        for one in candidates
    ]
