"""What all experiments on a service share: try each endpoint of its app, and compare what failed.

The endpoints are listed in `targets/services.toml`. A name is asked of the system's resolver and of
an encrypted one, and the address that counts is where the app would go: the first that the system's
resolver returns. The confirmation tries what failed again, with a harmless name at the same address
before and after, between reference measurements.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from probe.analysis.service_attempts import attempts
from probe.experiments.browse import measure_reference
from probe.experiments.interface import ExchangeNet, Experiment, Net, Resolver, Task
from probe.experiments.interleave import interleave, tls_offer
from probe.experiments.operations import AppMessage, DnsQuery, Exchange, TcpConnect, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Ping, Role, Step, Steps, Tls
from probe.ordering import host_of, keyed
from probe.reference_data import How, endpoints

QUICK_HOSTS = 4

Messages = Mapping[str, AppMessage]


class ServiceEndpoint(Struct, frozen=True):
    """A name or an address, a port, and what can be measured there."""

    part: str
    how: How
    host: str
    port: int
    named: bool

    @property
    def offers_name(self) -> bool:
        """It speaks TLS, and its name is offered: only then can another name be compared."""
        return self.named and self.how in {"tls", "own_tls"}


class Probing(Struct, frozen=True):
    """Where the steps go, and how endpoints are tried: `harmless` is None where none is offered."""

    net: Net
    log: StepLog
    messages: Messages
    seed: int
    try_: int = 1
    harmless: str | None = None


def of_service(name: str, messages: Messages | None = None) -> Experiment:
    """The experiment on one service that is known by its endpoints."""
    known = messages or {}
    return Experiment(
        name,
        1,
        partial(measure, name, known),
        partial(confirm, name, known),
        needs_confirmation,
        service=True,
    )


def service_endpoints(service: str, task: Task) -> list[ServiceEndpoint]:
    """Every endpoint of a service; a few of each kind unless the profile is `full`."""
    found: list[ServiceEndpoint] = []
    for one in endpoints(service):
        hosts = [*one.names, *one.addresses]
        if task.profile != "full":
            hosts = sorted(hosts, key=lambda host: keyed(task.seed, host))[:QUICK_HOSTS]
        for host in hosts:
            named = host in one.names
            found += [ServiceEndpoint(one.part, one.how, host, port, named) for port in one.ports]
    return found


async def measure(service: str, messages: Messages, task: Task, net: Net) -> Steps:
    """Try every endpoint once."""
    log = StepLog()
    await _try_all(Probing(net, log, messages, task.seed), service_endpoints(service, task))
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether some endpoint did not answer as it should."""
    return any(one.failure is not None for one in attempts(steps))


async def confirm(service: str, messages: Messages, task: Task, net: Net, seen: Steps) -> Steps:
    """Try what failed again, between reference measurements."""
    log = StepLog(seen)
    failed = {one.endpoint for one in attempts(seen) if one.failure is not None}
    chosen = [
        one
        for one in service_endpoints(service, task)
        if (one.host, one.port) in failed or (one.host, None) in failed
    ]
    await measure_reference(net, log, task.reference)
    if task.reference is not None and any(one.named for one in chosen):
        query = DnsQuery(host_of(task.reference.url), net.resolvers[0])
        log.add(await net.dns(query), role=Role.REFERENCE)
    await _try_all(Probing(net, log, messages, task.seed, 2, task.harmless_name), chosen)
    await measure_reference(net, log, task.reference)
    return log.steps


async def _try_all(probing: Probing, chosen: Sequence[ServiceEndpoint]) -> None:
    """Try several endpoints concurrently."""
    together = probing.net.together
    hosts = dict.fromkeys(one.host for one in chosen if one.named)
    answers = await together([_resolve(probing, host) for host in hosts])
    by_host = dict(zip(hosts, answers, strict=True))
    await together([_try(probing, one, by_host.get(one.host, ())) for one in chosen])


