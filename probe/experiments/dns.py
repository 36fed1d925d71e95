"""Ask for one name over every way there is, and find the ways that another resolver answers.

The ways: the machine's own resolver, public ones in the clear (UDP and TCP port 53), over TLS
(port 853) and over HTTPS. Over each way a harmless name is asked first, which tells a way that is
blocked for every name from one that is blocked for this name, and lets the answers' IP time to live
be compared. A query to an address where no resolver lives must stay without an answer. A handshake
with the addresses that were answered shows which of them are the site's.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from probe.compare import agree, forged_among, is_address
from probe.experiments.browse import UrlHop
from probe.experiments.interface import Experiment, Net, Resolver, Task
from probe.experiments.name_follow_ups import query_further
from probe.experiments.operations import DnsQuery, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import ENCRYPTED, Dns, Ping, Role, Step, Steps, Tls
from probe.reference_data import unused_addresses, whoami_names

DOT = 853
_WHOAMI_RESOLVERS = 2


async def measure(task: Task, net: Net) -> Steps:
    """Ask over every way once, and find out which resolver answers."""
    log = StepLog()
    hop = UrlHop(task.url)
    harmless = task.harmless_name
    if is_address(hop.host) or harmless is None:
        return log.steps
    await _every_way(net, log, harmless, hop.host, try_=1)
    unused = [Resolver(a, a) for a in unused_addresses() if net.safe(a)]
    answers = await net.together([net.dns(DnsQuery(harmless, one)) for one in unused])
    _record(log, [(Role.NEUTRAL, step) for step in answers])
    await _who_answers(net, log)
    await _verify_addresses(task, net, log, hop, try_=1)
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether any way failed or contradicted another, or no answer of the system's was proven."""
    asked = [s for s in steps if isinstance(s, Dns) and s.role is not Role.NEUTRAL]
    odd = [s for s in asked if s.failure is not None or forged_among(s)]
    own = [s for s in asked if s.role is Role.TARGET and s.addresses]
    encrypted = {a for s in own if s.transport in ENCRYPTED for a in s.addresses}
    apart = [s for s in own if encrypted and not agree(s.addresses, encrypted)]
    system = {a for s in own if s.resolver == "system" for a in s.addresses}
    proven = {s.address for s in steps if isinstance(s, Tls) and s.trust and s.trust.valid}
    return bool(odd or apart) or not system & proven


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Ask over every way twice more."""
    log = StepLog(seen)
    hop = UrlHop(task.url)
    for try_ in (2, 3):
        await _every_way(net, log, task.harmless_name or "", hop.host, try_=try_)
    await query_further(task, net, log, hop)
    await _verify_addresses(task, net, log, hop, try_=2)
    return log.steps


# --- ways -------------------------------------------------------------------------------------


def ways(resolvers: Sequence[Resolver]) -> list[Resolver]:
    """These resolvers, and besides them the plain ones over TCP and the encrypted ones over TLS."""
    found: list[Resolver] = []
    for one in resolvers:
        found.append(one)
        if one.transport == "udp" and one.label != "system":
            found.append(replace(one, transport="tcp"))
        elif one.transport == "doh" and one.name is not None:
            found.append(replace(one, transport="dot", port=DOT))
    return found


async def _every_way(net: Net, log: StepLog, harmless: str, host: str, *, try_: int) -> None:
    pairs = await net.together([_one_way(net, way, harmless, host) for way in ways(net.resolvers)])
    _record(log, (step for pair in pairs for step in pair), try_=try_)


async def _one_way(
    net: Net, way: Resolver, harmless: str, host: str
) -> tuple[tuple[Role, Dns], tuple[Role, Dns]]:
    first = await net.dns(DnsQuery(harmless, way))
    return (Role.HARMLESS, first), (Role.TARGET, await net.dns(DnsQuery(host, way)))


def _record(log: StepLog, steps: Iterable[tuple[Role, Step]], *, try_: int = 1) -> None:
    """Add the steps in the order in which they began."""
    for role, step in sorted(steps, key=lambda one: one[1].at):
        log.add(step, role=role, try_=try_)


# --- which resolver answers -------------------------------------------------------------------


async def _who_answers(net: Net, log: StepLog) -> None:
    """Record whether queries to public resolvers are resolved by the system's resolver.

    The answers may be the user's own address, so they are compared here and not recorded.
    """
    system, *public = net.resolvers
    plain = [one for one in public if one.transport == "udp"][:_WHOAMI_RESOLVERS]
    for name in whoami_names()[:1]:
        own = await net.dns(DnsQuery(name, system))
        for one in plain:
            secure = [r for r in public if r.transport == "doh" and r.address == one.address]
            asked = (one, *secure[:1])
            pair = await net.together([net.dns(DnsQuery(name, each)) for each in asked])
            answer = who([own, *pair]) if secure else "unknown"
            step = Ping(what=f"whoami {answer}", address=one.address, port=one.port, at=pair[0].at)
            log.add(step, role=Role.NEUTRAL)


def who(answers: Sequence[Dns]) -> str:
    """Which resolver answers for another: `system`, `own`, `other` or `unknown`.

    Args:
        answers: Of the system's resolver, of this one in the clear, of this one encrypted.
    """
    system, plain, encrypted = (answer.addresses[:1] for answer in answers)
    if not system or not plain or not encrypted:
        return "unknown"
    if _near(system[0], encrypted[0], 16):
        return "unknown"  # the system's resolver forwards to this very operator
    if _near(plain[0], encrypted[0], 16):
        return "own"
    return "system" if _near(plain[0], system[0], 24) else "other"


def _near(one: str, other: str, bits: int) -> bool:
    """Two addresses are of one network; an operator's resolvers ask from many."""
    network = ipaddress.ip_network((one, bits if ":" not in one else 2 * bits), strict=False)
    return ipaddress.ip_address(other) in network


# --- which addresses are the site's -----------------------------------------------------------


async def _verify_addresses(task: Task, net: Net, log: StepLog, hop: UrlHop, *, try_: int) -> None:
    """Shake hands with an address of the system's resolver, and with one of other resolvers.

    A certificate proves an address wherever it came from: where no encrypted resolver answers, one
    that a control or a resolver in the clear gave does as well.
    """
    asked = [s for s in log.steps if isinstance(s, Dns) and s.role is Role.TARGET]
    system = [a for s in asked if s.resolver == "system" for a in s.addresses]
    secure = [a for s in asked if s.transport in ENCRYPTED for a in s.addresses]
    plain = [a for s in asked if s.resolver != "system" for a in s.addresses]
    # The confirmation knows more controls than the measurement.
    queries = [s for one in task.controls for s in one.steps if isinstance(s, Dns)]
    answered = [a for s in queries if s.name == hop.host for a in s.addresses if is_address(a)]
    others = dict.fromkeys(secure or [*answered, *plain])
    chosen = dict.fromkeys([*system[:1], *[a for a in others if a not in system][:1]])
    for address in [a for a in chosen if net.safe(a)]:
        log.chain(await net.tls(TlsHandshake(address, hop.tls_port, hop.host)), try_=try_)


EXPERIMENT = Experiment("dns", 1, measure, confirm, needs_confirmation)
