"""Addresses that the system's resolver gives for unrelated names whose servers are elsewhere.

Names on a list are often all led to one address. A content network's node also has many names; it
proves some of them, and other resolvers give addresses of one network for all of them.
"""

from collections import defaultdict
from collections.abc import Iterable
from sys import intern

from probe.compare import prefix_of, registrable
from probe.model import Dns, Role, Steps, Tls

_LEAST_NAMES = 2
MOST = 16


class Sinks:
    """Collects such addresses step by step.

    Most names have one address: a tuple takes a quarter of a set's memory.
    """

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, ...]] = {}
        self._elsewhere: dict[str, tuple[str, ...]] = {}
        self._proven: set[str] = set()

    def add(self, steps: Steps) -> None:
        """Add the steps of one record."""
        for step in steps:
            if isinstance(step, Tls) and step.trust is not None and step.trust.valid:
                self._proven.add(intern(step.address))
            if isinstance(step, Dns) and step.role is Role.TARGET and step.type == "A":
                where = self._given if step.resolver == "system" else self._elsewhere
                name = registrable(step.name)
                known = where.get(name, ())
                where[name] = (*known, *map(intern, {*step.addresses}.difference(known)))

    def found(self) -> tuple[str, ...]:
        """The addresses, the most frequent first."""
        led: dict[str, set[str]] = defaultdict(set)
        for name, addresses in self._given.items():
            for address in {*addresses}.difference(self._elsewhere.get(name, ()), self._proven):
                led[address].add(name)
        elsewhere = self._elsewhere
        found = [a for a, names in led.items() if _unrelated(elsewhere.get(n, ()) for n in names)]
        return tuple(sorted(found, key=lambda a: -len(led[a]))[:MOST])


def _unrelated(answers: Iterable[Iterable[str]]) -> bool:
    """At least two of the names have their true addresses in different large networks."""
    networks = {frozenset(map(_large_network, one)) for one in answers if one}
    apart = [one for one in networks if not any(one & other for other in networks if other != one)]
    return len(apart) >= _LEAST_NAMES


def _large_network(address: str) -> str:
    return prefix_of(address, ipv4=16, ipv6=32)
