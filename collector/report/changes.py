"""What changed against the previous time of the same length. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from collector.api.event_messages import EventShown
from collector.report.asked import ReportAsked
from collector.report.findings import OF_SITES, Networks, Where, at_of, by_place, lasted, main_kind
from collector.report.frozen import FoundRows

Change = Literal["began", "ended", "began_and_ended", "mechanism"]
# A mechanism that was seen less often than this, against the most frequent one, says nothing.
_SHARE = 0.1


class ChangeFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What changed at one place against the previous time.

    Attributes:
        change: `began`, `ended`, `began_and_ended`, or `mechanism` when it goes on otherwise.
    """

    target: str
    category: str
    asn: int
    network: str
    change: Change
    kind: str
    at: str
    conclusive_before: int
    interfered_before: int
    conclusive: int
    interfered: int
    mechanisms_before: Sequence[str]
    mechanisms: Sequence[str]


class CountedPeriod:
    """The counts of one time at each place."""

    def __init__(self, sites: FoundRows, mechanisms: FoundRows) -> None:
        self._rows = {(one["target"], one["asn"]): one for one in sites.by_name()}
        self._words = by_place(mechanisms)

    def row(self, where: Where) -> Mapping[str, Any]:
        """The counts at a place; empty where no probe measured."""
        return self._rows.get(where, {})

    def words(self, where: Where) -> Mapping[str, int]:
        """The mechanisms at a place."""
        return self._words.get(where, {})

    def usual(self, where: Where) -> set[str]:
        """The mechanisms at a place without those that were seen rarely."""
        words = self.words(where)
        return {word for word, n in words.items() if n >= _SHARE * max(words.values())}


class _ToldChange(NamedTuple):
    """One change at one place."""

    where: Where
    change: Change
    kind: str
    at: str = ""


def changes(
    asked: ReportAsked,
    periods: tuple[CountedPeriod, CountedPeriod],
    events: Sequence[EventShown],
    networks: Networks,
) -> list[ChangeFinding]:
    """What began, ended, or goes on by other means; `periods`: the previous one, and this one."""
    sure = [
        one
        for one in events
        if one.kind in OF_SITES and one.confirmed_at is not None and one.state != "withdrawn"
    ]
    told = [one for event in sure if (one := _change(event, asked)) is not None]
    known = {one.where for one in told}
    told += [one for one in _otherwise(asked, periods, sure) if one.where not in known]
    found = [_finding(one, periods, networks) for one in told]
    return sorted(found, key=lambda one: (one.target, one.asn, one.at, one.change))


def _change(event: EventShown, asked: ReportAsked) -> _ToldChange | None:
    where = event.target or "", event.asn
    began = asked.since <= at_of(event.began.by) < asked.until
    ended = event.ended is not None and asked.since <= at_of(event.ended.by) < asked.until
    if began:
        return _ToldChange(
            where, "began_and_ended" if ended else "began", event.kind, event.began.by
        )
    if ended and event.ended is not None:
        return _ToldChange(where, "ended", event.kind, event.ended.by)
    return None


def _otherwise(
    asked: ReportAsked,
    periods: tuple[CountedPeriod, CountedPeriod],
    events: Sequence[EventShown],
) -> Iterator[_ToldChange]:
    """Where what goes on has none of its usual mechanisms in common with the previous time."""
    lasting = {(one.target or "", one.asn) for one in events if lasted(one, asked)}
    for where in sorted(lasting):
        before, now = (one.usual(where) for one in periods)
        if before and now and before.isdisjoint(now):
            yield _ToldChange(where, "mechanism", main_kind(periods[1].row(where)))


def _finding(
    told: _ToldChange, periods: tuple[CountedPeriod, CountedPeriod], networks: Networks
) -> ChangeFinding:
    before, now = (one.row(told.where) for one in periods)
    return ChangeFinding(
        target=told.where[0],
        category=now.get("category") or before.get("category") or "",
        asn=told.where[1],
        network=networks.name(told.where[1]),
        change=told.change,
        kind=told.kind,
        at=told.at,
        conclusive_before=before.get("conclusive", 0),
        interfered_before=before.get("interfered", 0),
        conclusive=now.get("conclusive", 0),
        interfered=now.get("interfered", 0),
        mechanisms_before=list(periods[0].words(told.where)),
        mechanisms=list(periods[1].words(told.where)),
    )
