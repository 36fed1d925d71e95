"""Which pages came slowly, by what a run saw of all of them: never called a timeout, nor blocked.

A page is slow when it began and did not come whole for want of time, or when it came at a small
fraction of the rate of the line's other pages. Whether somebody slows it on purpose no page can
say: that is asked by comparing names (`experiments/throttle.py`).
"""

from collections.abc import Iterable, Sequence
from statistics import median

from probe.failure import Failure
from probe.model import Http, Role, Step

# What is smaller is a matter of round trips, and what is quicker than this is no complaint.
LEAST_BYTES = 16 * 1024
LEAST_SECONDS = 3.0
# Session tickets and settings come before any page.
GREETING_BYTES = 2048
FRACTION = 1 / 4
# With fewer pages of a size nobody knows what is usual on this line.
LEAST_PAGES = 5


def began(page: Http) -> bool:
    """Some of it came; also where nothing could be read of it yet.

    TLS records hold up to 16 KiB: of a connection that is frozen within the first, not one byte of
    the page can be deciphered, however many came.
    """
    return page.bytes_in > GREETING_BYTES or (page.status is not None and page.received_bytes > 0)


def cut_short(page: Http) -> bool:
    """It began, and did not come whole in the time that a page has."""
    in_time = page.failure is None or page.failure is Failure.TIMEOUT
    return in_time and not page.complete and not page.malformed and began(page)


def rate(page: Http) -> float | None:
    """Bytes a second; None for a page too small to tell, or one that broke."""
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
    """How slow a target was, the slowest being the lowest number; None when it was not."""
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
