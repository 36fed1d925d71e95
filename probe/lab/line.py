"""The access line as a bridge in user space: delay, jitter, loss, rate, a bounded queue.

One thread receives frames on one interface and sends each on the other when it is due.
"""

import contextlib
import heapq
import random
import selectors
import socket
import time
from dataclasses import dataclass, field
from itertools import count

from probe.lab.scenario import LineSpec

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_PACKET_IGNORE_OUTGOING = 23
_SOL_PACKET = 263
_BURST = 0.25  # mean seconds of a burst of cross traffic, and of the pause after it
_BUFFER = 4 << 20


@dataclass
class Direction:
    """One direction of the line: decides when, if ever, a frame arrives.

    Attributes:
        free_at: When the frames that are already queued will have been sent.
        last: When the latest frame arrives: jitter must not reorder frames.
        busy, busy_changes: Whether there is cross traffic, and until when.
    """

    spec: LineSpec
    rng: random.Random
    free_at: float = 0.0
    last: float = 0.0
    busy: bool = False
    busy_changes: float = 0.0

    def arrival(self, size: int, now: float) -> float | None:
        """When a frame of this size that is sent now arrives; None: it is lost."""
        if self.spec.loss and self.rng.random() < self.spec.loss:
            return None
        sent = self._sent(size, now)
        if sent is None:
            return None
        jitter = self.rng.random() * self.spec.jitter if self.spec.jitter else 0.0
        self.last = max(self.last, sent + self.spec.delay + jitter)
        return self.last

    def _sent(self, size: int, now: float) -> float | None:
        rate = self._rate(now)
        if not rate:
            return now
        begin = max(self.free_at, now)
        if (begin - now) * rate / 8 > self.spec.queue:
            return None
        self.free_at = begin + size * 8 / rate
        return self.free_at

    def _rate(self, now: float) -> float:
        """The rate that cross traffic leaves."""
        if not self.spec.cross:
            return self.spec.rate
        while now >= self.busy_changes:
            self.busy = not self.busy
            self.busy_changes = max(now, self.busy_changes) + self.rng.expovariate(1 / _BURST)
        return self.spec.rate * (1 - self.spec.cross) if self.busy else self.spec.rate


@dataclass
class Bridge:
    """Two interfaces and the frames in transit between them."""

    spec: LineSpec
    left: socket.socket
    right: socket.socket
    seed: int = 1
    waiting: list[tuple[float, int, socket.socket, bytes]] = field(default_factory=list)
    order: "count[int]" = field(default_factory=count)

    def run(self) -> None:
        """Carry frames forever."""
        selector = selectors.DefaultSelector()
        rng = random.Random(self.seed)
        ways = {
            self.left: (self.right, Direction(self.spec, rng)),
            self.right: (self.left, Direction(self.spec, rng)),
        }
        for source, way in ways.items():
            selector.register(source, selectors.EVENT_READ, way)
        while True:
            wait = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            for key, _ in selector.select(wait):
                if isinstance(key.fileobj, socket.socket):
                    self._receive(key.fileobj, *key.data)
            self._deliver()

    def _receive(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        now = time.monotonic()
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                frame, peer = source.recvfrom(65535)
                if peer[2] == _PACKET_OUTGOING:
                    continue
                due = direction.arrival(len(frame), now)
                if due is not None:
                    heapq.heappush(self.waiting, (due, next(self.order), sink, frame))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, sink, frame = heapq.heappop(self.waiting)
            with contextlib.suppress(OSError):
                sink.send(frame)


def open_interface(name: str) -> socket.socket:
    """A raw non-blocking socket on an interface, for whole frames."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    with contextlib.suppress(OSError):
        raw.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    raw.bind((name, 0))
    raw.settimeout(0)
    return raw
