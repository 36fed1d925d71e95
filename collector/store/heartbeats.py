"""Heartbeats in and out of the store, as operations: five-minute places, nothing finer.

Rule: what is kept of a heartbeat is one bit of an hour and the network it came from, for five
weeks; the boot's word and every clock of the probe are read and forgotten.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from collector.store.interface import Execute, Operation, Params, Query
from collector.store.keys import Network, seen

SLOT = 300
HOUR = 3600
_SLOTS = HOUR // SLOT
KEPT_SECONDS = 35 * 86_400
# The key of the collectors themselves.
LISTENER = ""


class HeartbeatHour(NamedTuple):
    """One hour of one key on one network, each five minutes a bit."""

    key_id: str
    hour: int
    country: str
    asn: int
    heard: int
    cut: int
    missed: int


class Past(NamedTuple):
    """A time in which a probe was on and was not heard; `cut`: nothing abroad answered it."""

    since: float
    until: float
    network: Network
    cut: bool


def hear(key_id: str, now: float, network: Network | None, past: Iterable[Past]) -> Operation[None]:
    """Note a heartbeat, and what it tells of the time before."""
    yield from seen(key_id, now, network)
    bits: dict[tuple[int, str, int], list[int]] = {}
    here = network or Network()
    _set(bits, here, (int(now // SLOT),), 0)
    for one in past:
        slots = range(int(one.since // SLOT), int(one.until // SLOT) + 1)
        _set(bits, one.network, slots, 1 if one.cut else 2)
    yield Execute("beat_add", [_row(key_id, place, of) for place, of in sorted(bits.items())])


def listen(now: float) -> Operation[None]:
    """Note that somebody was here to listen."""
    bits: dict[tuple[int, str, int], list[int]] = {}
    _set(bits, Network(), (int(now // SLOT),), 0)
    yield Execute("beat_add", [_row(LISTENER, place, of) for place, of in bits.items()])


def _set(
    bits: dict[tuple[int, str, int], list[int]],
    network: Network,
    slots: Iterable[int],
    which: int,
) -> None:
    for slot in slots:
        place = (slot // _SLOTS, network.country, network.asn)
        bits.setdefault(place, [0, 0, 0])[which] |= 1 << slot % _SLOTS


def _row(key_id: str, place: tuple[int, str, int], bits: Sequence[int]) -> Params:
    hour, country, asn = place
    return {
        "key_id": key_id,
        "hour": hour,
        "country": country,
        "asn": asn,
        "heard": bits[0],
        "cut": bits[1],
        "missed": bits[2],
    }


def beats_since(at: float, until: float = 1e12) -> Operation[list[HeartbeatHour]]:
    """Every hour from the one that `at` lies in, and before the one of `until`, in order."""
    rows = yield Query("beats_since", {"hour": int(at // HOUR), "until": int(until // HOUR)})
    return [HeartbeatHour(*row) for row in rows]


def told_since(at: float) -> Operation[list[HeartbeatHour]]:
    """Those hours of which something was told afterwards."""
    rows = yield Query("beats_told", {"hour": int(at // HOUR)})
    return [HeartbeatHour(*row) for row in rows]


def retire(now: float) -> Operation[None]:
    """Forget what is older than five weeks."""
    yield Execute("retire_beats", [{"hour": int((now - KEPT_SECONDS) // HOUR)}])


def instants(hour: int, bits: int) -> list[float]:
    """The middles of the five-minute places that are set, in order."""
    begin = hour * HOUR
    return [begin + middle for middle in _middles(bits & (1 << _SLOTS) - 1)]


@cache
def _middles(bits: int) -> tuple[float, ...]:
    return tuple((slot + 0.5) * SLOT for slot in range(_SLOTS) if bits >> slot & 1)
