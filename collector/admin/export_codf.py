"""Write events of lines as IODA writes outages: a file to lay over its charts.

Rule: as in every other export, what few probes saw has times to the hour where a reader is not the
operator.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from collector import conduct
from collector.admin.export import csv_bytes
from collector.care import Care
from collector.events.model import LINE_KINDS, EventState
from collector.events.reconcile import StoredEvent
from collector.events.storage import all_events
from collector.interop.codf import OutageEvent, outage_event
from collector.standing import Standings
from collector.store import Operation, Store
from collector.store.queries import Selection
from probe import reference_data


async def codf(
    store: Store, wanted: Selection, *, least: int, now: float, as_csv: bool
) -> Sequence[bytes]:
    """The file's pieces: IODA's envelope in JSON, or CSV.

    Args:
        wanted: Its country, network and time select events.
        least: So many probes on a network make its events not coarse; 1: none is.
    """
    made = await store.read(_made(wanted, least, now), slow=True)
    if as_csv:
        cells = [["" if one is None else _cell(one) for one in _values(row)] for row in made]
        return [csv_bytes([OutageEvent.__struct_fields__, *cells])]
    envelope = {"type": "outages.events", "error": None, "data": made}
    return [msgspec.json.encode(envelope), b"\n"]


def _made(wanted: Selection, least: int, now: float) -> Operation[list[OutageEvent]]:
    standings = Standings()
    if least > 1:
        standings = yield from conduct.read_standings(now, lab=False)
    care = Care(least, standings)
    events = yield from all_events()
    found = [one for one in events if _is_wanted(one, wanted)]
    yield from care.learn(look for one in found for look in one.told_looks)
    name: Callable[[int], str | None] = reference_data.networks().get
    until = min(now, wanted.until)
    return [
        outage_event(
            one,
            until=until,
            coarse=any(care.is_coarse(*look) for look in one.told_looks),
            network=name,
        )
        for one in found
    ]


def _is_wanted(one: StoredEvent, wanted: Selection) -> bool:
    event, (first, last) = one.event, one.span
    return (
        event.kind in LINE_KINDS.values()
        and not event.target
        and event.state is not EventState.WITHDRAWN
        and wanted.country in {"", event.country}
        and wanted.asn in {-1, event.asn}
        and first < wanted.until
        and (event.lasts or last >= wanted.since)
    )


def _values(row: OutageEvent) -> Iterator[object]:
    return (getattr(row, name) for name in row.__struct_fields__)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
