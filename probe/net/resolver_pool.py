"""Who is still worth asking for names.

A public resolver that has never answered and has stayed silent three times in a row would cost
every target a timeout: it is dropped for the session, and the run says so. The system's own
resolvers are never dropped; when the preferred one stays silent the next one is preferred, as a
stub would do. Where none of them was ever heard over UDP, each is asked once over TCP, and what
answers there is asked there from then on: such a line has names, though few programs find them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from probe.experiments.interface import Resolver
from probe.net.resolvers import Address

SYSTEM = "system"
STRIKES = 3
SYSTEM_STRIKES = 2


@dataclass(slots=True)
class ResolverPool:
    """The system's resolvers, the public ones, and how they have done.

    Attributes:
        trying: Held while one of the system's is tried over TCP: others wait for what comes of it.
    """

    own: Sequence[Address]
    public: Sequence[Resolver]
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
    _preferred: int = 0
    _stream: Resolver | None = None
    _tried: set[Resolver] = field(default_factory=set)
    _silent: set[Resolver] = field(default_factory=set)
    _silences: dict[Resolver, int] = field(default_factory=dict)
    _answered: set[Resolver] = field(default_factory=set)

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """The preferred one of the system first, then the public ones that are not dead."""
        return (*self._system(), *(one for one in self.public if not self._is_dead(one)))

    @property
    def dead(self) -> tuple[str, ...]:
        """Labels of the public ones that were dropped, with their transport."""
        return tuple(f"{one.label} {one.transport}" for one in self.public if self._is_dead(one))

    @property
    def over_tcp(self) -> Resolver | None:
        """The one of the system's that answers over TCP, where none answers over UDP."""
        return self._stream

    def untried(self, resolver: Resolver) -> Resolver | None:
        """The same one over TCP, where that is worth a try: nothing else of the system's answers.

        Each is given once.
        """
        if resolver.label != SYSTEM or resolver.transport != "udp" or resolver in self._tried:
            return None
        if self._heard or not self._silent.issuperset(Resolver(SYSTEM, *one) for one in self.own):
            return None
        self._tried.add(resolver)
        return replace(resolver, transport="tcp")

    def note(self, resolver: Resolver, *, answered: bool) -> None:
        """Take note of how one question went."""
        if answered:
            self._answered.add(resolver)
            self._silences.pop(resolver, None)
            if resolver.label == SYSTEM:
                self._stream = resolver if resolver.transport == "tcp" else None
            return
        silences = self._silences[resolver] = self._silences.get(resolver, 0) + 1
        if resolver.label == SYSTEM and resolver.transport == "udp" and silences >= SYSTEM_STRIKES:
            self._silent.add(resolver)
            if self.own and resolver == self._first:
                self._preferred = (self._preferred + 1) % len(self.own)
                self._silences.pop(resolver)

    @property
    def _heard(self) -> bool:
        """One of the system's has answered over UDP."""
        return any(one.label == SYSTEM and one.transport == "udp" for one in self._answered)

    @property
    def _first(self) -> Resolver:
        return Resolver(SYSTEM, *self.own[self._preferred])

    def _system(self) -> tuple[Resolver, ...]:
        if not self.own:
            return ()
        return (self._stream or self._first,)

    def _is_dead(self, resolver: Resolver) -> bool:
        silent = self._silences.get(resolver, 0) >= STRIKES
        return silent and resolver not in self._answered
