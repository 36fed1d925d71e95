"""Which ports answered while a line was cut, by the records of those looks. Pure, but for `read`.

A measurement of connectivity that does not reach everything tries a few ports of a server of the
project: in the shutdown of January 2022 some stayed open. It also tries public resolvers abroad.
Rule: a port that answers, even with a refusal, is evidence of a filter; silence proves nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from collector.api import query
from collector.api.pages import event_records
from collector.care import Care
from collector.events.model import FINE, Look
from collector.store import Operation
from probe.analysis.shutdown import BY_ADDRESS, BY_PORT
from probe.failure import Failure
from probe.model import Ping, Record, Role, Tcp

# So many records of one cut are read, evenly over it; fewer of each where a page has several.
RECORDS, LEAST = 48, 6
Whose = Literal["project", "resolver"]
_RESOLVER_PORTS = {BY_ADDRESS: 53, BY_PORT: 443}


@dataclass(frozen=True, slots=True, order=True)
class PortTry:
    """One attempt: whose port, when, and whether anything answered."""

    whose: Whose
    port: int
    at: float
    answered: bool


@dataclass(frozen=True, slots=True)
class PortTries:
    """All attempts at one port, in order of time."""

    whose: Whose
    port: int
    tries: Sequence[PortTry]

    @property
    def answered(self) -> int:
        """How many attempts were answered."""
        return sum(one.answered for one in self.tries)


@dataclass(frozen=True, slots=True)
class PortsRead:
    """What was read: the attempts by port, of `n` measurements of `of`."""

    ports: Sequence[PortTries] = ()
    n: int = 0
    of: int = 0


def read(looks: Iterable[Look], care: Care, most: int = RECORDS) -> Operation[PortsRead]:
    """What `most` records of these looks tell of ports, of those that this reader may see."""
    found: list[PortTry] = []
    bad = [one for one in looks if one.outcome not in FINE]
    chosen = _evenly(bad, most)
    for one in chosen:
        shown = yield from query.one_shown(one.id, care)
        record = event_records.decoded(shown[1]) if shown and shown[1] is not None else None
        if record is not None:
            found += tries(record, one.at)
    return PortsRead(by_port(found), len(chosen), len(bad))


def _evenly(looks: Sequence[Look], most: int) -> list[Look]:
    """So many looks, evenly from all of them."""
    step = max(1.0, len(looks) / most)
    return [looks[int(n * step)] for n in range(min(most, len(looks)))]


def tries(record: Record, at: float) -> Iterator[PortTry]:
    """The attempts at ports of one record that was measured at this instant."""
    for step in record.steps:
        if isinstance(step, Tcp) and step.role is Role.NEUTRAL:
            answered = step.failure in {None, Failure.REFUSED}
            yield PortTry("project", step.port, at + step.at, answered)
        elif isinstance(step, Ping) and step.what in _RESOLVER_PORTS:
            port = _RESOLVER_PORTS[step.what]
            yield PortTry("resolver", port, at + step.at, step.failure is None)


def by_port(found: Iterable[PortTry]) -> list[PortTries]:
    """The attempts by port, those at the project's server first."""
    of: dict[tuple[Whose, int], list[PortTry]] = defaultdict(list)
    for one in sorted(found):
        of[one.whose, one.port].append(one)
    return [PortTries(*where, made) for where, made in of.items()]
