"""Offer a name and a harmless one to the same address, in turns, to see what the name alone does.

The address need not be the site's. At an unrelated server (the collector's, a public resolver's)
the trigger is shown without the site being involved; a server that answers any name is enough.
Order: harmless, target, harmless, target, harmless. A harmless name that fails proves nothing.

Source: the design of OONI's sni_blocking (ts-024), which offers each name once and to one helper.
"""

from probe.compare import is_address
from probe.experiments.browse import Site, resolve
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import ClientHello, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.experiments.web import look_at
from probe.model import Dns, Role, Steps

TURNS = 2
_OTHERS: tuple[ClientHello, ...] = ("tls12", "tls13", "split")


async def measure(task: Task, net: Net) -> Steps:
    """Compare the two names at one address, between references."""
    trail = StepLog()
    site = Site(task.url, 0)
    address = await _address(task, net, trail, site)
    if address is None or not task.harmless or is_address(site.host):
        return trail.steps
    harmless = task.harmless[task.seed % len(task.harmless)]
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    await _offer(net, trail, site, address, harmless, role=Role.HARMLESS, try_=1)
    for turn in range(1, TURNS + 1):
        await _offer(net, trail, site, address, site.host, role=Role.TARGET, try_=turn)
        await _offer(net, trail, site, address, harmless, role=Role.HARMLESS, try_=turn + 1)
    if task.profile == "full" and _stopped(trail):
        await _other_hellos(net, trail, site, address)
    await look_at(net, trail, reference)
    return trail.steps


async def _address(task: Task, net: Net, trail: StepLog, site: Site) -> str | None:
    """The address that the options name, or the first the resolvers give."""
    aimed = task.options.get("address")
    if isinstance(aimed, str):
        return aimed if net.safe(aimed) else None
    found = await resolve(task, net, trail, site, try_=1)
    return next((one for one in found if net.safe(one)), None)


async def _offer(
    net: Net,
    trail: StepLog,
    site: Site,
    address: str,
    name: str,
    *,
    role: Role,
    try_: int,
    hello: ClientHello = "default",
) -> None:
    trail.chain(
        await net.tls(TlsHandshake(address, _port(site), name, hello=hello)), role=role, try_=try_
    )


def _port(site: Site) -> int:
    """Where the site speaks TLS; a plain-http URL's name is offered at 443."""
    return site.port if site.secure else 443


def _stopped(trail: StepLog) -> bool:
    own = [s for s in trail.steps if s.role is Role.TARGET and not isinstance(s, Dns)]
    return any(s.failure is not None for s in own)


async def _other_hellos(net: Net, trail: StepLog, site: Site, address: str) -> None:
    """Other ClientHellos with the same name tell what the box reads: version, or whole segments."""
    for hello in _OTHERS:
        await _offer(net, trail, site, address, site.host, role=Role.NEUTRAL, try_=1, hello=hello)


EXPERIMENT = Experiment("sni", 1, measure)
