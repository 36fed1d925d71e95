"""Records that the disk refused: kept in memory, so that the same run can still send them."""

from collections.abc import Iterator, Sequence

CAP_BYTES = 16 * 1024 * 1024


class KeptInMemoryError(OSError):
    """The disk refused a record, which is kept in memory until it is sent or the process ends."""


class MemoryQueue:
    """A queue like the spool's segments, in memory."""

    def __init__(self, cap_bytes: int = CAP_BYTES) -> None:
        self._cap = cap_bytes
        self._lines: list[bytes] = []
        self._bytes = 0
        self._sent: dict[str, int] = {}

    def add(self, line: bytes) -> bool:
        """Keep one record; False if the queue is full."""
        if self._bytes + len(line) > self._cap:
            return False
        self._lines.append(line)
        self._bytes += len(line)
        return True

    def unsent(self, collector: str) -> Iterator[tuple[bytes, int]]:
        """Yield the records that this collector lacks, each with the position after it."""
        begin = self._sent.get(collector, 0)
        yield from ((line, end) for end, line in enumerate(self._lines[begin:], begin + 1))

    def note_sent(self, collector: str, end: int) -> None:
        """Store that a collector handled all records before a position."""
        self._sent[collector] = end

    def take(self, collectors: Sequence[str]) -> tuple[bytes, ...]:
        """Empty the queue; return the records that one of these collectors lacks."""
        begin = min((self._sent.get(url, 0) for url in collectors), default=0)
        left = tuple(self._lines[begin:])
        self._lines, self._bytes, self._sent = [], 0, {}
        return left
