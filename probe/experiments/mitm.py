"""Offer one name in many ways and places, and see which of them call up an interceptor.

The places: the site's own address, an unrelated address with a trusted certificate of its own (a
reference), and the collectors' TLS ports. The ways: TLS 1.2 and 1.3, without ALPN, with the name
cut over two segments (a box that does not put them together lets the true certificate through), and
another port. At each place a harmless name is offered too: what a server shows to any name is its
own, and only what the target's name alone brings is not. Nothing is ever sent inside a session: the
handshake is all that is needed.

The first look is at the site's own address. The second, at the end of the run, goes to the other
places, when it is known which sites work here, and once more to the first.

Source: the 2019 system answered at any address whose server had a trusted certificate, by the name
alone (Raman et al., "Investigating Large Scale HTTPS Interception in Kazakhstan", IMC 2020).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from probe.compare import host_of, is_address
from probe.experiments.browse import Site, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import ClientHello, DnsQuery, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.experiments.web import control_addresses
from probe.model import Dns, Role, Steps, Tls

WAYS: tuple[ClientHello, ...] = ("tls12", "tls13", "noalpn", "split")
OTHER_PORT = 8443
_COLLECTORS = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to offer the name.

    Attributes:
        own: The name that the server there has a certificate for, where it is not the target.
    """

    address: str
    port: int
    own: str | None
    role: Role


async def measure(task: Task, net: Net) -> Steps:
    """Offer the name at its own address, in every way."""
    trail = StepLog()
    site = Site(task.url, 0)
    if is_address(site.host):
        return trail.steps
    given = [*await resolve(task, net, trail, site, try_=1), *control_addresses(task, site)]
    for address in [a for a in given if net.safe(a)][:1]:
        home = Place(address, _port(site), None, Role.TARGET)
        await _compare(task, net, trail, site.host, home)
        for hello in WAYS:
            await _offer(net, trail, home, site.host, hello)
        if task.profile == "full":
            other = Place(address, OTHER_PORT, None, Role.NEUTRAL)
            await _offer(net, trail, other, site.host)
    return trail.steps


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Offer it at unrelated servers that prove their own names, and once more at its own."""
    trail = StepLog(seen)
    site = Site(task.url, 0)
    if is_address(site.host):
        return seen
    for place in (*_unrelated(task, net), *await _collectors(task, net, trail)):
        await _compare(task, net, trail, site.host, place)
    for step in [s for s in _offered(seen, site.host) if s.role is Role.TARGET][:1]:
        await _compare(
            task, net, trail, site.host, Place(step.address, step.port, None, Role.TARGET)
        )
    return trail.steps


def _port(site: Site) -> int:
    return site.port if site.secure else 443


def _offered(steps: Iterable[object], name: str) -> list[Tls]:
    return [s for s in steps if isinstance(s, Tls) and s.sni == name]


def _unrelated(task: Task, net: Net) -> list[Place]:
    """One site that works here and has nothing to do with the target."""
    secure = [r for r in task.references if r.url.startswith("https:")]
    found = [
        Place(r.address, Site(r.url, 0).port, host_of(r.url), Role.NEUTRAL)
        for r in secure
        if r.address is not None and net.safe(r.address)
    ]
    return found[:1]


async def _collectors(task: Task, net: Net, trail: StepLog) -> list[Place]:
    """The collectors' own TLS ports: `collectors` in the options, pairs of host and port."""
    named = task.options.get("collectors")
    places: list[Place] = []
    for host, port in named[:_COLLECTORS] if isinstance(named, tuple) else ():
        addresses = [host] if is_address(host) else await _resolved(net, trail, host)
        own = None if is_address(host) else host
        places += [Place(a, port, own, Role.NEUTRAL) for a in addresses if net.safe(a)][:1]
    return places


async def _resolved(net: Net, trail: StepLog, host: str) -> list[str]:
    found: Dns = await net.dns(DnsQuery(host, net.resolvers[0]))
    return list(trail.add(found, role=Role.NEUTRAL, try_=2).addresses)


async def _compare(task: Task, net: Net, trail: StepLog, name: str, place: Place) -> None:
    """What any name brings here, then the target's, then the server's own."""
    if task.harmless:
        harmless = Place(place.address, place.port, None, Role.HARMLESS)
        await _offer(net, trail, harmless, task.harmless[task.seed % len(task.harmless)])
    await _offer(net, trail, place, name)
    if place.own is not None:
        reference = Place(place.address, place.port, None, Role.REFERENCE)
        await _offer(net, trail, reference, place.own)


async def _offer(
    net: Net, trail: StepLog, place: Place, name: str, hello: ClientHello = "default"
) -> None:
    before = sum(isinstance(s, Tls) and s.address == place.address for s in trail.steps)
    steps = await net.tls(TlsHandshake(place.address, place.port, name, hello=hello))
    trail.chain(steps, role=place.role, try_=1 if not before else 2)


def wanted(_task: Task, steps: Steps) -> bool:
    """Always, where there was anything to look at: an interceptor may be called up elsewhere."""
    return bool(steps)


EXPERIMENT = Experiment(
    "mitm",
    1,
    measure,
    confirm,
    wanted,
    purpose="mitm-candidate",
    given=frozenset({"collectors"}),
)
