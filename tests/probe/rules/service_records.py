"""Records of attempts at the endpoints of a service, as an experiment would write them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Control, Line, Ping, Record, Role, Step, Tcp, Tls, Trust
from tests.build import GOOD, VALID, control as build_control, dns, record, tcp, tls

NAME = "app.example"
INPUT = "service:signal"


@dataclass(frozen=True)
class StepChain:
    """Steps that build on each other, summed up for a part of the service."""

    steps: tuple[Step, ...]
    part: str
    failure: Failure | None
    try_: int = 1
    role: Role = Role.TARGET
    summed: bool = True


def named(
    failure: Failure | None = None,
    *,
    part: str = "messages",
    trust: Trust = VALID,
    address: str = GOOD,
    try_: int = 1,
    own_key: bool = False,
) -> StepChain:
    """A handshake with the service's name."""
    steps = (dns(address, name=NAME), tcp(address), tls(address, sni=NAME, failure=failure))
    shaken = steps[-1] if failure else replace(steps[-1], trust=trust)
    ended = failure or (None if trust.valid or own_key else Failure.SSL_AUTHORITY)
    return StepChain((*steps[:-1], shaken), part, ended, try_)


def denied(failure: Failure = Failure.DNS_NXDOMAIN, *, try_: int = 1) -> StepChain:
    """A name without an address."""
    silent = failure is Failure.TIMEOUT
    return StepChain(
        (dns(name=NAME, failure=failure, rcode=0 if silent else 3),), "messages", failure, try_
    )


def dialled(
    address: str = GOOD,
    failure: Failure | None = None,
    *,
    port: int = 443,
    part: str = "messages",
    try_: int = 1,
) -> StepChain:
    """A connection alone."""
    return StepChain((tcp(address, port, failure),), part, failure, try_)


def asked(address: str = GOOD, failure: Failure | None = None, *, try_: int = 1) -> StepChain:
    """An exchange in the service's own protocol."""
    exchange = Ping(
        what="mtproto",
        address=address,
        port=443,
        failure=failure,
        bytes_in=0 if failure else 80,
        elapsed=0.1,
    )
    return StepChain((tcp(address), exchange), "messages", failure, try_)


def own(
    what: str = "peer 1",
    failure: Failure | None = None,
    *,
    try_: int = 1,
    role: Role = Role.TARGET,
) -> StepChain:
    """An attempt at a server of the volunteer's own configuration."""
    exchange = Ping(what=what, failure=failure, bytes_in=0 if failure else 92, elapsed=0.1)
    return StepChain((exchange,), what, failure, try_, role, summed=False)


def beside(*steps: Step, role: Role = Role.HARMLESS) -> StepChain:
    """Steps that do not test the service: a harmless name, a reference."""
    return StepChain(steps, "", None, role=role, summed=False)


def again(*chains: StepChain) -> tuple[StepChain, ...]:
    """The same attempts in both tries."""
    return (*chains, *(dataclasses.replace(one, try_=2) for one in chains))


def numbered(chains: Sequence[StepChain]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for chain in chains:
        above: int | None = None
        for step in chain.steps:
            number = len(steps) + 1
            parent = above if isinstance(step, Tcp | Tls | Ping) else None
            steps.append(
                replace(
                    step,
                    id=number,
                    at=float(number),
                    parent=parent,
                    try_=chain.try_,
                    role=chain.role,
                )
            )
            above = number
        if chain.summed:
            summary = Ping(
                id=len(steps) + 1,
                what=chain.part,
                failure=chain.failure,
                parent=above,
                try_=chain.try_,
                at=float(len(steps)),
            )
            steps.append(summary)
    return tuple(steps)


def seen(
    *chains: StepChain,
    controls: tuple[Control, ...] = (),
    line: Line | None = None,
    experiment: str = "signal",
) -> Record:
    """A record of these attempts."""
    made = record(controls=controls, line=line, experiment=experiment, url=INPUT)
    return replace(made, steps=numbered(chains))


def elsewhere(*chains: StepChain, age: float = 60.0) -> Control:
    """A control measurement, by default after the record."""
    return replace(build_control(age=age), steps=numbered(chains))
