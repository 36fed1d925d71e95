"""A record of a service, read place by place: which part of it each look was for, how it ended.

A look at one place is a chain of steps (a query, a connection, what was said on it) and a `ping`
without an address that sums it up: its `what` is the part of the service, its `failure` how the
look ended. So a record can be judged without the list of places it was made from. A place of the
volunteer's own configuration has that last step alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from probe.failure import Failure
from probe.model import Dns, Ping, Role, Steps, Tcp, Tls

Place = tuple[str, int | None]

# What a look at the volunteer's own server is called, with its number behind it.
OWN = ("bridge", "endpoint", "peer")
THROWAWAY = "with a throwaway key"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One look at one place.

    Attributes:
        summary: The step that sums it up. steps: the chain it stands on, the first step first.
    """

    summary: Ping
    steps: Steps

    @property
    def part(self) -> str:
        """Which part of the service the place serves."""
        return self.summary.what

    @property
    def failure(self) -> Failure | None:
        """How it ended; None when the place answered as it should."""
        return self.summary.failure

    @property
    def place(self) -> Place:
        """Name or address, and port; of a name that led nowhere without the port."""
        dns, tcp = self.dns, self.tcp
        host = dns.name if dns else tcp.address if tcp else self.part
        return host, tcp.port if tcp else None

    @property
    def dns(self) -> Dns | None:
        """The query that gave the address."""
        return next((s for s in self.steps if isinstance(s, Dns)), None)

    @property
    def tcp(self) -> Tcp | None:
        """The connection."""
        return next((s for s in self.steps if isinstance(s, Tcp)), None)

    @property
    def tls(self) -> Tls | None:
        """The handshake."""
        return next((s for s in self.steps if isinstance(s, Tls)), None)

    @property
    def said(self) -> Ping | None:
        """What was said in the service's own protocol."""
        talked = (s for s in self.steps if isinstance(s, Ping))
        return next(talked, self.summary if self.own else None)

    @property
    def own(self) -> bool:
        """It went to a server of the volunteer's own configuration."""
        return not self.steps and self.summary.parent is None and self.part.startswith(OWN)

    @property
    def proven(self) -> bool:
        """Who answered has shown to be the service, by a certificate or by its own protocol."""
        if self.failure is not None:
            return False
        trust = self.tls.trust if self.tls else None
        if trust is not None:
            known = trust.authority
            by_service = known is not None and known.kind == "service"
            return trust.valid or (by_service and known is not None and known.proof == "verified")
        return self.said is not None and self.said.failure is None and self.said.bytes_in > 0


def attempts(steps: Steps, *, role: Role = Role.TARGET) -> list[Attempt]:
    """Every look at a place of the service, in order."""
    by_id = {step.id: step for step in steps}
    found: list[Attempt] = []
    for step in steps:
        if not isinstance(step, Ping) or step.address is not None or step.role is not role:
            continue
        chain: list[object] = []
        above = step.parent
        while above in by_id and len(chain) < 8:
            chain.append(by_id[above])
            above = by_id[above].parent
        found.append(Attempt(step, tuple(reversed(chain))))  # type: ignore[arg-type]
    return found


def by_part(looks: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """Looks by the part of the service they were for."""
    parts: dict[str, list[Attempt]] = {}
    for look in looks:
        parts.setdefault(look.part, []).append(look)
    return parts


def by_place(looks: Iterable[Attempt]) -> dict[Place, list[Attempt]]:
    """Looks by place; those whose name led nowhere are looks at every port of it."""
    places: dict[Place, list[Attempt]] = {}
    for look in looks:
        places.setdefault(look.place, []).append(look)
    return places
