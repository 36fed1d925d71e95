"""Looks and events, as data.

A *look* is one measurement that could tell: one that could not (`inconclusive`, a cut line, a dead
control) is no look, so it neither begins nor ends nor interrupts an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import NamedTuple

HOUR = 3600.0
# The kind of event that an outcome is a sign of.
KINDS: Mapping[str, str] = MappingProxyType(
    {"blocked": "blocking", "intercepted": "interception", "throttled": "throttling"}
)
FINE = frozenset({"ok", "refused"})
# The whole line instead of a target, from measurements of connectivity.
LINE_KINDS: Mapping[str, str] = MappingProxyType(
    {"access.whitelist": "whitelist", "access.foreign_cut": "shutdown"}
)
# The source of events that measurements of targets and of connectivity show.
LOOKS = "looks"
# A page that opens says nothing about its speed.
_OF_SPEED = frozenset({"throttle", "speed"})


@unique
class EventState(StrEnum):
    """How far an event has come."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class Look(NamedTuple):
    """One conclusive measurement.

    Attributes:
        at: When it was made, Unix time.
        id: Of its record. key: of the probe.
        target: The measured site; empty for the line itself.
        mechanisms: Space-separated. authority: id of an interception authority, or empty.
        confidence: Of its verdict.
    """

    at: float
    id: str
    key: str
    experiment: str
    target: str
    country: str
    asn: int
    outcome: str
    mechanisms: str = ""
    authority: str = ""
    confidence: float = 0.9

    def sign(self, kind: str) -> bool | None:
        """True: a sign of this kind of event. False: a sign against it. None: neither."""
        if kind in LINE_KINDS.values():
            return self._line_sign(kind)
        if KINDS.get(self.outcome) == kind:
            return True
        if self.outcome in FINE:
            speed = self.experiment in _OF_SPEED
            return False if speed == (kind == "throttling") else None
        # A site that is intercepted or slow can be reached, and one that is blocked cannot be slow.
        return False if self.outcome in KINDS and kind != "throttling" else None

    def _line_sign(self, kind: str) -> bool | None:
        if self.experiment != "connectivity":
            return None
        found = {LINE_KINDS[one] for one in self.mechanisms.split() if one in LINE_KINDS}
        return kind in found if found or self.outcome in FINE else None


class Bracket(NamedTuple):
    """When something changed: after the last look before it, by the first look after it.

    Attributes:
        after: None where no look before it is known.
    """

    after: float | None
    by: float

    def in_hours(self) -> "Bracket":
        """The bracket to the hour, rounded outwards, so that it still contains what it says."""
        after = None if self.after is None else self.after // HOUR * HOUR
        return Bracket(after, -(-self.by // HOUR) * HOUR)


@dataclass(frozen=True, slots=True)
class TargetEvent:
    """One event as the looks show it, without an identity.

    Attributes:
        began, ended: Brackets; `ended` is None while it lasts.
        last_seen_at: The newest look that is a sign of it.
        confirmed_at: The look that completed the quorum, or None.
        agree, able: Independent keys at its peak: that agreed, and that had a look since it began.
        evidence: Ids of up to five records, of different keys first.
        reason: Why it was withdrawn, or empty.
        last_look_at: The newest look that could tell whether it lasts.
        sources: What says so: `looks`, or the sources of `detection/`.
    """

    kind: str
    target: str
    country: str
    asn: int
    state: EventState
    began: Bracket
    ended: Bracket | None
    last_seen_at: float
    confirmed_at: float | None
    mechanisms: tuple[str, ...]
    authority: str
    agree: int
    able: int
    confidence: float
    evidence: tuple[str, ...]
    reason: str = ""
    last_look_at: float = 0.0
    sources: tuple[str, ...] = (LOOKS,)

    @property
    def lasts(self) -> bool:
        """Whether it is going on."""
        return self.state in {EventState.SUSPECTED, EventState.CONFIRMED}

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What tells events of different things apart: kind, target, country, ASN."""
        return self.kind, self.target, self.country, self.asn
