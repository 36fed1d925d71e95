"""How fast and how much one client of a throughput server may move.

Rule: no address is kept. A day's amounts are counted under hashes whose key is made for that day
only, in memory; the oldest are dropped when there are too many.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable

DAY = 86_400.0
MEMORY = 50_000


class ClientAllowance:
    """The rate of each client, over all of its connections, and its amount a day; None: any."""

    def __init__(self, rate: float | None, daily: int | None, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._daily = daily
        self._clock = clock
        self._due: dict[str, float] = {}
        self._moved: OrderedDict[bytes, int] = OrderedDict()
        self._day = clock()
        self._secret = secrets.token_bytes(16)

    def is_spent(self, client: str) -> bool:
        """Whether a client has had its amount of this day."""
        if self._daily is None:
            return False
        self._begin_day()
        return self._moved.get(self._name(client), 0) >= self._daily

    def move(self, client: str, size: int) -> float:
        """Count bytes; return the seconds to wait before more."""
        if self._daily is not None:
            self._begin_day()
            name = self._name(client)
            self._moved[name] = self._moved.pop(name, 0) + size
            if len(self._moved) > MEMORY:
                self._moved.popitem(last=False)
        if self._rate is None:
            return 0.0
        now = self._clock()
        self._due[client] = max(now, self._due.get(client, now)) + size / self._rate
        return self._due[client] - now

    def leave(self, client: str) -> None:
        """Forget the address of a client without connections."""
        self._due.pop(client, None)

    def _begin_day(self) -> None:
        if self._clock() - self._day >= DAY:
            self._day, self._secret = self._clock(), secrets.token_bytes(16)
            self._moved.clear()

    def _name(self, client: str) -> bytes:
        return hashlib.blake2b(client.encode(), key=self._secret, digest_size=12).digest()
