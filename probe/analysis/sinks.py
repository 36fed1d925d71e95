"""Addresses that the system's resolver gives for unrelated names whose servers are elsewhere.

Names on a list are often all led to one address. A content network's node also has many names; it
proves some of them, and other resolvers give addresses of one network for all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from probe.compare import prefix_of, registrable
from probe.model import Dns, Record, Role, Tls

_LEAST_NAMES = 2
MOST = 16


def sinks(records: Sequence[Record]) -> tuple[str, ...]:
    """Such addresses of one run, the most frequent first."""
    given: dict[str, set[str]] = defaultdict(set)
    elsewhere: dict[str, set[str]] = defaultdict(set)
    proven: set[str] = set()
    for step in (step for record in records for step in record.steps):
        if isinstance(step, Tls) and step.trust is not None and step.trust.valid:
            proven.add(step.address)
        if isinstance(step, Dns) and step.role is Role.TARGET and step.type == "A":
            where = given if step.resolver == "system" else elsewhere
            where[registrable(step.name)].update(step.addresses)
    led: dict[str, set[str]] = defaultdict(set)
    for name, addresses in given.items():
        for address in addresses - elsewhere[name] - proven:
            led[address].add(name)
    found = [a for a, names in led.items() if _unrelated(elsewhere[name] for name in names)]
    return tuple(sorted(found, key=lambda a: -len(led[a]))[:MOST])


def _unrelated(answers: Iterable[set[str]]) -> bool:
    """At least two of the names have their true addresses in different large networks."""
    networks = {frozenset(map(_large_network, one)) for one in answers if one}
    apart = [one for one in networks if not any(one & other for other in networks if other != one)]
    return len(apart) >= _LEAST_NAMES


def _large_network(address: str) -> str:
    return prefix_of(address, ipv4=16, ipv6=32)
