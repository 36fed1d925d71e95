"""Times as pages show them: in UTC, and beside it in the country's own time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
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


class ShownTime(NamedTuple):
    """One instant.

    Attributes:
        machine: For programs, RFC 3339. local: in the country's own time, with the day only where
            it is another one; empty where that time is not known.
    """

    machine: str
    utc: str
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


def shown(at: float | str, country: str) -> ShownTime:
    """An instant to the minute; a text is one as the API writes it."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    own = zone(country)
    local = ""
    if own is not None:
        there = when.astimezone(own)
        local = there.strftime("%H:%M" if there.date() == when.date() else "%Y-%m-%d %H:%M")
    return ShownTime(when.strftime("%Y-%m-%dT%H:%MZ"), when.strftime("%Y-%m-%d %H:%M"), local)


def seconds(text: str | None) -> float | None:
    """An instant as the API writes it, as Unix time."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def day_text(day: int) -> str:
    """A day, counted from 1970."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
