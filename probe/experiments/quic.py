"""Shake hands over QUIC with a site that offers HTTP/3, and compare its name with a harmless one.

A site offers HTTP/3 by an HTTPS record in the DNS, or by the Alt-Svc header of its page, here or as
a control saw it. If it is known not to, no QUIC packet is sent; if that cannot be known (the page
is blocked), it is tried. The measurement is one handshake with each name. The confirmation, when
the site's own failed: reference, harmless, target, harmless, target, harmless, reference; the
reference is a site that answers QUIC on any line where UDP port 443 is open.
"""

from probe.analysis.http3 import offered
from probe.compare import is_address
from probe.experiments.browse import UrlHop, fetch_from, resolve
from probe.experiments.interface import Experiment, Net, QuicNet, Task
from probe.experiments.interleave import Offer, interleave
from probe.experiments.operations import DnsQuery, QuicHandshake, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Quic, Role, Step, Steps
from probe.reference_data import quic_references

TURNS = (2, 3)


async def measure(task: Task, net: Net) -> Steps:
    """Find out whether QUIC is offered, then offer a harmless name and the target's."""
    log = StepLog()
    hop = UrlHop(task.url)
    if not isinstance(net, QuicNet) or is_address(hop.host):
        return log.steps
    resolved = await resolve(task, net, log, hop, try_=1)
    addresses = [a for a in resolved if net.safe(a)][:1]
    await _find_offers(net, log, hop, addresses)
    port = offered(hop.host, [*log.steps, *_control_steps(task)])
    if port == 0:
        return log.steps
    for address in addresses:
        offer = _quic_offer(net, log, address, port or 443)
        if task.harmless_name is not None:
            await offer(task.harmless_name, Role.HARMLESS, 1)
        await offer(hop.host, Role.TARGET, 1)
    return log.steps


def _control_steps(task: Task) -> list[Step]:
    return [step for control in task.controls for step in control.steps]


async def _find_offers(net: Net, log: StepLog, hop: UrlHop, addresses: list[str]) -> None:
    """Ask for HTTPS records; fetch the page where none announces HTTP/3."""
    encrypted = [r for r in net.resolvers if r.transport in {"doh", "dot"}]
    asked = (*net.resolvers[:1], *encrypted[:1])
    for answer in await net.together([net.dns(DnsQuery(hop.host, r, type="HTTPS")) for r in asked]):
        log.add(answer)
    if offered(hop.host, log.steps) is None:
        front = hop if hop.secure else UrlHop(f"https://{hop.host}/")
        for address in addresses:
            await fetch_from(net, log, front, address, try_=1)


def _quic_offer(net: QuicNet, log: StepLog, address: str, port: int) -> Offer:
    """Offers a name in one QUIC handshake."""

    async def offer(name: str, role: Role, try_: int) -> Steps:
        step = await net.quic(QuicHandshake(address, port, name))
        return (log.add(step, role=role, try_=try_),)

    return offer


# --- confirmation -----------------------------------------------------------------------------


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether the site's own name was offered, and met anything but a proven handshake."""
    own = [s for s in steps if isinstance(s, Quic) and s.role is Role.TARGET]
    return any(s.failure is not None or s.trust is None or not s.trust.valid for s in own)


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Offer both names again in turns, between a site that must answer."""
    log = StepLog(seen)
    host = UrlHop(task.url).host
    endpoints = _endpoints(task, net, seen)
    if not isinstance(net, QuicNet) or not endpoints:
        return log.steps
    await _measure_reference(task, net, log, 1)
    for address, port in endpoints:
        offer = _quic_offer(net, log, address, port)
        await interleave(offer, host, task.harmless_name, TURNS, last=TURNS[-1] + 1)
        # Whether the server at that address is reachable at all.
        log.chain(await net.tls(TlsHandshake(address, 443, host)), try_=TURNS[0])
    await _measure_reference(task, net, log, 2)
    return log.steps


def _endpoints(task: Task, net: Net, seen: Steps) -> list[tuple[str, int]]:
    """Where it was tried, and one other address where a control was answered."""
    tried = [(s.address, s.port) for s in seen if isinstance(s, Quic) and s.role is Role.TARGET]
    controls = [
        (s.address, s.port)
        for s in _control_steps(task)
        if isinstance(s, Quic) and s.failure is None and net.safe(s.address)
    ]
    return list(dict.fromkeys([*tried[:1], *controls]))[:2]


async def _measure_reference(task: Task, net: Net, log: StepLog, try_: int) -> None:
    """Offer a site's own name that answers QUIC wherever QUIC may pass."""
    names = quic_references()
    if not isinstance(net, QuicNet) or not names:
        return
    name = names[task.seed % len(names)]
    query = DnsQuery(name, net.resolvers[0])
    asked = log.add(await net.dns(query), role=Role.REFERENCE, try_=try_)
    for address in [a for a in asked.addresses if net.safe(a)][:1]:
        step = await net.quic(QuicHandshake(address, 443, name))
        log.add(step, role=Role.REFERENCE, try_=try_, parent=asked.id)


EXPERIMENT = Experiment("quic", 1, measure, confirm, needs_confirmation, extra="quic")
