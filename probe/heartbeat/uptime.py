"""Intervals in which the machine was on but a collector did not receive its heartbeats.

Without heartbeats a collector cannot tell a disconnected machine from one that is switched off. So
each undelivered heartbeat extends an interval that records what was still reachable. Adjacent
heartbeats with the same result are one interval, so that a week of outage is one entry. Intervals
are sent by age, so that no clock need be right. Outside the intervals the machine was off, asleep
or not running. They are kept until every collector has received them.
"""

from collections.abc import Collection
from typing import Literal

import msgspec
from msgspec.structs import replace

from probe.api_types import MissedInterval
from probe.heartbeat import clocks
from probe.heartbeat.clocks import Gap, Reading
from probe.model import Data

EVERY = 300.0
# A shutdown lasts about a week; older intervals are not useful.
KEPT_SECONDS = 14 * 86_400.0
MAX_INTERVALS = 400
MAX_INTERVALS_SENT = 200

Reach = Literal["abroad", "home", "nothing"]


class Interval(Data, frozen=True, kw_only=True):
    """A time in which the machine was on and some collector did not receive its heartbeats.

    Attributes:
        began, ended: All clocks at its first and last heartbeat.
        country, asn: Of the network, where known.
    """

    began: Reading
    ended: Reading
    reach: Reach
    country: str | None = None
    asn: int | None = None


class UptimeHistory(Data, frozen=True, kw_only=True):
    """State between heartbeats; the file keeps the names `stays` and `heard`.

    Attributes:
        last: All clocks at the newest heartbeat, delivered or not.
        delivered: By collector, the time up to which it has our history.
    """

    last: Reading | None = None
    intervals: tuple[Interval, ...] = msgspec.field(default=(), name="stays")
    delivered: dict[str, Reading] = msgspec.field(default_factory=dict, name="heard")


def with_interval(
    history: UptimeHistory,
    now: Reading,
    reach: Reach,
    *,
    country: str | None = None,
    asn: int | None,
) -> UptimeHistory:
    """Return the history with a heartbeat that some collector did not receive.

    If nothing is reachable just after a boot or sleep, no interval is recorded: the connection may
    still be coming up.
    """
    gap = None if history.last is None else clocks.gap(history.last, now, every=EVERY)
    if reach == "nothing" and gap in {Gap.OFF, Gap.ASLEEP}:
        return replace(history, last=now)
    intervals = history.intervals
    newest = intervals[-1] if intervals else None
    same = newest is not None and (newest.reach, newest.country, newest.asn) == (
        reach,
        country,
        asn,
    )
    if newest is not None and same and newest.ended == history.last and gap in {Gap.NONE, Gap.CUT}:
        intervals = (*intervals[:-1], replace(newest, ended=now))
    else:
        intervals = (
            *intervals,
            Interval(began=now, ended=now, reach=reach, country=country, asn=asn),
        )
    return replace(history, last=now, intervals=intervals[-MAX_INTERVALS:])


def age(of: Reading, now: Reading) -> float:
    """Return the seconds from a reading to now, by the boot clock if the boot is the same."""
    if clocks.same_boot(of, now) and of.booted is not None and now.booted is not None:
        return now.booted - of.booted
    return now.wall - of.wall


def unheard(history: UptimeHistory, collector: str, now: Reading) -> tuple[MissedInterval, ...]:
    """Return the intervals that this collector does not have yet, oldest first."""
    delivered = history.delivered.get(collector)
    newest = age(delivered, now) if delivered is not None else KEPT_SECONDS
    found = [
        MissedInterval(
            since=round(min(age(interval.began, now), newest), 1),
            until=round(max(age(interval.ended, now), 0.0), 1),
            reach=interval.reach,
            country=interval.country,
            asn=interval.asn,
        )
        for interval in history.intervals
        if age(interval.ended, now) < newest
    ]
    return tuple(one for one in found if 0 <= one.until <= one.since)[:MAX_INTERVALS_SENT]


def with_delivery(
    history: UptimeHistory, collectors: Collection[str], now: Reading
) -> UptimeHistory:
    """Return the history after these collectors received a heartbeat."""
    until = {one: _delivered_until(history, one, now) for one in collectors}
    return replace(history, last=now, delivered={**history.delivered, **until})


def _delivered_until(history: UptimeHistory, collector: str, now: Reading) -> Reading:
    """Return the time up to which a collector has the history.

    A history of many intervals is sent over several heartbeats.
    """
    delivered = history.delivered.get(collector)
    newest = age(delivered, now) if delivered is not None else KEPT_SECONDS
    waiting = [interval for interval in history.intervals if age(interval.ended, now) < newest]
    return waiting[MAX_INTERVALS_SENT - 1].ended if len(waiting) > MAX_INTERVALS_SENT else now


def pruned(history: UptimeHistory, collectors: Collection[str], now: Reading) -> UptimeHistory:
    """Return the history without intervals that are too old or that every collector has."""
    known = {one: history.delivered[one] for one in collectors if one in history.delivered}
    oldest = max((age(one, now) for one in known.values()), default=KEPT_SECONDS)
    oldest = oldest if len(known) == len(collectors) else KEPT_SECONDS
    limit = min(oldest, KEPT_SECONDS)
    intervals = tuple(
        interval for interval in history.intervals if 0 <= age(interval.ended, now) < limit
    )
    return replace(history, intervals=intervals, delivered=known)


def slept(history: UptimeHistory, now: Reading) -> float | None:
    """Return the seconds of sleep since the last heartbeat; None after a boot."""
    last = history.last
    if last is None or not clocks.same_boot(last, now):
        return None
    return round(clocks.slept(last, now), 1)
