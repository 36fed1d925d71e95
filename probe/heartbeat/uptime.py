"""When this machine was on and who answered then: kept until every collector has heard of it.

A collector that hears nothing cannot tell a cut line from a machine that is off. So each heartbeat
that is not heard leaves a note: on, awake, and this is what still answered. Notes that say the same
without a gap between them are one stay, so that a week of darkness is a line, and they are told by
their age, so that no clock need be right. What lies between two stays the machine was off, asleep
or not running: that is told by leaving it out.
"""

from collections.abc import Collection
from typing import Literal

import msgspec
from msgspec.structs import replace

from probe.api_types import Unheard
from probe.heartbeat import clocks
from probe.heartbeat.clocks import Gap, Reading
from probe.model import Data

EVERY = 300.0
# A shutdown lasts a week; whoever was away for longer has nothing to add.
KEPT_SECONDS = 14 * 86_400.0
KEPT = 400
TOLD = 200

Reach = Literal["abroad", "home", "nothing"]


class Interval(Data, frozen=True, kw_only=True):
    """A time in which the machine was on and some collector did not hear it.

    Attributes:
        began, ended: All clocks at its first and at its last note.
        country, asn: Of the network it was on, where that is known.
    """

    began: Reading
    ended: Reading
    reach: Reach
    country: str | None = None
    asn: int | None = None


class UptimeHistory(Data, frozen=True, kw_only=True):
    """What is kept between heartbeats.

    Attributes:
        last: All clocks at the newest heartbeat, heard or not.
        heard: By collector, when it last heard us.
    """

    last: Reading | None = None
    stays: tuple[Interval, ...] = ()
    heard: dict[str, Reading] = msgspec.field(default_factory=dict)


def noted(
    history: UptimeHistory,
    now: Reading,
    reach: Reach,
    *,
    country: str | None = None,
    asn: int | None,
) -> UptimeHistory:
    """With a heartbeat that some collector did not hear.

    A look that finds nothing just after a start or sleep says nothing: the line is coming up.
    """
    if reach == "nothing" and _just_woken(history.last, now):
        return replace(history, last=now)
    stays = history.stays
    newest = stays[-1] if stays else None
    same = newest is not None and (newest.reach, newest.country, newest.asn) == (
        reach,
        country,
        asn,
    )
    if newest is not None and same and newest.ended == history.last and _joined(newest.ended, now):
        stays = (*stays[:-1], replace(newest, ended=now))
    else:
        stays = (*stays, Interval(began=now, ended=now, reach=reach, country=country, asn=asn))
    return replace(history, last=now, stays=stays[-KEPT:])


def _just_woken(before: Reading | None, now: Reading) -> bool:
    return before is not None and clocks.gap(before, now, every=EVERY) in {Gap.OFF, Gap.ASLEEP}


def _joined(before: Reading, after: Reading) -> bool:
    """The machine was on and awake from one note to the next."""
    return clocks.gap(before, after, every=EVERY) in {Gap.NONE, Gap.CUT}


def age(of: Reading, now: Reading) -> float:
    """Seconds from a reading to now: by a clock that nobody can set, where the boot is the same."""
    if clocks.same_boot(of, now) and of.booted is not None and now.booted is not None:
        return now.booted - of.booted
    return now.wall - of.wall


def unheard(history: UptimeHistory, collector: str, now: Reading) -> tuple[Unheard, ...]:
    """What this collector has not been told yet, oldest first."""
    heard = history.heard.get(collector)
    newest = age(heard, now) if heard is not None else KEPT_SECONDS
    found = [
        Unheard(
            since=round(min(age(stay.began, now), newest), 1),
            until=round(max(age(stay.ended, now), 0.0), 1),
            reach=stay.reach,
            country=stay.country,
            asn=stay.asn,
        )
        for stay in history.stays
        if age(stay.ended, now) < newest
    ]
    return tuple(one for one in found if 0 <= one.until <= one.since)[:TOLD]


def heard_by(history: UptimeHistory, collectors: Collection[str], now: Reading) -> UptimeHistory:
    """With what these collectors heard just now."""
    told = {one: _told_until(history, one, now) for one in collectors}
    return replace(history, last=now, heard={**history.heard, **told})


def _told_until(history: UptimeHistory, collector: str, now: Reading) -> Reading:
    """How far a collector knows by now; a very broken history is told in several heartbeats."""
    heard = history.heard.get(collector)
    newest = age(heard, now) if heard is not None else KEPT_SECONDS
    waiting = [stay for stay in history.stays if age(stay.ended, now) < newest]
    return waiting[TOLD - 1].ended if len(waiting) > TOLD else now


def tidied(history: UptimeHistory, collectors: Collection[str], now: Reading) -> UptimeHistory:
    """Without what is too old, and what every collector of today knows."""
    known = {one: history.heard[one] for one in collectors if one in history.heard}
    oldest = max((age(one, now) for one in known.values()), default=KEPT_SECONDS)
    oldest = oldest if len(known) == len(collectors) else KEPT_SECONDS
    limit = min(oldest, KEPT_SECONDS)
    stays = tuple(stay for stay in history.stays if 0 <= age(stay.ended, now) < limit)
    return replace(history, stays=stays, heard=known)


def slept(history: UptimeHistory, now: Reading) -> float | None:
    """Seconds of sleep since the last heartbeat; None after a start of the machine."""
    last = history.last
    if last is None or not clocks.same_boot(last, now):
        return None
    return round(clocks.slept(last, now), 1)
