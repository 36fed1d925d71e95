"""What all experiments on a service share: look at each place its app connects to, and look again.

Which places there are is a fact of `targets/services.toml`. A name is asked of the system's
resolver and of an encrypted one, and the place that counts is where the app would go: the first
address that the system gives. The second look asks again for what failed, with a harmless name at
the same address before and after, between references that must work.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from probe.analysis.service_attempts import attempts
from probe.experiments.interface import ExchangeNet, Experiment, Net, Resolver, Task
from probe.experiments.operations import AppMessage, DnsQuery, Exchange, TcpConnect, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.experiments.web import look_at
from probe.failure import Failure
from probe.model import Dns, Ping, Role, Step, Steps, Tls
from probe.ordering import host_of, keyed
from probe.reference_data import How, endpoints

QUICK_HOSTS = 4
OTHER_ADDRESSES = 1

Messages = Mapping[str, AppMessage]


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """One place: a name or an address, a port, and what can be seen there."""

    part: str
    how: How
    host: str
    port: int
    named: bool


def of_service(name: str, talks: Messages | None = None) -> Experiment:
    """The experiment on one service that is known by its places."""
    known = talks or {}
    return Experiment(
        name,
        1,
        partial(measure, name, known),
        partial(confirm, name, known),
        wanted,
        service=True,
    )


def spots(service: str, task: Task) -> list[ServiceEndpoint]:
    """Every place of a service; some of each kind when the look is to be quick."""
    found: list[ServiceEndpoint] = []
    for one in endpoints(service):
        hosts = [*one.names, *one.addresses]
        if task.profile != "full":
            hosts = sorted(hosts, key=lambda host: keyed(task.seed, host))[:QUICK_HOSTS]
        for host in hosts:
            named = host in one.names
            found += [ServiceEndpoint(one.part, one.how, host, port, named) for port in one.ports]
    return found


async def measure(service: str, talks: Messages, task: Task, net: Net) -> Steps:
    """Look once at every place."""
    trail = StepLog()
    await look(net, trail, spots(service, task), talks, seed=task.seed, try_=1)
    return trail.steps


def summaries(steps: Steps) -> list[Ping]:
    """How each look ended."""
    return [one.summary for one in attempts(steps)]


def wanted(_: Task, steps: Steps) -> bool:
    """Whether some place did not answer as it should."""
    return any(one.failure is not None for one in attempts(steps))


async def confirm(service: str, talks: Messages, task: Task, net: Net, seen: Steps) -> Steps:
    """Look again at what failed, between references."""
    trail = StepLog(seen)
    failed = {one.place for one in attempts(seen) if one.failure is not None}
    chosen = [
        spot
        for spot in spots(service, task)
        if (spot.host, spot.port) in failed or (spot.host, None) in failed
    ]
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    if reference is not None and any(spot.named for spot in chosen):
        asked = await net.dns(DnsQuery(host_of(reference.url), net.resolvers[0]))
        trail.add(asked, role=Role.REFERENCE)
    harmless = task.harmless[task.seed % len(task.harmless)] if task.harmless else None
    await look(net, trail, chosen, talks, seed=task.seed, try_=2, harmless=harmless)
    await look_at(net, trail, reference)
    return trail.steps


async def look(
    net: Net,
    trail: StepLog,
    chosen: Sequence[ServiceEndpoint],
    talks: Messages,
    *,
    seed: int,
    try_: int,
    harmless: str | None = None,
) -> None:
    """Look at several places at once."""
    hosts = dict.fromkeys(spot.host for spot in chosen if spot.named)
    answers = await net.together([_resolve(net, trail, host, seed, try_) for host in hosts])
    told = dict(zip(hosts, answers, strict=True))
    asks = [
        _spot(net, trail, spot, told.get(spot.host), talks, try_=try_, harmless=harmless)
        for spot in chosen
    ]
    await net.together(asks)


async def _resolve(net: Net, trail: StepLog, host: str, seed: int, try_: int) -> list[Dns]:
    """Ask the system's resolver, and one that nobody on the way can answer for."""
    asks: list[Awaitable[Dns]] = [net.dns(DnsQuery(host, net.resolvers[0]))]
    asks += [net.dns(DnsQuery(host, one)) for one in _another(net.resolvers[1:], seed, try_)]
    return [trail.add(answer, try_=try_) for answer in await net.together(asks)]


