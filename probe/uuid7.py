"""UUIDs that sort by time (RFC 9562 section 5.7): 48 bits of milliseconds, then random bits."""

import secrets
import time
from uuid import UUID

_LATEST = 2**48 - 1


def new(now: float | None = None) -> str:
    """A new UUID; `now` is Unix time in seconds."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    milliseconds = min(max(milliseconds, 0), _LATEST)  # a clock may be wrong by any amount
    number = milliseconds << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76  # version 7
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant of RFC 9562
    return str(UUID(int=number))
