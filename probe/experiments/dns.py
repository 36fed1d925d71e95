"""Ask for one name by every way there is, and see which of them somebody else answers.

The ways: the machine's own resolver, public ones in the clear (UDP and TCP port 53), over TLS
(port 853) and over HTTPS. By each way a harmless name is asked first, so that a way that is stopped
for everybody is told from one that is stopped for this name, and so that the answers' IP time to
live can be compared. A question to an address where no resolver lives must stay without an answer.
A handshake with what was answered shows which address is the site's.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace

from probe.compare import agree, forged_among, is_address
from probe.experiments.browse import Site
from probe.experiments.interface import Experiment, Net, Resolver, Task
from probe.experiments.operations import DnsQuery, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Dns, Ping, Role, Step, Steps, Tls
from probe.reference_data import unused_addresses, whoami_names

DOT = 853
_ENCRYPTED = frozenset({"doh", "dot"})
_ASKED_WHO = 2


async def measure(task: Task, net: Net) -> Steps:
    """Ask by every way once, and who answers in whose place."""
    trail = StepLog()
    site = Site(task.url, 0)
    if is_address(site.host) or not task.harmless:
        return trail.steps
    await _every_way(task, net, trail, site, try_=1)
    await _nobody(task, net, trail)
    await _who_answers(net, trail)
    await _prove(task, net, trail, site, try_=1)
    return trail.steps


def wanted(_: Task, steps: Steps) -> bool:
    """Whether any way failed, contradicted another, or was answered by somebody else."""
    asked = [s for s in steps if isinstance(s, Dns) and s.role is not Role.NEUTRAL]
    odd = [s for s in asked if s.failure is not None or forged_among(s)]
    own = [s for s in asked if s.role is Role.TARGET and s.addresses]
    untouched = {a for s in own if s.transport in _ENCRYPTED for a in s.addresses}
    apart = [s for s in own if untouched and not agree(s.addresses, untouched)]
    given = {a for s in own if s.resolver == "system" for a in s.addresses}
    proven = {s.address for s in steps if isinstance(s, Tls) and s.trust and s.trust.valid}
    return bool(odd or apart) or not given & proven


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Ask by every way twice more."""
    trail = StepLog(seen)
    site = Site(task.url, 0)
    for try_ in (2, 3):
        await _every_way(task, net, trail, site, try_=try_)
    await _prove(task, net, trail, site, try_=2)
    return trail.steps


# --- ways -------------------------------------------------------------------------------------


def ways(resolvers: Sequence[Resolver]) -> list[Resolver]:
    """Every way to ask these resolvers, and those of port 53 over TCP and 853 over TLS besides."""
    found: list[Resolver] = []
    for one in resolvers:
        found.append(one)
        if one.transport == "udp" and one.label != "system":
            found.append(replace(one, transport="tcp"))
        elif one.transport == "doh" and one.name is not None:
            found.append(replace(one, transport="dot", port=DOT))
    return found


async def _every_way(task: Task, net: Net, trail: StepLog, site: Site, *, try_: int) -> None:
    harmless = task.harmless[task.seed % len(task.harmless)]
    looks = await net.together(
        [_one_way(net, way, harmless, site.host) for way in ways(net.resolvers)]
    )
    _place(trail, (look for both in looks for look in both), try_=try_)


async def _one_way(
    net: Net, way: Resolver, harmless: str, host: str
) -> tuple[tuple[Role, Dns], tuple[Role, Dns]]:
    first = await net.dns(DnsQuery(harmless, way))
    return (Role.HARMLESS, first), (Role.TARGET, await net.dns(DnsQuery(host, way)))


def _place(trail: StepLog, looks: Iterable[tuple[Role, Step]], *, try_: int = 1) -> None:
    """In the order in which they began."""
    for role, step in sorted(looks, key=lambda look: look[1].at):
        trail.add(step, role=role, try_=try_)


# --- in whose place ---------------------------------------------------------------------------


async def _nobody(task: Task, net: Net, trail: StepLog) -> None:
    name = task.harmless[task.seed % len(task.harmless)]
    asks = [net.dns(DnsQuery(name, Resolver(a, a))) for a in unused_addresses() if net.safe(a)]
    _place(trail, [(Role.NEUTRAL, step) for step in await net.together(asks)])


async def _who_answers(net: Net, trail: StepLog) -> None:
    """Whether public resolvers' questions are asked on by the system's resolver.

    The answers may be the volunteer's own address, so they are compared here and not kept.
    """
    system, *public = net.resolvers
    plain = [one for one in public if one.transport == "udp"][:_ASKED_WHO]
    for name in whoami_names()[:1]:
        own = await net.dns(DnsQuery(name, system))
        for one in plain:
            secure = [r for r in public if r.transport == "doh" and r.address == one.address]
            pair = await net.together(
                [net.dns(DnsQuery(name, each)) for each in (one, *secure[:1])]
            )
            said = who([own, *pair]) if secure else "unknown"
            step = Ping(what=f"whoami {said}", address=one.address, port=one.port, at=pair[0].at)
            trail.add(step, role=Role.NEUTRAL)


def who(answers: Sequence[Dns]) -> str:
    """By whom a resolver is answered: `system`, `own`, `other` or `unknown`.

    Args:
        answers: What the system's resolver, this one in the clear and this one encrypted said.
    """
    system, plain, encrypted = (answer.addresses[:1] for answer in answers)
    if not system or not plain or not encrypted:
        return "unknown"
    if _near(system[0], encrypted[0], 16):
        return "unknown"  # the system's resolver hands on to this very operator
    if _near(plain[0], encrypted[0], 16):
        return "own"
    return "system" if _near(plain[0], system[0], 24) else "other"


def _near(one: str, other: str, bits: int) -> bool:
    """Two addresses are of one network; an operator's resolvers ask from many."""
    network = ipaddress.ip_network((one, bits if ":" not in one else 2 * bits), strict=False)
    return ipaddress.ip_address(other) in network


# --- where it leads ---------------------------------------------------------------------------


async def _prove(task: Task, net: Net, trail: StepLog, site: Site, *, try_: int) -> None:
    """Shake hands with what the system's resolver said, and with what others did.

    A certificate proves an address whoever gave it: where no encrypted resolver answers, one that
    a control or a resolver in the clear gave does as well.
    """
    asked = [s for s in trail.steps if isinstance(s, Dns) and s.role is Role.TARGET]
    system = [a for s in asked if s.resolver == "system" for a in s.addresses]
    secure = [a for s in asked if s.transport in _ENCRYPTED for a in s.addresses]
    plain = [a for s in asked if s.resolver != "system" for a in s.addresses]
    others = dict.fromkeys(secure or [*_told_elsewhere(task, site), *plain])
    chosen = dict.fromkeys([*system[:1], *[a for a in others if a not in system][:1]])
    port = site.port if site.secure else 443
    for address in [a for a in chosen if net.safe(a)]:
        trail.chain(await net.tls(TlsHandshake(address, port, site.host)), try_=try_)


def _told_elsewhere(task: Task, site: Site) -> list[str]:
    """What controls were told; the second look knows more of them than the first."""
    told = [s for one in task.controls for s in one.steps if isinstance(s, Dns)]
    return [a for s in told if s.name == site.host for a in s.addresses if is_address(a)]


EXPERIMENT = Experiment("dns", 1, measure, confirm, wanted)
