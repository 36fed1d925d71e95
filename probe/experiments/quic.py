"""Shake hands over QUIC with a site that offers HTTP/3, and compare its name with a harmless one.

A site offers HTTP/3 by an HTTPS record in the DNS, or by the Alt-Svc header of its page, here or as
a control saw it. If it is known not to, nothing is sent; if that cannot be known (the page is
stopped), it is tried. The first look is one handshake with each name. The second, when the site's
own failed: reference, harmless, target, harmless, target, harmless, reference; the reference is a
site that must answer QUIC on any line where UDP port 443 is open.
"""

from probe.analysis.http3 import offered
from probe.compare import is_address
from probe.experiments.browse import Site, fetch_from, resolve
from probe.experiments.interface import Experiment, Net, QuicNet, Task
from probe.experiments.operations import DnsQuery, QuicHandshake, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Quic, Role, Step, Steps
from probe.reference_data import quic_references

TURNS = (2, 3)


async def measure(task: Task, net: Net) -> Steps:
    """Find out whether QUIC is offered, then offer a harmless name and the target's."""
    trail = StepLog()
    site = Site(task.url, 0)
    if not isinstance(net, QuicNet) or is_address(site.host):
        return trail.steps
    given = await resolve(task, net, trail, site, try_=1)
    addresses = [a for a in given if net.safe(a)][:1]
    await _look_for_offers(net, trail, site, addresses)
    port = offered(site.host, [*trail.steps, *_from_controls(task)])
    if port == 0:
        return trail.steps
    for address in addresses:
        await _harmless(task, net, trail, address, port or 443, try_=1)
        await _target(net, trail, site, address, port or 443, try_=1)
    return trail.steps


def _from_controls(task: Task) -> list[Step]:
    return [step for control in task.controls for step in control.steps]


async def _look_for_offers(net: Net, trail: StepLog, site: Site, addresses: list[str]) -> None:
    encrypted = [r for r in net.resolvers if r.transport in {"doh", "dot"}]
    asks = [
        net.dns(DnsQuery(site.host, one, type="HTTPS"))
        for one in (*net.resolvers[:1], *encrypted[:1])
    ]
    for answer in await net.together(asks):
        trail.add(answer)
    if offered(site.host, trail.steps) is None:
        front = site if site.secure else Site(f"https://{site.host}/", 0)
        for address in addresses:
            await fetch_from(net, trail, front, address, try_=1)


# --- looking again ----------------------------------------------------------------------------


def wanted(_: Task, steps: Steps) -> bool:
    """Whether the site's own name was tried, and not plainly answered."""
    own = [s for s in steps if isinstance(s, Quic) and s.role is Role.TARGET]
    return any(s.failure is not None or s.trust is None or not s.trust.valid for s in own)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Offer both names again in turns, between a site that must answer."""
    trail = StepLog(seen)
    site = Site(task.url, 0)
    places = _places(task, net, trail)
    if not isinstance(net, QuicNet) or not places:
        return trail.steps
    await _reference(task, net, trail, 1)
    for address, port in places:
        for turn in TURNS:
            await _harmless(task, net, trail, address, port, try_=turn)
            await _target(net, trail, site, address, port, try_=turn)
        await _harmless(task, net, trail, address, port, try_=TURNS[-1] + 1)
        # Whether the machine at that address is there at all.
        trail.chain(await net.tls(TlsHandshake(address, 443, site.host)), try_=TURNS[0])
    await _reference(task, net, trail, 2)
    return trail.steps


def _places(task: Task, net: Net, trail: StepLog) -> list[tuple[str, int]]:
    """Where it was tried, and one other address where a control was answered."""
    tried = [(s.address, s.port) for s in trail.steps if _own(s) and isinstance(s, Quic)]
    there = [
        (s.address, s.port)
        for s in _from_controls(task)
        if isinstance(s, Quic) and s.failure is None and net.safe(s.address)
    ]
    return list(dict.fromkeys([*tried[:1], *there]))[:2]


def _own(step: Step) -> bool:
    return isinstance(step, Quic) and step.role is Role.TARGET


async def _reference(task: Task, net: Net, trail: StepLog, try_: int) -> None:
    """A site that nobody minds, and that answers QUIC wherever QUIC may pass."""
    names = quic_references()
    if not isinstance(net, QuicNet) or not names:
        return
    name = names[task.seed % len(names)]
    asked = trail.add(
        await net.dns(DnsQuery(name, net.resolvers[0])), role=Role.REFERENCE, try_=try_
    )
    for address in [a for a in asked.addresses if net.safe(a)][:1]:
        step = await net.quic(QuicHandshake(address, 443, name))
        trail.add(step, role=Role.REFERENCE, try_=try_, parent=asked.id)


async def _harmless(
    task: Task, net: QuicNet, trail: StepLog, address: str, port: int, *, try_: int
) -> None:
    if task.harmless:
        name = task.harmless[task.seed % len(task.harmless)]
        trail.add(await net.quic(QuicHandshake(address, port, name)), role=Role.HARMLESS, try_=try_)


async def _target(
    net: QuicNet, trail: StepLog, site: Site, address: str, port: int, *, try_: int
) -> None:
    trail.add(await net.quic(QuicHandshake(address, port, site.host)), try_=try_)


EXPERIMENT = Experiment("quic", 1, measure, confirm, wanted, extra="quic")
