"""What a record counts for, decided in the transaction that stores it: network, vote and counts.

Rule: the network is the connection's (`collector/places.py`). Of one key a limited number of
records a day has a vote. What is set aside is stored, and counted only when it is included again.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar, cast

import msgspec

from collector.places import KeyPlaces, RequestOrigin
from collector.store.interface import Operation, Query
from collector.store.keys import note_places, places_of

DAY = 86_400
# A probe that measures the bundled list every quarter of an hour has 15,000.
LOOKS_DAY = 20_000


class LocatedRow(Protocol):
    """What is read of a `MeasurementRow` here."""

    @property
    def key_id(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def received_at(self) -> int: ...
    @property
    def region(self) -> str: ...
    @property
    def claimed_country(self) -> str: ...
    @property
    def claimed_asn(self) -> int: ...
    @property
    def voting(self) -> int: ...
    @property
    def timings(self) -> str: ...
    @property
    def origin(self) -> RequestOrigin | None: ...


R = TypeVar("R", bound=LocatedRow)


def _changed(row: R, **changes: object) -> R:
    return cast("R", msgspec.structs.replace(cast("msgspec.Struct", row), **changes))


def located(rows: Sequence[R]) -> Operation[list[R]]:
    """The rows, each with the network and the vote that it has."""
    by_sender: dict[tuple[str, RequestOrigin | None], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_sender[row.key_id, row.origin].append(number)
    found = list(rows)
    # In the order of keys, so that two collectors on one store cannot deadlock.
    for (key_id, _), numbers in sorted(by_sender.items(), key=repr):
        made = yield from _of_one_sender(key_id, [rows[number] for number in numbers])
        for number, row in zip(numbers, made, strict=True):
            found[number] = row
    return found


def _of_one_sender(key_id: str, rows: Sequence[R]) -> Operation[list[R]]:
    placed = yield from _place(key_id, rows)
    quiet = yield from _beyond_limit(key_id, rows)
    aside = yield Query("exclusions_of", {"key_id": key_id})
    since = min((float(row[0]) for row in aside), default=float("inf"))
    return [
        _changed(
            row,
            voting=int(bool(row.voting) and number not in quiet),
            timings=row.timings if row.voting and number not in quiet else "",
            counted=int(row.at < since),
        )
        for number, row in enumerate(placed)
    ]


def _place(key_id: str, rows: Sequence[R]) -> Operation[list[R]]:
    """Put each record on the network of its connection; what an operator imported stays."""
    origin = rows[0].origin
    if origin is None:
        return list(rows)
    now = float(rows[0].received_at)
    places = KeyPlaces((yield from places_of(key_id, now)), origin)
    found = []
    for row in rows:
        country, asn, votes = places.locate((row.claimed_country, row.claimed_asn))
        found.append(
            _changed(
                row,
                country=country,
                asn=asn,
                region=row.region if row.region.startswith(country) else "",
                voting=int(votes and bool(row.voting)),
            )
        )
    yield from note_places(key_id, places.fresh, origin.prefix, now)
    return found


def _beyond_limit(key_id: str, rows: Sequence[LocatedRow]) -> Operation[set[int]]:
    """The indices of records beyond the number that counts on the day they were measured."""
    days = [int(row.at // DAY) for row in rows]
    left: dict[int, int] = {}
    for day, n in sorted(Counter(days).items()):
        counted = yield Query("looks_add", {"key_id": key_id, "day": day, "n": n})
        left[day] = LOOKS_DAY - (int(counted[0][0]) - n)
    found = set()
    for number, day in enumerate(days):
        left[day] -= 1
        if left[day] < 0:
            found.add(number)
    return found
