"""The time that signed requests carry: the collector's own, and never the same twice."""

import re
import secrets
from collections.abc import Mapping

# Seconds. A smaller clock offset does not invalidate a signature.
SLACK = 30.0
_UNIX_TIME = re.compile(r"[0-9]{1,12}")


def created(now: float, offset: float | None) -> str:
    """The collector's time as far as it is known, with a random fraction that makes it unique."""
    return f"{max(0, int(now - (offset or 0.0)))}.{secrets.randbelow(10**9):09}"


def offset_of(headers: Mapping[str, str], now: float) -> float | None:
    """Our clock minus the collector's; None when a response does not say its time.

    The names of headers are in small letters.

    A refusal for our clock says it apart, because a proxy may put its own time into the usual
    header.
    """
    exact = headers.get("qaz-time", "")
    if _UNIX_TIME.fullmatch(exact):
        return now - float(exact)
    import email.utils  # fifteen modules, for responses that do not say it apart

    try:
        return now - email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