def _another(public: Sequence[Resolver], seed: int, try_: int) -> list[Resolver]:
    """An encrypted one in turn; when it is looked at again a few more, of any kind."""
    encrypted = [one for one in public if one.transport in {"doh", "dot"}]
    if not encrypted or try_ > 1:
        return list(public)[:3]
    return [encrypted[seed % len(encrypted)]]


async def _spot(
    net: Net,
    trail: StepLog,
    spot: ServiceEndpoint,
    told: Sequence[Dns] | None,
    talks: Messages,
    *,
    try_: int,
    harmless: str | None,
) -> None:
    """One look at one place, and its summary."""
    address, above = _where(net, spot, told)
    if address is None:
        last = told[0] if told else None
        failure = (last.failure if last else None) or Failure.DNS_NO_ANSWER
        _sum_up(trail, spot, last, failure, try_)
    else:
        if harmless is not None:
            await _offer_harmless(net, trail, spot, address, harmless)
        steps = await _visit(net, spot, address, talks)
        placed = trail.chain(steps, try_=try_, parent=above)
        _sum_up(trail, spot, placed[-1], _failure(spot, placed[-1]), try_)
        if harmless is not None:
            await _offer_harmless(net, trail, spot, address, harmless)
    if try_ > 1 and spot.how in {"tls", "own_tls"} and told:
        await _elsewhere(net, trail, spot, told, address)


def _where(
    net: Net, spot: ServiceEndpoint, told: Sequence[Dns] | None
) -> tuple[str | None, int | None]:
    """The address the app would go to, and the query that gave it."""
    if not spot.named:
        return (spot.host if net.safe(spot.host) else None), None
    system = told[0] if told else None
    usable = [one for one in system.addresses if net.safe(one)] if system else []
    return (usable[0] if usable else None), system.id if system else None


async def _visit(
    net: Net, spot: ServiceEndpoint, address: str, talks: Messages
) -> Iterable[Step | None]:
    talk = talks.get(spot.how)
    if spot.how in {"tls", "own_tls"}:
        return await net.tls(TlsHandshake(address, spot.port, spot.host if spot.named else None))
    if talk is not None and isinstance(net, ExchangeNet):
        return await net.exchange_tcp(Exchange(address, spot.port, talk))
    return (await net.tcp(TcpConnect(address, spot.port)),)


def _failure(spot: ServiceEndpoint, last: Step) -> Failure | None:
    """How a look ended; a certificate that proves nothing reached nobody, where one should."""
    if isinstance(last, Tls) and last.failure is None and spot.how == "tls":
        return None if last.trust is not None and last.trust.valid else Failure.SSL_AUTHORITY
    return last.failure


def _sum_up(
    trail: StepLog, spot: ServiceEndpoint, last: Step | None, failure: Failure | None, try_: int
) -> None:
    at, elapsed = (last.at, last.elapsed) if last is not None else (0.0, 0.0)
    summary = Ping(what=spot.part, failure=failure, at=at, elapsed=elapsed)
    trail.add(summary, try_=try_, parent=last.id if last is not None else None)


async def _offer_harmless(
    net: Net, trail: StepLog, spot: ServiceEndpoint, address: str, name: str
) -> None:
    """A name that nobody minds, at the same address; only a named handshake can be compared."""
    if spot.named and spot.how in {"tls", "own_tls"}:
        trail.chain(
            await net.tls(TlsHandshake(address, spot.port, name)), role=Role.HARMLESS, try_=2
        )


async def _elsewhere(
    net: Net, trail: StepLog, spot: ServiceEndpoint, told: Sequence[Dns], visited: str | None
) -> None:
    """Where others say that the name lives: an address that proves the name is the right one."""
    others = dict.fromkeys(a for answer in told[1:] for a in answer.addresses)
    system = told[0].addresses
    fresh = [a for a in others if a not in system and a != visited and net.safe(a)]
    for address in fresh[:OTHER_ADDRESSES]:
        trail.chain(
            await net.tls(TlsHandshake(address, spot.port, spot.host)), role=Role.NEUTRAL, try_=2
        )
