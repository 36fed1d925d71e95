"""The events of a report out of a store, as the public sees them."""

from collections.abc import Iterable, Sequence

from collector.api.event_messages import EventShown, shown_event
from collector.api.events import told_looks
from collector.care import Care
from collector.events import storage
from collector.events.reconcile import StoredEvent
from collector.report.asked import ReportAsked
from collector.store import Operation
from collector.store.interface import Query
from probe import reference_data

_PAGE = 500


def read_events(asked: ReportAsked, care: Care) -> Operation[list[EventShown]]:
    """The events that lasted at some time since the previous one began, the oldest first."""
    found: list[StoredEvent] = []
    before: tuple[float, str] = (asked.until, "")
    while True:
        rows = yield Query("events_page", _params(asked, before))
        page = [storage.stored_event(row) for row in rows]
        found += page
        if len(page) < _PAGE:
            break
        before = page[-1].event.began.by, page[-1].id
    shown = yield from _shown(asked, care, reversed(found))
    return shown


def _params(asked: ReportAsked, before: tuple[float, str]) -> dict[str, object]:
    return {
        "before": before[0],
        "before_id": before[1],
        "kind": "",
        "state": "",
        "target": "",
        "category": "",
        "country": asked.country,
        "asn": -1,
        "wave": "",
        "since": asked.previous,
        "until": asked.until,
        "limit": _PAGE,
    }


def _shown(
    asked: ReportAsked, care: Care, events: Iterable[StoredEvent]
) -> Operation[list[EventShown]]:
    wanted = [one for one in events if asked.covers(one.category)]
    names = reference_data.networks()
    looks: Sequence[list[tuple[str, int, float]]] = [list(told_looks(one)) for one in wanted]
    yield from care.learn(look for of in looks for look in of)
    return [
        shown_event(
            one,
            now=asked.until,
            coarse=any(care.is_coarse(*look) for look in of),
            network=names.get,
        )
        for one, of in zip(wanted, looks, strict=True)
    ]
