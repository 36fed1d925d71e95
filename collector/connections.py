"""Which connections are kept when there are too many.

Rule: a newcomer is taken in as long as something older and less useful can be closed for it: first
connections without a request, then those that receive or send, and of these the oldest of the
networks that have the most. A connection whose request is worked on is never closed. So a flood
pushes out itself. Pure: what closes a connection is given with it.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from enum import IntEnum

# As many are compared to find one to close; that all would be compared at each would cost more than
# the flood.
SAMPLE = 32


class Use(IntEnum):
    """What a connection is used for now; the lowest is closed first."""

    NOTHING = 0
    TRANSFER = 1
    WORK = 2


class Connection:
    """One connection: the pseudonym of its network (None is not limited), and what closes it."""

    __slots__ = ("close", "index", "network", "number", "use")

    def __init__(self, network: str | None, close: Callable[[], None]) -> None:
        self.network = network
        self.close = close
        self.use = Use.NOTHING
        self.index = -1
        self.number = 0


class ConnectionPool:
    """The open connections, limited in total and for each network.

    Attributes:
        refused, evicted: How many newcomers were not taken in, and how many closed for others;
            `note` is called with these words.
    """

    def __init__(
        self, limit: int, per_network: int, note: Callable[[str], object] = lambda _: None
    ) -> None:
        self._limit = limit
        self._per_network = per_network
        self._all: list[Connection] = []
        self._networks: dict[str | None, dict[Connection, None]] = {}
        self._random = random.Random()  # noqa: S311 - which of many is no secret
        self._number = 0
        self._note = note
        self.refused = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> bool:
        """Take a connection in, for which others may be closed; False when none can be."""
        own = self._networks.get(connection.network, {})
        if connection.network is not None and len(own) >= self._per_network:
            room = self._close_one(own)
        elif len(self._all) >= self._limit:
            room = self._close_one(self._sample())
        else:
            room = True
        if not room:
            self.refuse()
            return False
        self._number += 1
        connection.number, connection.index = self._number, len(self._all)
        self._all.append(connection)
        self._networks.setdefault(connection.network, {})[connection] = None
        return True

    def refuse(self) -> None:
        """Count a newcomer that was not taken in."""
        self.refused += 1
        self._note("refused")

    def drop(self, connection: Connection) -> None:
        """Forget a connection that is over; one that is not there is none."""
        if connection.index < 0:
            return
        last = self._all.pop()
        if last is not connection:
            self._all[connection.index] = last
            last.index = connection.index
        connection.index = -1
        own = self._networks[connection.network]
        del own[connection]
        if not own:
            del self._networks[connection.network]

    def networks(self) -> Counter[str | None]:
        """Number of connections of each network."""
        return Counter({network: len(own) for network, own in self._networks.items()})

    def _sample(self) -> list[Connection]:
        if len(self._all) <= SAMPLE:
            return self._all
        return self._random.sample(self._all, SAMPLE)

    def _close_one(self, candidates: Iterable[Connection]) -> bool:
        usable = [one for one in candidates if one.use is not Use.WORK]
        if not usable:
            return False
        worst = min(
            usable, key=lambda one: (one.use, -len(self._networks[one.network]), one.number)
        )
        self.drop(worst)
        self.evicted += 1
        self._note("evicted")
        worst.close()
        return True
