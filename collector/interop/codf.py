"""Events as IODA writes outages: the Common Outage Data Format (`format=codf` of its API). Pure.

Rule: IODA's fields have IODA's meaning and units, and what a collector does not know is null. Our
own fields come after them; a tool that overlays outages on a chart passes over them. Times are
those that a reader gets elsewhere: of a network with few probes to the hour.
"""

from collections.abc import Callable, Sequence
from math import ceil

import msgspec

from collector.events.reconcile import StoredEvent


class OutageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event.

    Attributes:
        location: `asn/NUMBER`, or `country/CC` for all networks of a country.
        start, duration: From the first look that shows it to the first that shows its end, Unix
            time and seconds. overlaps_window: it goes on after that.
        uncertainty: It may have begun so many seconds earlier; null where no look before is known.
        status: 0, which is "out". fraction: null: how much of the network was out is not known.
        score: The confidence of the event, from 0 to 1. IODA's scores have no upper bound.
        kind, target, country, state, mechanisms, id: As in `/v1/events`.
        probes: Independent probes that agreed.
    """

    location: str
    location_name: str
    start: int
    duration: int
    uncertainty: int | None
    status: int = 0
    fraction: float | None = None
    score: float
    overlaps_window: bool
    id: str
    kind: str
    target: str | None
    country: str
    state: str
    mechanisms: Sequence[str]
    probes: int
    coarse: bool


def outage_event(
    stored: StoredEvent, *, until: float, coarse: bool, network: Callable[[int], str | None]
) -> OutageEvent:
    """An event for a reader; one that lasts ends at `until`."""
    event = stored.event
    began = event.began.in_hours() if coarse else event.began
    ended = event.ended.in_hours() if coarse and event.ended else event.ended
    start = ceil(began.by)
    last = until if ended is None else ended.by
    name = network(event.asn) if event.asn else event.country
    return OutageEvent(
        location=f"asn/{event.asn}" if event.asn else f"country/{event.country}",
        location_name=name or f"AS{event.asn}",
        start=start,
        duration=max(0, ceil(last) - start),
        uncertainty=None if began.after is None else max(0, start - int(began.after)),
        score=event.confidence,
        overlaps_window=ended is None,
        id=stored.id,
        kind=event.kind,
        target=event.target or None,
        country=event.country,
        state=event.state,
        mechanisms=event.mechanisms,
        probes=event.agree,
        coarse=coarse,
    )