async def _resolve(probing: Probing, host: str) -> list[Dns]:
    """Ask the system's resolver, and an encrypted one, which nothing on the path can answer for."""
    net, log = probing.net, probing.log
    asked = (net.resolvers[0], *_other_resolvers(net.resolvers[1:], probing))
    answers = await net.together([net.dns(DnsQuery(host, one)) for one in asked])
    return [log.add(answer, try_=probing.try_) for answer in answers]


def _other_resolvers(public: Sequence[Resolver], probing: Probing) -> Sequence[Resolver]:
    """An encrypted one in turn; from the second try on a few more, of any kind."""
    encrypted = [one for one in public if one.transport in {"doh", "dot"}]
    if not encrypted or probing.try_ > 1:
        return public[:3]
    return [encrypted[probing.seed % len(encrypted)]]


async def _try(probing: Probing, endpoint: ServiceEndpoint, answers: Sequence[Dns]) -> None:
    """One attempt at one endpoint, and its summary."""
    net, log = probing.net, probing.log
    system = answers[0] if answers else None
    known = system.addresses if system else () if endpoint.named else (endpoint.host,)
    address = next((one for one in known if net.safe(one)), None)
    if address is None:
        failure = (system.failure if system else None) or Failure.DNS_NO_ANSWER
        _sum_up(probing, endpoint, system, failure)
    else:

        async def offer(name: str, role: Role, try_: int) -> Steps:
            if role is Role.HARMLESS:
                return await tls_offer(net, log, address, endpoint.port)(name, role, try_)
            steps = await _visit(probing, endpoint, address)
            parent = system.id if system else None
            added = log.chain(steps, try_=try_, parent=parent)
            _sum_up(probing, endpoint, added[-1], _failure(endpoint, added[-1]))
            return added

        harmless = probing.harmless if endpoint.offers_name else None
        await interleave(offer, endpoint.host, harmless, (probing.try_,))
    if probing.try_ > 1 and endpoint.offers_name and system is not None:
        await _try_other_address(probing, endpoint, answers, address)


async def _visit(
    probing: Probing, endpoint: ServiceEndpoint, address: str
) -> Iterable[Step | None]:
    net, message = probing.net, probing.messages.get(endpoint.how)
    if endpoint.how in {"tls", "own_tls"}:
        name = endpoint.host if endpoint.named else None
        return await net.tls(TlsHandshake(address, endpoint.port, name))
    if message is not None and isinstance(net, ExchangeNet):
        return await net.exchange_tcp(Exchange(address, endpoint.port, message))
    return (await net.tcp(TcpConnect(address, endpoint.port)),)


def _failure(endpoint: ServiceEndpoint, last: Step) -> Failure | None:
    """How an attempt failed; an unproven certificate is a failure where a proven one is due."""
    if isinstance(last, Tls) and last.failure is None and endpoint.how == "tls":
        return None if last.trust is not None and last.trust.valid else Failure.SSL_AUTHORITY
    return last.failure


def _sum_up(
    probing: Probing, endpoint: ServiceEndpoint, last: Step | None, failure: Failure | None
) -> None:
    at, elapsed = (last.at, last.elapsed) if last is not None else (0.0, 0.0)
    summary = Ping(what=endpoint.part, failure=failure, at=at, elapsed=elapsed)
    probing.log.add(summary, try_=probing.try_, parent=last.id if last is not None else None)


async def _try_other_address(
    probing: Probing, endpoint: ServiceEndpoint, answers: Sequence[Dns], tried: str | None
) -> None:
    """Try one address that only other resolvers gave: one that proves the name is the right one."""
    net, system = probing.net, answers[0].addresses
    others = dict.fromkeys(a for answer in answers[1:] for a in answer.addresses)
    fresh = [a for a in others if a not in system and a != tried and net.safe(a)]
    for address in fresh[:1]:
        await tls_offer(net, probing.log, address, endpoint.port)(endpoint.host, Role.NEUTRAL, 2)
