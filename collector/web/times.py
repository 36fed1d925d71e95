"""Times as pages show them: in UTC, and beside it in the country's own time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Countries that have one time, and the city that names it.
ZONES: Mapping[str, str] = MappingProxyType(
    {
        "AZ": "Asia/Baku",
        "BY": "Europe/Minsk",
        "IR": "Asia/Tehran",
        "KG": "Asia/Bishkek",
        "KZ": "Asia/Almaty",
        "TJ": "Asia/Dushanbe",
        "TM": "Asia/Ashgabat",
        "TR": "Europe/Istanbul",
        "UZ": "Asia/Tashkent",
    }
)


_MINUTES = "%Y-%m-%d %H:%M"


class ShownTime(NamedTuple):
    """One instant.

    Attributes:
        machine: For programs, RFC 3339. local: in the country's own time, with the day only where
            it is another one; empty where that time is not known.
    """

    machine: str
    utc: str
    local: str


class ShownSpan(NamedTuple):
    """A time between two instants; the day is written once where both have the same."""

    first: ShownTime
    last: ShownTime
    local: str


@cache
def zone(country: str) -> ZoneInfo | None:
    """The one time of a country; None where it has several, or this machine does not know it."""
    try:
        return ZoneInfo(ZONES[country])
    except (KeyError, ZoneInfoNotFoundError):
        return None


def city(country: str) -> str:
    """The city whose time a country has."""
    return ZONES[country].rpartition("/")[2] if zone(country) is not None else ""


# A page shows the times of an event several times, and many pages those of the same events.
@lru_cache(maxsize=4096)
def shown(at: float | str, country: str) -> ShownTime:
    """An instant to the minute; a text is one as the API writes it."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    own = zone(country)
    local = ""
    if own is not None:
        there = when.astimezone(own)
        local = there.strftime("%H:%M" if there.date() == when.date() else "%Y-%m-%d %H:%M")
    return ShownTime(when.strftime("%Y-%m-%dT%H:%MZ"), when.strftime("%Y-%m-%d %H:%M"), local)


def span(after: str, by: str, country: str) -> ShownSpan:
    """The time between two instants as the API writes them."""
    first, last = shown(after, country), shown(by, country)
    if first.utc[:10] == last.utc[:10]:
        last = last._replace(utc=last.utc[11:])
    own, local = zone(country), ""
    if own is not None:
        a, b = (datetime.fromisoformat(one).astimezone(own) for one in (after, by))
        same = a.date() == b.date()
        begin = a.strftime("%H:%M" if first.utc[:10] == f"{a:%Y-%m-%d}" else _MINUTES)
        local = f"{begin}\N{EN DASH}{b.strftime('%H:%M' if same else _MINUTES)}"
    return ShownSpan(first, last, local)


def seconds(text: str | None) -> float | None:
    """An instant as the API writes it, as Unix time."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


@lru_cache(maxsize=1024)
def day_text(day: int) -> str:
    """A day, counted from 1970."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
