"""The bytes that requests may hold in memory together, from the first byte to the last.

Rule: what a request holds counts until it is answered, whether it arrives, waits, is judged or is
sent. One network has a share only, so that it cannot use up what all others need.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator


class MemoryBudget:
    """A limit on bytes: in total, and for each holder but those without a name.

    Attributes:
        held: Bytes reserved now.
    """

    def __init__(self, limit: int, share: int) -> None:
        self._limit = limit
        self._share = share
        self._shares: Counter[str | None] = Counter()
        self.held = 0

    @contextlib.contextmanager
    def hold(self, holder: str | None) -> Iterator["Reservation"]:
        """A reservation that is released when the context ends."""
        reservation = Reservation(self, holder)
        try:
            yield reservation
        finally:
            self.add(holder, -reservation.size)

    def has_room(self, holder: str | None, size: int) -> bool:
        """Whether a holder may reserve so many bytes more."""
        shared = holder is None or self._shares[holder] + size <= self._share
        return shared and self.held + size <= self._limit

    def add(self, holder: str | None, size: int) -> None:
        """Count bytes as held, or no longer."""
        self.held += size
        self._shares[holder] += size
        if not self._shares[holder]:
            del self._shares[holder]


class Reservation:
    """What one request holds."""

    def __init__(self, budget: MemoryBudget, holder: str | None) -> None:
        self._budget = budget
        self._holder = holder
        self.size = 0

    def grow(self, size: int) -> bool:
        """Reserve that many bytes more; False, and nothing is reserved, when a limit is reached."""
        if not self._budget.has_room(self._holder, size):
            return False
        self._budget.add(self._holder, size)
        self.size += size
        return True
