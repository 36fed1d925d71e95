"""The samples of one running transfer, at most 64.

The first two are at the request and at the first arrival, because every rate starts there. The
others are evenly spaced: at 64 samples, every second one is dropped and the spacing doubles.
"""

import socket

from msgspec import Struct, field

from probe.model import Sample
from probe.net import tcp_info
from probe.net.tcp_info import TcpInfo

TICK = 0.05
SAMPLES = 64


class Samples(Struct):
    """At most 64 samples; the spacing doubles whenever that many are kept."""

    kept: list[Sample] = field(default_factory=list)
    spacing: float = TICK
    segment_bytes: int | None = None
    longest_gap: float = 0.0
    arrived: float = 0.0
    wire: int = 0
    closed: bool = False
    # Bytes and segments at the last time before the first out-of-order segment.
    unbroken: tuple[int, int] | None = None

    def progress(self, at: float, wire: int, connection: socket.socket | None = None) -> None:
        """Record an arrival, and the gap before it."""
        self.longest_gap = max(self.longest_gap, at - self.arrived)
        self.arrived, self.wire = at, wire
        info = TcpInfo() if connection is None else tcp_info.read(connection)
        if info.segments is not None and info.out_of_order == 0:
            self.unbroken = wire, info.segments

    def received_bytes(self) -> int:
        """Bytes received, with those queued behind a lost segment (to within a segment)."""
        last = self.kept[-1] if self.kept else None
        if last is None or not last.out_of_order or self.unbroken is None:
            return self.wire
        wire, segments = self.unbroken
        late = max((last.segments or 0) - segments, 0)
        return max(self.wire, wire + late * (self.segment_bytes or 0))

    def due(self, at: float) -> bool:
        """Whether the next sample is due."""
        if self.closed:
            return False
        return not self.kept or at - self.kept[-1].at >= self.spacing

    def take(self, at: float, connection: socket.socket) -> None:
        """Take a sample now."""
        info = tcp_info.read(connection)
        self.segment_bytes = max(self.segment_bytes or 0, info.segment_bytes or 0) or None
        sample = Sample(
            at=round(at, 6),
            wire=self.wire,
            segments=info.segments,
            out_of_order=info.out_of_order,
            rcv_rtt=info.rcv_rtt,
            min_rtt=info.min_rtt,
        )
        self.kept.append(sample)
        if len(self.kept) >= SAMPLES:
            # The first two (the request, the first arrival) carry the start of every rate.
            self.kept = [*self.kept[:2], *self.kept[2::2]]
            self.spacing *= 2
