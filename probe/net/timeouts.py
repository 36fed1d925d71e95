"""Timeouts derived from the line's own recent round trips.

A dropped packet must cost seconds, not half a minute, and a satellite link must not seem dead. So
every limit is a constant that covers TCP's retransmissions (a SYN after 1 s and 3 s, RFC 6298) plus
a multiple of a recent duration: the 90th percentile of the last operations that worked. When our
own load slows the line down, the limits grow.

A ClientHello that is dropped twice (measurement and confirmation) costs two TLS limits: at most
3 handshakes and 4 seconds.
"""

from bisect import bisect_left, insort
from collections import deque
from statistics import median

from msgspec import Struct, field

RECENT = 32
ENOUGH = 3
LONGEST = 15.0
# A ClientHello is sent again after some 0.3 s and 0.9 s; the next time is later than this.
SILENCE = 1.85


class Recent(Struct):
    """The last few durations of one kind that worked, seconds: as they came, and in order."""

    values: deque[float] = field(default_factory=deque)
    _ordered: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Add one in the place of the oldest; every operation asks for limits, so it is sorted."""
        if len(self.values) == RECENT:
            del self._ordered[bisect_left(self._ordered, self.values.popleft())]
        self.values.append(seconds)
        insort(self._ordered, seconds)

    @property
    def known(self) -> bool:
        """Whether there are enough values for a typical one."""
        return len(self.values) >= ENOUGH

    @property
    def median(self) -> float | None:
        return median(self._ordered) if self._ordered else None

    @property
    def p90(self) -> float | None:
        """The 90th percentile."""
        return self._ordered[int(len(self._ordered) * 0.9)] if self._ordered else None


class AdaptiveTimeouts(Struct):
    """Recent durations of a session, seconds, and the limits derived from them."""

    connects: Recent = field(default_factory=Recent)
    handshakes: Recent = field(default_factory=Recent)
    first_bytes: Recent = field(default_factory=Recent)
    lookups: Recent = field(default_factory=Recent)
    bodies: Recent = field(default_factory=Recent)

    @property
    def round_trip(self) -> float | None:
        """Median TCP connect time, seconds."""
        return self.connects.median

    @property
    def handshake(self) -> float | None:
        """Median TLS handshake time, seconds."""
        return self.handshakes.median

    def tcp_limit(self) -> float:
        """Limit for a connect: SYNs are sent again after 1 s and 3 s, plus a round trip."""
        usual = self.connects.p90 if self.connects.known else 1.0
        return _bounded(3.5 + 1.5 * (usual or 0.0))

    def tls_limit(self, connect: float) -> float:
        """Limit for a handshake on a connection that took `connect` seconds to open."""
        if not self.handshakes.known:
            # No history yet: a handshake takes one to three of this connection's round trips.
            return _bounded(SILENCE + 3.0 * min(connect, 2.0))
        usual = self.handshakes.p90 or 0.0
        # This server may be farther away than most. A connect of a second is a lost SYN, though.
        own = connect if connect < 1.0 else 0.0
        return _bounded(SILENCE + 1.5 * max(usual, own))

    def dns_limit(self) -> float:
        """Limit for one query over UDP, with time for a recursive lookup."""
        if not self.lookups.known:
            return _bounded(4.0 + 1.5 * (self.connects.p90 or 0.0))
        # Our connections and our queries share the queue of one line.
        usual = max(self.lookups.p90 or 0.0, self.connects.p90 or 0.0)
        return _bounded(2.5 + 3.0 * usual)

    def secure_dns_limit(self) -> float:
        """Limit for one query over TLS or HTTPS, with time to open the connection."""
        return _bounded(self.tcp_limit() + 2.0 * (self.handshakes.p90 or 0.5))

    def idle_limit(self) -> float:
        """Longest silence before and within the answer to a request."""
        usual = max(self.first_bytes.p90 or 0.0, self.connects.p90 or 0.0)
        return _bounded(5.0 + 1.5 * usual)

    def patience(self) -> float:
        """How long a body of typical size may take before it counts as slow."""
        usual = self.bodies.median if self.bodies.known else 3 * (self.connects.median or 0.3)
        return _bounded(0.6 + 4.0 * (usual or 0.0))

    def listening(self, first: float) -> float:
        """How long to listen for a second reply after a first one that took `first` seconds.

        A reply injected nearby precedes the real one by up to the round trip to the resolver.
        """
        usual = self.connects.p90 or 0.0
        return min(1.5, max(0.3, 1.5 * first, 1.5 * usual))


def _bounded(seconds: float) -> float:
    return round(min(seconds, LONGEST), 3)
