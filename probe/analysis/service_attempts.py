"""The record of a service, read attempt by attempt: the part, the endpoint and the result of each.

One attempt at an endpoint is a chain of steps (a query, a connection, an exchange on it) and a
`ping` without an address that sums it up: its `what` is the part of the service, its `failure` the
result. So a record can be judged without the list of endpoints it was made from. An attempt at a
server of the volunteer's own configuration has that last step alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.failure import Failure
from probe.model import Dns, Ping, Role, Step, Steps, Tcp, Tls

# Prefixes of `what` for servers of the volunteer's own configuration; a number follows.
OWN = ("bridge", "endpoint", "peer")
THROWAWAY = "with a throwaway key"


@dataclass(frozen=True)
class EndpointAttempt:
    """One attempt at one endpoint.

    Attributes:
        summary: The step that sums it up. steps: the chain below the summary, the first step first.
    """

    summary: Ping
    steps: Steps

    @property
    def part(self) -> str:
        """The part of the service that the endpoint serves."""
        return self.summary.what

    @property
    def failure(self) -> Failure | None:
        """How it failed; None when the endpoint answered as it should."""
        return self.summary.failure

    @cached_property
    def endpoint(self) -> tuple[str, int | None]:
        """Name or address, and port; the port is None when the name had no address."""
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
    def exchange(self) -> Ping | None:
        """The exchange in the service's own protocol."""
        pings = (s for s in self.steps if isinstance(s, Ping))
        return next(pings, self.summary if self.own else None)

    @property
    def own(self) -> bool:
        """It went to a server of the volunteer's own configuration."""
        return not self.steps and self.summary.parent is None and self.part.startswith(OWN)

    @property
    def proven(self) -> bool:
        """The peer has proved to be the service, by a certificate or by the service's protocol."""
        if self.failure is not None:
            return False
        trust = self.tls.trust if self.tls else None
        if trust is not None:
            known = trust.authority
            by_service = known is not None and known.kind == "service"
            return trust.valid or (by_service and known is not None and known.proof == "verified")
        exchange = self.exchange
        return exchange is not None and exchange.failure is None and exchange.bytes_in > 0


Parts = dict[str, list[EndpointAttempt]]


def attempts(steps: Steps, *, role: Role = Role.TARGET) -> list[EndpointAttempt]:
    """Every attempt at an endpoint of the service, in order."""
    by_id = {step.id: step for step in steps}
    found: list[EndpointAttempt] = []
    for step in steps:
        if not isinstance(step, Ping) or step.address is not None or step.role is not role:
            continue
        chain: list[Step] = []
        above = step.parent
        while above in by_id and len(chain) < 8:
            chain.append(by_id[above])
            above = by_id[above].parent
        found.append(EndpointAttempt(step, tuple(reversed(chain))))
    return found


def by_part(every: Iterable[EndpointAttempt]) -> Parts:
    """Attempts grouped by the part of the service they were for."""
    groups: Parts = {}
    for attempt in every:
        groups.setdefault(attempt.part, []).append(attempt)
    return groups


def by_endpoint(
    every: Iterable[EndpointAttempt],
) -> dict[tuple[str, int | None], list[EndpointAttempt]]:
    """Attempts grouped by endpoint."""
    groups: dict[tuple[str, int | None], list[EndpointAttempt]] = {}
    for attempt in every:
        groups.setdefault(attempt.endpoint, []).append(attempt)
    return groups


@once
def _every_part(e: Evidence) -> Parts:
    return by_part(attempts(e.steps))


@once
def parts(e: Evidence) -> Parts:
    """The public parts of the service; where it has none, the volunteer's own servers."""
    every = _every_part(e)
    return {part: found for part, found in every.items() if not _are_own(found)} or every


@once
def own_servers(e: Evidence) -> Parts:
    """Attempts at servers of the volunteer's own configuration, by server."""
    return {part: found for part, found in _every_part(e).items() if _are_own(found)}


@once
def dead_parts(e: Evidence) -> Parts:
    """Public parts of which no endpoint answered and each was tried at least twice."""
    return {
        part: found
        for part, found in parts(e).items()
        if not _are_own(found)
        and all(one.failure is not None for one in found)
        and all(len(same) > 1 for same in by_endpoint(found).values())
    }


def _are_own(found: Sequence[EndpointAttempt]) -> bool:
    return all(attempt.own for attempt in found)


def control_attempts(e: Evidence, part: str, *, latest: bool = False) -> list[EndpointAttempt]:
    """The controls' attempts at one public part, or only the latest controls'."""
    seen = _of_controls(e, latest)
    return [attempt for attempt in seen.get(part, ()) if not attempt.own]


@once
def _of_controls(e: Evidence, latest: bool) -> Parts:  # noqa: FBT001 - a part of what is kept
    controls = e.latest if latest else e.controls
    return by_part(attempt for control in controls for attempt in attempts(control.steps))


def other_parts_answer(e: Evidence, failed: str) -> str:
    """A sentence to append, without its full stop: the other parts that answer; empty if none."""
    working = [
        part
        for part, found in parts(e).items()
        if part != failed and any(attempt.failure is None for attempt in found)
    ]
    return f". These parts answer: {', '.join(working)}" if working else ""
