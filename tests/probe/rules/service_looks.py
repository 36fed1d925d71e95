"""Looks at the places of a service, as an experiment would write them down."""

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
class Chain:
    """Steps that stand on each other, the last one summed up for a part."""

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
) -> Chain:
    """A handshake with the service's name."""
    steps = (dns(address, name=NAME), tcp(address), tls(address, sni=NAME, failure=failure))
    shaken = steps[-1] if failure else replace(steps[-1], trust=trust)
    ended = failure or (None if trust.valid or own_key else Failure.SSL_AUTHORITY)
    return Chain((*steps[:-1], shaken), part, ended, try_)


def denied(failure: Failure = Failure.DNS_NXDOMAIN, *, try_: int = 1) -> Chain:
    """A name that leads nowhere."""
    silent = failure is Failure.TIMEOUT
    return Chain(
        (dns(name=NAME, failure=failure, rcode=0 if silent else 3),), "messages", failure, try_
    )


def dialled(
    address: str = GOOD,
    failure: Failure | None = None,
    *,
    port: int = 443,
    part: str = "messages",
    try_: int = 1,
) -> Chain:
    """A connection alone."""
    return Chain((tcp(address, port, failure),), part, failure, try_)


def asked(address: str = GOOD, failure: Failure | None = None, *, try_: int = 1) -> Chain:
    """A question in the service's own protocol."""
    said = Ping(
        what="mtproto",
        address=address,
        port=443,
        failure=failure,
        bytes_in=0 if failure else 80,
        elapsed=0.1,
    )
    return Chain((tcp(address), said), "messages", failure, try_)


def own(
    what: str = "peer 1",
    failure: Failure | None = None,
    *,
    try_: int = 1,
    role: Role = Role.TARGET,
) -> Chain:
    """A look at a server of the volunteer's own."""
    said = Ping(what=what, failure=failure, bytes_in=0 if failure else 92, elapsed=0.1)
    return Chain((said,), what, failure, try_, role, summed=False)


def beside(*steps: Step, role: Role = Role.HARMLESS) -> Chain:
    """Steps that are no look at the service: a harmless name, a reference."""
    return Chain(steps, "", None, role=role, summed=False)


def again(*chains: Chain) -> tuple[Chain, ...]:
    """The same looks in both tries."""
    return (*chains, *(dataclasses.replace(one, try_=2) for one in chains))


def numbered(chains: Sequence[Chain]) -> tuple[Step, ...]:
    placed: list[Step] = []
    for chain in chains:
        above: int | None = None
        for step in chain.steps:
            number = len(placed) + 1
            parent = above if isinstance(step, Tcp | Tls | Ping) else None
            placed.append(
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
                id=len(placed) + 1,
                what=chain.part,
                failure=chain.failure,
                parent=above,
                try_=chain.try_,
                at=float(len(placed)),
            )
            placed.append(summary)
    return tuple(placed)


def seen(
    *chains: Chain,
    controls: tuple[Control, ...] = (),
    line: Line | None = None,
    experiment: str = "signal",
) -> Record:
    """A record of these looks."""
    made = record(controls=controls, line=line, experiment=experiment, url=INPUT)
    return replace(made, steps=numbered(chains))


def elsewhere(*chains: Chain, age: float = 60.0) -> Control:
    """What a control saw, after us unless said otherwise."""
    return replace(build_control(age=age), steps=numbered(chains))
