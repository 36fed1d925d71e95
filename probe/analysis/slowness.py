"""Which pages were slow, compared with all pages of a run; slow is neither a timeout nor blocked.

A page is slow when it began and did not finish within the time limit, or when it came at a small
fraction of the rate of the line's other pages. A page alone does not show whether the network slows
it: `experiments/throttle.py` compares names for that.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from probe.failure import Failure
from probe.model import Http, Role, Step

# Smaller pages depend on round trips, and quicker pages are not slow.
LEAST_BYTES = 16 * 1024
LEAST_SECONDS = 3.0
# Session tickets and settings come before any page.
GREETING_BYTES = 2048
FRACTION = 1 / 4
# The server itself ended the page before the length that it had declared.
SHORT = "short"
# An ordinary page is read up to here (`probe/net/session.py`).
READ_BYTES = 18 * 1024
# Freezes are counted in packets, and the packets of two connections differ a little.
_SPREAD = 3000
_MORE = 1500
# With fewer pages than this, the usual rate of the line is unknown.
LEAST_PAGES = 5


def began(page: Http) -> bool:
    """Some of the page came, even if nothing of it could be decrypted yet.

    TLS records hold up to 16 KiB: of a connection that is frozen within the first, not one byte of
    the page can be deciphered, however many came.
    """
    return page.bytes_in > GREETING_BYTES or (page.status is not None and page.received_bytes > 0)


def cut_short(page: Http) -> bool:
    """The page began and did not finish within the time limit."""
    in_time = page.failure is None or page.failure is Failure.TIMEOUT
    if page.location is not None or page.detail == SHORT:
        return False
    return in_time and not page.complete and not page.malformed and began(page)


def came_whole(page: Http) -> bool:
    """The page was received as far as an ordinary page is read, or the server ended it itself."""
    return page.complete or page.detail == SHORT or page.received_bytes >= READ_BYTES


def frozen_alike(attempts: Sequence[Http]) -> bool:
    """At least two attempts, each of which began and then fell silent at about one size."""
    sizes = [page.bytes_in for page in attempts]
    silent = all(page.failure is Failure.TIMEOUT and began(page) for page in attempts)
    return len(attempts) > 1 and silent and max(sizes) - min(sizes) <= _SPREAD


def is_longer(page: Http | None, frozen: Sequence[Http]) -> bool:
    """This page passed the size at which the others froze."""
    if page is None or page.failure is not None:
        return False
    return page.bytes_in > max(one.bytes_in for one in frozen) + _MORE


def rate(page: Http) -> float | None:
    """Bytes a second; None for a page that is too small or that failed."""
    if page.failure is not None or page.bytes_in < LEAST_BYTES or page.elapsed <= 0:
        return None
    return page.bytes_in / page.elapsed


def pages(steps: Iterable[Step]) -> list[Http]:
    """Pages of a target itself, in order."""
    return [step for step in steps if isinstance(step, Http) and step.role is Role.TARGET]


def usual(of: Iterable[Sequence[Step]]) -> float | None:
    """The line's usual rate: the median over targets; None with too few of them."""
    rates = [max(found) for steps in of if (found := [r for p in pages(steps) if (r := rate(p))])]
    return median(rates) if len(rates) >= LEAST_PAGES else None


def slowed(steps: Sequence[Step], usual_rate: float | None) -> float | None:
    """The target's share of the usual rate, 0 if incomplete; None when it was not slow."""
    seen = pages(steps)[-1:]
    if any(cut_short(page) for page in seen):
        return 0.0
    for page in seen:
        got = rate(page)
        if got is None or usual_rate is None or page.elapsed < LEAST_SECONDS:
            continue
        if got <= usual_rate * FRACTION:
            return got / usual_rate
    return None
