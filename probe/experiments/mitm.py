"""Offer one name in many ways and at many endpoints, and find which of them trigger an interceptor.

The endpoints: the site's own address, an unrelated address with a trusted certificate of its own (a
reference site), and the collectors' TLS ports. The ways: TLS 1.2 and 1.3, without ALPN, with the
name cut over two segments (a middlebox that does not reassemble them lets the true certificate
through), and another port. At each endpoint a harmless name is offered too: what a server shows to
any name is its own, and only what the target's name alone triggers is not. Nothing is ever sent
inside a session: the handshake is all that is needed.

The measurement is at the site's own address. The confirmation, at the end of the run, goes to the
other endpoints, when it is known which sites work here, and once more to the first.

Source: the 2019 system answered at any address whose server had a trusted certificate, by the name
alone (Raman et al., "Investigating Large Scale HTTPS Interception in Kazakhstan", IMC 2020).
"""

from msgspec import Struct

from probe.analysis.web_suspicion import control_addresses
from probe.compare import host_of, is_address
from probe.experiments.browse import UrlHop, resolve
from probe.experiments.interface import Experiment, Net, Share, Task
from probe.experiments.operations import ClientHello, DnsQuery, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Role, Steps, Tls

WAYS: tuple[ClientHello, ...] = ("tls12", "tls13", "noalpn", "split")
OTHER_PORT = 8443
_COLLECTORS = 2
_PURPOSE = "mitm-candidate"


class TlsEndpoint(Struct, frozen=True):
    """Where to offer a name.

    Attributes:
        role: The role of the target's name here.
        own: The name that the server here has a certificate for, where it is not the target.
    """

    address: str
    port: int
    role: Role = Role.TARGET
    own: str | None = None


async def measure(task: Task, net: Net) -> Steps:
    """Offer the name at its own address, in every way."""
    log = StepLog()
    hop = UrlHop(task.url)
    if is_address(hop.host):
        return log.steps
    resolved = await resolve(task, net, log, hop, try_=1)
    known = [*resolved, *control_addresses(task.controls, hop.host)]
    for address in [a for a in known if net.safe(a)][:1]:
        endpoint = TlsEndpoint(address, hop.tls_port)
        await _compare(task, net, log, hop.host, endpoint)
        for hello in WAYS:
            await _offer(net, log, endpoint, hop.host, Role.TARGET, hello=hello)
        if task.profile == "full":
            other = TlsEndpoint(address, OTHER_PORT)
            await _offer(net, log, other, hop.host, Role.NEUTRAL)
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Always, where anything was measured: an interceptor may react at other endpoints only."""
    return bool(steps)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Offer it at unrelated servers that prove their own names, and once more at its own."""
    log = StepLog(seen)
    host = UrlHop(task.url).host
    if is_address(host):
        return seen
    for endpoint in (*_unrelated(task, net)[:1], *await _collectors(task, net, log)):
        await _compare(task, net, log, host, endpoint)
    offered = [s for s in seen if isinstance(s, Tls) and s.sni == host and s.role is Role.TARGET]
    for step in offered[:1]:
        await _compare(task, net, log, host, TlsEndpoint(step.address, step.port))
    return log.steps


def _unrelated(task: Task, net: Net) -> list[TlsEndpoint]:
    """Reference sites, which work here and have nothing to do with the target."""
    return [
        TlsEndpoint(r.address, UrlHop(r.url).port, Role.NEUTRAL, host_of(r.url))
        for r in task.references
        if r.url.startswith("https:") and r.address is not None and net.safe(r.address)
    ]


async def _collectors(task: Task, net: Net, log: StepLog) -> list[TlsEndpoint]:
    """The collectors' own TLS ports: `collectors` in the options, pairs of host and port."""
    configured = task.options.get("collectors")
    endpoints: list[TlsEndpoint] = []
    for host, port in configured[:_COLLECTORS] if isinstance(configured, tuple) else ():
        addresses: tuple[str, ...] = (host,)
        own: str | None = None
        if not is_address(host):
            answer = await net.dns(DnsQuery(host, net.resolvers[0]))
            addresses, own = log.add(answer, role=Role.NEUTRAL, try_=2).addresses, host
        usable = [a for a in addresses if net.safe(a)]
        endpoints += [TlsEndpoint(a, port, Role.NEUTRAL, own) for a in usable[:1]]
    return endpoints


async def _compare(task: Task, net: Net, log: StepLog, name: str, endpoint: TlsEndpoint) -> None:
    """Offer a harmless name, then the target's, then the server's own."""
    if task.harmless_name is not None:
        await _offer(net, log, endpoint, task.harmless_name, Role.HARMLESS)
    await _offer(net, log, endpoint, name, endpoint.role)
    if endpoint.own is not None:
        await _offer(net, log, endpoint, endpoint.own, Role.REFERENCE)


async def _offer(
    net: Net,
    log: StepLog,
    endpoint: TlsEndpoint,
    name: str,
    role: Role,
    *,
    hello: ClientHello = "default",
) -> None:
    before = any(isinstance(s, Tls) and s.address == endpoint.address for s in log.steps)
    steps = await net.tls(TlsHandshake(endpoint.address, endpoint.port, name, hello=hello))
    log.chain(steps, role=role, try_=2 if before else 1)


EXPERIMENT = Experiment(
    "mitm",
    1,
    measure,
    confirm,
    needs_confirmation,
    purpose=_PURPOSE,
    profiles={
        "full": Share(_PURPOSE, targets=60, bytes=6_000_000),
        "quick": Share(_PURPOSE, targets=6, bytes=1_000_000),
    },
    given=frozenset({"collectors"}),
)
