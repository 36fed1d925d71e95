"""Heartbeats in and out of the store, as operations, in slots of five minutes.

Rule: of a heartbeat one bit of an hour and its network are kept, for five weeks; the boot id and
the probe's clocks are not stored.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from collector.places import NetworkKey
from collector.store.interface import Execute, Operation, Params, Query
from collector.store.keys import ProbeNetwork, mark_seen

SLOT = 300
HOUR = 3600
_SLOTS = HOUR // SLOT
KEPT_SECONDS = 35 * 86_400
_DAY_HOURS = 24
# Reports reach back two weeks and do not overlap, so twice that many slots are more than enough.
SLOTS_LIMIT = 2 * 14 * 86_400 // SLOT
# The key of the collector's own heartbeats.
COLLECTOR_KEY = ""


class HeartbeatHour(NamedTuple):
    """One hour of one key on one network; each five-minute slot is a bit.

    Attributes:
        heard: A heartbeat came.
        cut: Reported afterwards: on, and nothing abroad answered.
        missed: Reported afterwards: everything but the collector answered.
    """

    key_id: str
    hour: int
    country: str
    asn: int
    heard: int
    cut: int
    missed: int


class UnheardPeriod(NamedTuple):
    """A time in which a probe was on without a heartbeat; `cut`: nothing abroad answered it."""

    since: float
    until: float
    network: ProbeNetwork
    cut: bool


def record_heartbeat(
    key_id: str, now: float, network: ProbeNetwork | None, past: Iterable[UnheardPeriod]
) -> Operation[None]:
    """Store a heartbeat, and the periods without heartbeats that it reports."""
    yield from mark_seen(key_id, now, network)
    bits: dict[tuple[int, str, int], list[int]] = {}
    _set(bits, network or ProbeNetwork(), (int(now // SLOT),), 0)
    left = SLOTS_LIMIT
    for one in past:
        slots = range(int(one.since // SLOT), int(one.until // SLOT) + 1)
        left -= len(slots)
        if left < 0:
            break
        _set(bits, one.network, slots, 1 if one.cut else 2)
    yield Execute("beat_add", [_row(key_id, hour, of) for hour, of in sorted(bits.items())])


def record_collector_heartbeat(now: float) -> Operation[None]:
    """Store a heartbeat of the collector itself."""
    bits: dict[tuple[int, str, int], list[int]] = {}
    _set(bits, ProbeNetwork(), (int(now // SLOT),), 0)
    yield Execute("beat_add", [_row(COLLECTOR_KEY, hour, of) for hour, of in bits.items()])


def _set(
    bits: dict[tuple[int, str, int], list[int]],
    network: ProbeNetwork,
    slots: Iterable[int],
    which: int,
) -> None:
    for slot in slots:
        hour = (slot // _SLOTS, network.country, network.asn)
        bits.setdefault(hour, [0, 0, 0])[which] |= 1 << slot % _SLOTS


def _row(key_id: str, hour_on_network: tuple[int, str, int], bits: Sequence[int]) -> Params:
    hour, country, asn = hour_on_network
    return {
        "key_id": key_id,
        "hour": hour,
        "country": country,
        "asn": asn,
        "heard": bits[0],
        "cut": bits[1],
        "missed": bits[2],
    }


def heartbeats_since(
    at: float, until: float = 1e12, network: NetworkKey = ("", 0)
) -> Operation[list[HeartbeatHour]]:
    """The hours from that of `at` up to but without that of `until`, in order.

    Those of one network; ASN 0 stands for all of a country, and no country for all.
    """
    hours = {"hour": int(at // HOUR), "until": int(until // HOUR)}
    rows = yield Query("beats_since", {**hours, "country": network[0], "asn": network[1]})
    return [HeartbeatHour(*row) for row in rows]


def reported_since(at: float) -> Operation[list[HeartbeatHour]]:
    """The hours since then of which something was reported afterwards."""
    rows = yield Query("beats_reported", {"hour": int(at // HOUR)})
    return [HeartbeatHour(*row) for row in rows]


def retire(now: float) -> Operation[None]:
    """Delete heartbeats older than five weeks."""
    yield Execute("retire_beats", [{"hour": int((now - KEPT_SECONDS) // HOUR)}])


def settled(now: float) -> Operation[float]:
    """The time by which old data may be deleted: the clock's, once it was that for a day.

    While the clock is ahead, the collector's own newest hours are too, but few of them.
    """
    own = yield from own_time()
    return now if own is None else min(now, own)


def own_time() -> Operation[float | None]:
    """The time that a day of the collector's own heartbeats bears out; None without that."""
    rows = yield Query("own_hour", {"key_id": COLLECTOR_KEY, "back": _DAY_HOURS})
    return (rows[0][0] + _DAY_HOURS + 1) * float(HOUR) if rows else None


def slot_times(hour: int, bits: int) -> list[float]:
    """The middles of the five-minute slots that are set, in order."""
    begin = hour * HOUR
    return [begin + middle for middle in _middles(bits & (1 << _SLOTS) - 1)]


@cache
def _middles(bits: int) -> tuple[float, ...]:
    return tuple((slot + 0.5) * SLOT for slot in range(_SLOTS) if bits >> slot & 1)
