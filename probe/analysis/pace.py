"""How fast pages came, compared with what the line gave other sites in the same run.

A page's *pace* is its bytes over the time in which they came: from the first arrival to the last
one, less the longest gap, which is a server that thinks or a packet that was lost. Where fewer than
two other pages are known, handshakes stand in for them: what a certificate chain needed.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

from probe.analysis.evidence import Evidence
from probe.compare import host_of, registrable
from probe.model import Http, Role, Step, Tcp, Tls

# Smaller pages come in one flight; a shorter time is a few round trips.
LEAST_BYTES = 4096
LEAST_SECONDS = 1.0
# Servers differ by a factor of a few.
FRACTION = 1 / 8
# Of a page that was read further, less shows a limit.
LARGE_BYTES = 40 * 1024
LARGE_SECONDS = 0.3
LARGE_FRACTION = 1 / 4
# Of the later half of a long page: no connection is still finding its rate there.
LATER_FRACTION = 1 / 2
# Round trips in which a server far away sends such a page (RFC 5681, RFC 6928).
_ROUNDS = 3
_LEAST_HOSTS = 2
_LEAST_LARGE = 3
# What comes at once has no measurable duration, seconds.
_AT_ONCE = 0.02
_CHAIN_BYTES = 2048
_SERVER_RATIO = 1 / 2


def duration(page: Http) -> float | None:
    """Seconds in which the bytes came; None if that was not measured."""
    return page.arriving if page.failure is None else None


def pace(page: Http, least: int = LEAST_BYTES) -> float | None:
    """Bytes a second; None for a page that is too small."""
    seconds = duration(page)
    if seconds is None or page.bytes_in < least:
        return None
    return page.bytes_in / max(seconds, _AT_ONCE)


def drags(page: Http, usual: float | None) -> bool:
    """The page came at a small fraction of what is usual on this line, for seconds."""
    own, seconds = pace(page), duration(page)
    if own is None or seconds is None or usual is None:
        return False
    return seconds >= LEAST_SECONDS and own <= usual * FRACTION


def slow_for_its_size(page: Http, usual: float | None, steps: Iterable[Step]) -> bool:
    """A page that was read further came slower than such pages usually do on this line.

    Slower than the round trips to its server explain, which the connections among `steps` show.
    """
    seconds = duration(page)
    if seconds is None or usual is None or page.bytes_in < LARGE_BYTES:
        return False
    connected = [s for s in steps if isinstance(s, Tcp) and s.failure is None]
    trips = [s.elapsed for s in connected if s.address == page.address]
    limited = seconds - _ROUNDS * min(trips, default=0.0)
    return limited >= LARGE_SECONDS and page.bytes_in / limited <= usual * LARGE_FRACTION


def later_pace(page: Http) -> float | None:
    """Bytes a second of the later half of a long page, behind what a policer lets through first."""
    if page.failure is not None or not page.later_bytes or page.later_arriving is None:
        return None
    return page.later_bytes / max(page.later_arriving, _AT_ONCE)


def slow_later(page: Http, usual: float | None) -> bool:
    """The later half of a long page came slower than large pages usually do on this line."""
    own, seconds = later_pace(page), page.later_arriving
    if own is None or seconds is None or usual is None:
        return False
    return seconds >= LEAST_SECONDS and own <= usual * LATER_FRACTION


class Paces:
    """The best pace of each host of a run."""

    def __init__(self) -> None:
        self._pages = _Best()
        self._large = _Best()
        self._handshakes = _Best()

    def add(self, steps: Iterable[Step]) -> None:
        """Add what targets and reference sites showed; harmless names are no sites."""
        for step in steps:
            if step.role not in {Role.TARGET, Role.REFERENCE}:
                continue
            if isinstance(step, Http):
                host = registrable(host_of(step.url))
                self._pages.add(host, pace(step))
                self._large.add(host, pace(step, LARGE_BYTES))
            elif isinstance(step, Tls) and step.sni and step.bytes_in >= _CHAIN_BYTES:
                rate = step.bytes_in / max(step.elapsed, _AT_ONCE)
                self._handshakes.add(registrable(step.sni), None if step.failure else rate)

    def usual(self, but: str) -> float | None:
        """The median pace of the hosts but one; None with too few of them."""
        own = registrable(but)
        found = self._pages.median(own, _LEAST_HOSTS)
        return self._handshakes.median(own, _LEAST_HOSTS) if found is None else found

    def usual_of_large(self, but: str) -> float | None:
        """The same of pages that were read further."""
        return self._large.median(registrable(but), _LEAST_LARGE)


class _Best:
    """The best rate of each host, in order: a run asks for a median once for each record."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}
        self._ordered: list[float] = []

    def add(self, host: str, rate: float | None) -> None:
        """Keep the best rate of this host."""
        before = self._rates.get(host)
        if rate is None or (before is not None and rate <= before):
            return
        if before is not None:
            del self._ordered[bisect_left(self._ordered, before)]
        insort(self._ordered, rate)
        self._rates[host] = rate

    def median(self, but: str, least: int) -> float | None:
        """The median of the hosts but one; None if they are fewer than `least`."""
        own = self._rates.get(but)
        left_out = len(self._ordered) if own is None else bisect_left(self._ordered, own)
        count = len(self._ordered) - (own is not None)
        if count < least:
            return None
        middle = ((count - 1) // 2, count // 2)
        low, high = (self._ordered[at + (at >= left_out)] for at in middle)
        return (low + high) / 2


def drags_here(e: Evidence, page: Http) -> bool:
    """The page drags on this line, and no control got it as slowly: the server is not slow."""
    if not drags(page, e.line.page_rate):
        return False
    there = [p for p in e.control_ends if p.failure is None and p.bytes_in >= LEAST_BYTES]
    return not any(_rate(p) * _SERVER_RATIO <= _rate(page) for p in there)


def _rate(page: Http) -> float:
    """Bytes a second of the whole exchange, which records of every version have."""
    return page.bytes_in / max(page.elapsed, _AT_ONCE)


def kbit(rate: float) -> str:
    """A rate in bytes a second as kbit/s, in two digits: more would only look exact."""
    return f"{float(f'{rate * 8 / 1000:.2g}'):g}"
