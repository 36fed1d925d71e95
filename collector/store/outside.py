"""Series of other observatories, which the operator imported, as operations."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from collector.store.interface import Execute, Operation, Query

Source = Literal["ioda", "radar"]
# Signals of one source at one place, and points of one of them in the time of a chart.
_SIGNALS, _POINTS = 8, 20_000


class OutsideSeries(NamedTuple):
    """What one source measured at one place.

    Attributes:
        signal: What was measured, in the source's word.
        asn: 0 for the country as a whole.
        step: Seconds that a point stands for. points: Unix time and value, oldest first.
    """

    source: Source
    signal: str
    country: str
    asn: int
    licence: str
    step: int
    points: Sequence[tuple[int, float]]

    @property
    def id(self) -> str:
        """What is the same for all files of it."""
        text = f"{self.source} {self.country} {self.asn} {self.signal}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def keep(series: OutsideSeries) -> Operation[None]:
    """Keep a series; a point that is there already has the newer value."""
    row = series._asdict()
    del row["points"]
    yield Execute("outside_series_put", [{"id": series.id, **row}])
    points = ({"series": series.id, "at": at, "value": value} for at, value in series.points)
    yield Execute("outside_point_put", list(points))


def sources() -> Operation[list[Source]]:
    """The sources of which there is anything."""
    rows = yield Query("outside_sources")
    return [row[0] for row in rows]


def at_place(
    place: tuple[str, int], wanted: Iterable[Source], since: float, until: float
) -> Operation[list[OutsideSeries]]:
    """What some sources measured at a place (country, ASN) in a period."""
    country, asn = place
    found = []
    for source in wanted:
        params = {"country": country, "asn": asn, "source": source, "limit": _SIGNALS}
        for id_, _, signal, licence, step in (yield Query("outside_series_at", params)):
            period = {"since": int(since), "until": int(until), "limit": _POINTS}
            rows = yield Query("outside_points", {"series": id_, **period})
            points = [(row[0], row[1]) for row in rows]
            found.append(OutsideSeries(source, signal, country, asn, licence, step, points))
    return [one for one in found if one.points]


def forget(before: float, limit: int) -> Operation[int]:
    """Delete some points that are older; return how many."""
    rows = yield Query("retire_outside", {"before": int(before), "limit": limit})
    if not rows:
        yield Execute("retire_outside_series", [{}])
    return len(rows)
