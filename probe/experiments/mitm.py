"""Offer one name in many ways and places, and see which of them call up an interceptor.

The places: the site's own address, an unrelated address with a trusted certificate of its own (a
reference), and the collector's TLS port where the operator has a trusted one. The ways: TLS 1.2
and 1.3, with and without ALPN, another port. At each place a harmless name is offered too: what a
server shows to any name is its own, and only what the target's name alone brings is not.
Nothing is ever sent inside a session: the handshake is all that is needed.

Source: the 2019 system answered at any address whose server had a trusted certificate, by the name
alone (Raman et al., "Investigating Large Scale HTTPS Interception in Kazakhstan", IMC 2020).
"""

from dataclasses import dataclass

from probe.compare import host_of, is_address
from probe.experiments.port import Experiment, Hello, Net, Task
from probe.experiments.trail import Trail
from probe.experiments.web import Site, resolve
from probe.model import Role, Steps, Tls

_WAYS: tuple[Hello, ...] = ("tls12", "tls13", "noalpn")
OTHER_PORT = 8443


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to offer the name."""

    address: str
    port: int
    own: str | None
    role: Role


async def measure(task: Task, net: Net) -> Steps:
    """Offer the name everywhere; at its own address in every way."""
    trail = Trail()
    site = Site(task.url, 0)
    if is_address(site.host):
        return trail.steps
    addresses = [a for a in await resolve(task, net, trail, site, try_=1) if net.safe(a)]
    port = site.port if site.secure else 443
    for place in _places(task, net, addresses[:1], port):
        await _compare(task, net, trail, site.host, place)
    for address in addresses[:1]:
        for hello in _WAYS:
            await _offer(net, trail, Place(address, port, None, Role.TARGET), site.host, hello)
        if task.profile == "full":
            await _offer(net, trail, Place(address, OTHER_PORT, None, Role.NEUTRAL), site.host)
    return trail.steps


def _places(task: Task, net: Net, addresses: list[str], port: int) -> list[Place]:
    own = [Place(a, port, None, Role.TARGET) for a in addresses]
    unrelated = [
        Place(r.address, Site(r.url, 0).port, host_of(r.url), Role.NEUTRAL)
        for r in task.references
        if r.address is not None and r.url.startswith("https:") and net.safe(r.address)
    ]
    return [*own, *unrelated[:1], *_collector(task, net)]


def _collector(task: Task, net: Net) -> list[Place]:
    """The collector's own TLS port, where the options name it: `{"address": …, "port": …}`."""
    named = task.options.get("collector")
    if not isinstance(named, dict):
        return []
    address, port = named.get("address"), named.get("port", 443)
    if not isinstance(address, str) or not isinstance(port, int) or not net.safe(address):
        return []
    return [Place(address, port, named.get("host"), Role.NEUTRAL)]


async def _compare(task: Task, net: Net, trail: Trail, name: str, place: Place) -> None:
    """What any name brings here, then the target's, then the server's own."""
    if task.harmless:
        harmless = Place(place.address, place.port, None, Role.HARMLESS)
        await _offer(net, trail, harmless, task.harmless[task.seed % len(task.harmless)])
    await _offer(net, trail, place, name)
    if place.own is not None:
        reference = Place(place.address, place.port, None, Role.REFERENCE)
        await _offer(net, trail, reference, place.own)


async def _offer(net: Net, trail: Trail, place: Place, name: str, hello: Hello = "default") -> None:
    before = sum(isinstance(s, Tls) and s.address == place.address for s in trail.steps)
    steps = await net.tls(place.address, place.port, name, hello=hello)
    trail.chain(steps, role=place.role, try_=1 if not before else 2)


EXPERIMENT = Experiment("mitm", 1, measure)
