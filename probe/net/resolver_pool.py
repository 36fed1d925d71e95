"""The resolvers of a session that are in use.

A public resolver that left three queries in a row without an answer would cost every target a
timeout: it is dropped until it answers a retry (`resolver_retries.py`). One that never answered is
named in the run's record. One that is asked in the clear and has answered is kept: it may be silent
about some names. The system's resolvers are never dropped; when the preferred one does not answer,
the next one is preferred, as a stub resolver does. If none of them answered over UDP, each is tried
once over TCP, and one that answers is used over TCP from then on.

A resolver that failed on OPT records, and never answered with one, is asked without them from then
on.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.model import ENCRYPTED
from probe.net.resolvers import ResolverAddress

SYSTEM = "system"
MAX_TIMEOUTS = 3
SYSTEM_MAX_TIMEOUTS = 2
MAX_EDNS_FAILURES = 2


class ResolverPool(Struct):
    """The system's resolvers, the public ones, and their successes and timeouts.

    Attributes:
        trying: Held while one of the system's is tried over TCP; other queries wait for the result.
    """

    own: Sequence[ResolverAddress]
    public: Sequence[Resolver]
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
    _preferred: int = 0
    _over_tcp: Resolver | None = None
    _tried: set[Resolver] = field(default_factory=set)
    _unresponsive: set[Resolver] = field(default_factory=set)
    _timeouts: dict[Resolver, int] = field(default_factory=dict)
    _answered: set[Resolver] = field(default_factory=set)
    _speak_edns: set[Resolver] = field(default_factory=set)
    _edns_failures: dict[Resolver, int] = field(default_factory=dict)

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """The preferred one of the system, then the public ones that were not dropped."""
        system = (self._over_tcp or self._first,) if self.own else ()
        return (*system, *(one for one in self.public if not self.is_dropped(one)))

    @property
    def dead(self) -> tuple[str, ...]:
        """Label and transport of each public resolver that was dropped and never answered."""
        dropped = (one for one in self.public if self.is_dropped(one))
        return tuple(f"{one.label} {one.transport}" for one in dropped if one not in self._answered)

    def is_dropped(self, resolver: Resolver) -> bool:
        """Whether this public resolver is not asked about targets for the time being."""
        if self._timeouts.get(resolver, 0) < MAX_TIMEOUTS or resolver not in self.public:
            return False
        return resolver not in self._answered or resolver.transport in ENCRYPTED

    @property
    def over_tcp(self) -> Resolver | None:
        """The system's resolver that answers over TCP, if none answers over UDP."""
        return self._over_tcp

    @property
    def own_silent(self) -> bool:
        """Whether each of the system's resolvers was silent lately: none is worth waiting for."""
        return self._unresponsive.issuperset(Resolver(SYSTEM, *one) for one in self.own)

    def after(self, resolver: Resolver) -> tuple[Resolver, ...]:
        """The system's other resolvers, in the order in which a stub resolver asks them."""
        every = [Resolver(SYSTEM, *one) for one in self.own]
        if resolver not in every:
            return ()
        index = every.index(resolver)
        return (*every[index + 1 :], *every[:index])

    def sends_edns(self, resolver: Resolver) -> bool:
        """Whether queries to this resolver have an OPT record."""
        failures = self._edns_failures.get(resolver, 0)
        return resolver in self._speak_edns or failures < MAX_EDNS_FAILURES

    def note_edns(self, resolver: Resolver, *, answered: bool) -> None:
        """Record whether a reply had an OPT record, or the query with one failed."""
        if answered:
            self._speak_edns.add(resolver)
        else:
            self._edns_failures[resolver] = self._edns_failures.get(resolver, 0) + 1

    def untried(self, resolver: Resolver) -> Resolver | None:
        """The resolver with transport TCP if none of the system's answers over UDP, else None.

        Returned once per resolver.
        """
        if resolver.label != SYSTEM or resolver.transport != "udp" or resolver in self._tried:
            return None
        if any(one.label == SYSTEM and one.transport == "udp" for one in self._answered):
            return None
        if not self.own_silent:
            return None
        self._tried.add(resolver)
        return replace(resolver, transport="tcp")

    def note(self, resolver: Resolver, *, answered: bool) -> None:
        """Record the result of one query."""
        if answered:
            self._answered.add(resolver)
            self._unresponsive.discard(resolver)
            self._timeouts.pop(resolver, None)
            if resolver.label == SYSTEM:
                self._over_tcp = resolver if resolver.transport == "tcp" else None
            return
        timeouts = self._timeouts[resolver] = self._timeouts.get(resolver, 0) + 1
        if (
            resolver.label == SYSTEM
            and resolver.transport == "udp"
            and timeouts >= SYSTEM_MAX_TIMEOUTS
        ):
            self._unresponsive.add(resolver)
            if self.own and resolver == self._first:
                self._preferred = (self._preferred + 1) % len(self.own)
                self._timeouts.pop(resolver)

    @property
    def _first(self) -> Resolver:
        return Resolver(SYSTEM, *self.own[self._preferred])
