"""How an event is cited, so that a reader can tell later whether what was cited is still told."""

import hashlib
from dataclasses import dataclass

import msgspec

from collector.api.event_messages import EventDetail
from probe.judge import RULESET

# It depends on when one asks.
_PASSING = "silent_since"


@dataclass(frozen=True, slots=True)
class Citation:
    """What a citation names.

    Attributes:
        rulesets: Of the records that are shown, else that of this collector.
        sha256: Of the event as `/v1/events/ID` tells it, see `digest`.
    """

    collector: str
    revision: int
    rulesets: str
    sha256: str


def digest(event: EventDetail) -> str:
    """SHA-256 of an event as sorted, compact JSON in UTF-8, without `silent_since`."""
    fields = msgspec.to_builtins(event)
    del fields[_PASSING]
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def citation(event: EventDetail, collector: str, rulesets: set[str]) -> Citation:
    """How an event is cited."""
    named = ", ".join(sorted(rulesets - {""})) or RULESET
    return Citation(collector, event.revision, named, digest(event))
