"""Which targets and networks have looks that their events do not show yet, as operations.

Rule: it is noted in the transaction that stores, excludes or erases the looks. Where no probe whose
votes count saw interference nothing is kept, because looks make no events there.
"""

from collections.abc import Iterable

from collector.places import UNKNOWN
from collector.store.interface import Execute, Operation

Place = tuple[str, str, int]  # target (empty: the line), country, ASN


def note_looks(bad: Iterable[Place], fine: Iterable[Place]) -> Operation[None]:
    """Note where there are new looks: those that saw interference, and the others."""
    # From an unknown country there are no events.
    troubled = {one for one in bad if one[1] != UNKNOWN[0]}
    others = set(fine) - troubled
    # In a fixed order, so that two collectors on one store cannot deadlock.
    yield Execute("place_troubled", [at(one) for one in sorted(troubled)])
    yield Execute("place_looked_at", [at(one) for one in sorted(others)])


def all_due() -> Operation[None]:
    """Have all events made again, also where only strangers saw interference when it was looked."""
    yield Execute("places_all_due", [{}])
    yield Execute("places_all_troubled", [{}])


def due_by_key(keys: Iterable[str], since: float = 0.0) -> Operation[None]:
    """Have the events made again where these keys looked since then.

    A place that needed no attention without these keys may need it with them.
    """
    params = [{"key_id": key, "since": since} for key in sorted(keys)]
    yield Execute("places_of_key_due", params)
    yield Execute("places_of_key_troubled", params)


def note_erasure(key_id: str, now: float) -> Operation[None]:
    """Note that the looks of a key go: what was told of the time before stays as it is."""
    yield Execute("places_of_key_incomplete", [{"key_id": key_id, "now": now}])


def at(place: Place) -> dict[str, object]:
    """The parameters that name a place."""
    return {"target": place[0], "country": place[1], "asn": place[2]}
