"""Which steps of a record stand in OONI's keys, and which of them are of one connection.

OONI's analysis joins what it reads by address. So a handshake with a harmless name, a packet with a
limited TTL or in small segments, or a query about another site would read there as a result for the
target. Only the first plain attempts at the target stand in the keys. Where one of them failed, the
same worked when it was tried again, and the verdict is no accusation, the later one stands in its
place: a packet that was lost is no censorship. Everything else is in the whole record (`kept.py`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from probe.failure import Failure
from probe.interop.ooni.words import engine
from probe.model import (
    Dns,
    Http,
    Outcome,
    Ping,
    Quic,
    Record,
    Role,
    Step,
    Steps,
    Tcp,
    Tls,
    Transfer,
    Verdict,
)

_ACCUSING = frozenset({Outcome.BLOCKED, Outcome.INTERCEPTED})
# Shapes of a ClientHello that differ from a browser's in nothing that a censor looks at.
PLAIN_HELLOS = frozenset({"default", "http11", "noalpn"})
_FAMILIES = frozenset({"A", "AAAA"})
# A name that has addresses of one family only is no failure.
_EMPTY = frozenset({None, Failure.DNS_NO_ANSWER})

# Steps on one connection, the first one first.
Chain = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ChosenSteps:
    """The steps that stand in OONI's keys, and the transaction of each by its place in `steps`."""

    queries: tuple[Dns, ...]
    chains: tuple[Chain, ...]
    numbers: dict[int, int]

    def transaction(self, step: Step) -> int:
        """A number above zero; the steps of one connection share it, and no others do."""
        return self.numbers[id(step)]

    @property
    def connections(self) -> list[Tcp]:
        """The connection attempts."""
        return [step for chain in self.chains for step in chain if isinstance(step, Tcp)]

    @property
    def tls(self) -> list[Tls]:
        """The TLS handshakes."""
        return [step for chain in self.chains for step in chain if isinstance(step, Tls)]

    @property
    def quic(self) -> list[Quic]:
        """The QUIC handshakes."""
        return [step for chain in self.chains for step in chain if isinstance(step, Quic)]

    @property
    def exchanges(self) -> list[tuple[Http, Tls | None]]:
        """The HTTP exchanges, each with the handshake below it."""
        return [
            (step, next((s for s in chain if isinstance(s, Tls)), None))
            for chain in self.chains
            for step in chain
            if isinstance(step, Http)
        ]


def choose(record: Record) -> ChosenSteps:
    """The steps of a probe's record that stand in OONI's keys."""
    return choose_steps(record.steps, accusing=accuses(record.verdict))


def choose_steps(steps: Steps, *, accusing: bool) -> ChosenSteps:
    """The same of any steps, such as a control's; `accusing`: what failed stays."""
    own = [step for step in steps if _is_plain(step)]
    queries = _settled_queries([s for s in own if isinstance(s, Dns)], accusing=accusing)
    chains = _settled(_chains([s for s in own if not isinstance(s, Dns)]), accusing=accusing)
    numbers: dict[int, int] = {}
    alone: list[Chain] = [(query,) for query in queries]
    for number, chain in enumerate([*alone, *chains], start=1):
        numbers |= {id(step): number for step in chain}
    return ChosenSteps(tuple(queries), tuple(chains), numbers)


def accuses(verdict: Verdict | None) -> bool:
    """Whether a verdict says that the network interfered so that the target did not work."""
    return verdict is not None and verdict.outcome in _ACCUSING


def _is_plain(step: Step) -> bool:
    """A step at the target as a browser or an app would take it."""
    if step.role is not Role.TARGET or (step.travel is not None and step.travel.ttl is not None):
        return False
    match step:
        case Dns():
            return step.type in _FAMILIES
        case Tcp():
            return step.segment_limit is None
        case Tls():
            return step.hello in PLAIN_HELLOS
        case Http() | Quic():
            return True
    return False


# --- queries ---------------------------------------------------------------------------------


def _settled_queries(found: Sequence[Dns], *, accusing: bool) -> list[Dns]:
    """Without later tries, and without an empty family where the other one was answered."""
    by_question: defaultdict[tuple[str, ...], list[Dns]] = defaultdict(list)
    for query in found:
        by_question[*_asked(query), query.type].append(query)
    settled: list[Dns] = []
    for tries in by_question.values():
        first = [query for query in tries if query.try_ <= 1]
        again = next((query for query in tries if query.addresses), None)
        failed = first and not any(query.addresses for query in first)
        if failed and again is not None and not accusing:
            first = [again]
        settled += first
    answered = {_asked(query) for query in settled if query.addresses}
    kept = [
        q
        for q in settled
        if q.addresses or _asked(q) not in answered or (accusing and q.failure not in _EMPTY)
    ]
    return sorted(kept, key=lambda query: query.at)


def _asked(query: Dns) -> tuple[str, str, str]:
    """Which name whom was asked about, as OONI tells resolvers apart."""
    return query.name, query.resolver, engine(query.resolver, query.transport)


# --- connections -----------------------------------------------------------------------------


def _chains(found: Sequence[Step]) -> list[Chain]:
    """The steps grouped by the connection that they were taken on, in order of its start.

    A handshake on a connection that is not plain, or an exchange after such a handshake, is left
    out: it has a parent, and its group begins with itself.
    """
    groups: list[list[Step]] = []
    group_of: dict[int, list[Step]] = {}
    for step in found:
        group = group_of.get(step.parent) if step.parent is not None else None
        if group is None:
            group = []
            groups.append(group)
        group.append(step)
        group_of[step.id] = group
    return [tuple(group) for group in groups if _begins(group[0])]


def _begins(step: Step) -> bool:
    return isinstance(step, Tcp | Quic) or step.parent is None


def _settled(chains: Sequence[Chain], *, accusing: bool) -> list[Chain]:
    """The first chain to each end; or one that worked later."""
    by_end: defaultdict[tuple[object, ...], list[Chain]] = defaultdict(list)
    for chain in chains:
        by_end[_end(chain)].append(chain)
    settled: list[Chain] = []
    for same in by_end.values():
        first = [chain for chain in same if chain[0].try_ <= 1]
        worked = next((c for c in same if _worked(c) and len(c) >= max(map(len, same))), None)
        failed = first and not any(map(_worked, first))
        if failed and worked is not None and not accusing:
            first = [worked]
        settled += first
    return sorted(settled, key=lambda chain: chain[0].at)


def _end(chain: Chain) -> tuple[object, ...]:
    """What a chain connects to: equal for each try at the same."""
    first = chain[0]
    server = () if isinstance(first, Dns | Ping | Transfer) else (first.address, first.port)
    return type(first), first.hop, *server


def _worked(chain: Chain) -> bool:
    return all(step.failure is None for step in chain)
