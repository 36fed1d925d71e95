"""Who is still worth asking for names.

A public resolver that has never answered and has stayed silent three times in a row would cost
every target a timeout: it is dropped for the session, and the run says so. The system's own
resolvers are never dropped; when the preferred one stays silent the next one is preferred, as a
stub would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from probe.experiments.port import Resolver
from probe.net.resolvers import Address

SYSTEM = "system"
STRIKES = 3
SYSTEM_STRIKES = 2


@dataclass(slots=True)
class Roster:
    """The system's resolvers, the public ones, and how they have done."""

    own: Sequence[Address]
    public: Sequence[Resolver]
    _preferred: int = 0
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

    def note(self, resolver: Resolver, *, answered: bool) -> None:
        """Take note of how one question went."""
        if answered:
            self._answered.add(resolver)
            self._silences.pop(resolver, None)
            return
        silences = self._silences[resolver] = self._silences.get(resolver, 0) + 1
        is_preferred = (resolver,) == self._system()
        if is_preferred and silences >= SYSTEM_STRIKES:
            self._preferred = (self._preferred + 1) % len(self.own)
            self._silences.pop(resolver)

    def _system(self) -> tuple[Resolver, ...]:
        if not self.own:
            return ()
        address, port = self.own[self._preferred]
        return (Resolver(SYSTEM, address, port),)

    def _is_dead(self, resolver: Resolver) -> bool:
        silent = self._silences.get(resolver, 0) >= STRIKES
        return silent and resolver not in self._answered
