"""Queries that tell why the system's resolver did not simply give a working address.

Each is sent only where the answers so far leave something open, and all of them at once.
"""

from collections.abc import Awaitable, Sequence
from hashlib import sha256

from probe.compare import agree, host_of, is_address, is_bogon
from probe.experiments.browse import UrlHop
from probe.experiments.interface import Net, Resolver, Task
from probe.experiments.operations import DnsQuery
from probe.experiments.step_log import StepLog
from probe.explanations.failing_resolver import OWN_FAULTS
from probe.failure import Failure
from probe.model import ENCRYPTED, Dns, Role, Tls
from probe.reference_data import advertising_names, unused_addresses

# Silence is expected; the provider's resolver, which may answer, is near.
_SILENCE = 1.5
# Letters of a made-up name; no such name exists.
_INVENTED = 12
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
Ask = tuple[Role, Awaitable[Dns]]


async def query_further(task: Task, net: Net, log: StepLog, hop: UrlHop) -> None:
    """Send the queries that the answers for this host call for."""
    queries = [s for s in log.steps if isinstance(s, Dns) and s.name == hop.host]
    own = [s for s in queries if s.resolver == "system"]
    if not own or is_address(hop.host):
        return
    asks = [
        *_another_name(task, net, own),
        *_other_family(net, hop, own),
        *_advertising(net, own),
        *_where_no_resolver_is(task, net, log, queries),
        *_invented_name(task, net, log, hop, queries),
        *_whether_others_fail_too(task, net, queries),
    ]
    answers = await net.together([ask for _, ask in asks])
    for (role, _), answer in sorted(zip(asks, answers, strict=True), key=lambda one: one[1].at):
        log.add(answer, role=role, hop=hop.number if role is Role.TARGET else 0)


def _another_name(task: Task, net: Net, own: Sequence[Dns]) -> list[Ask]:
    """Another name of the system's resolver, in each family in which it failed for this one."""
    failed = dict.fromkeys(s.type for s in own if s.failure is not None)
    families = [type_ for type_ in failed if type_ == "A" or _has_known_ipv6(task, own)]
    reference = host_of(task.reference.url) if task.reference is not None else ""
    system = net.resolvers[0]
    if reference and not is_address(reference):
        return [
            (Role.REFERENCE, net.dns(DnsQuery(reference, system, type=type_))) for type_ in families
        ]
    if task.harmless and "A" in failed:
        return [(Role.HARMLESS, net.dns(DnsQuery(task.harmless[0], system)))]
    return []


def _has_known_ipv6(task: Task, own: Sequence[Dns]) -> bool:
    """A control got an IPv6 address for this name."""
    steps = [s for one in task.controls for s in one.steps if isinstance(s, Dns)]
    return any(":" in a for s in steps if s.name == own[0].name for a in s.addresses)


def _other_family(net: Net, hop: UrlHop, own: Sequence[Dns]) -> list[Ask]:
    """IPv6 addresses, where there are no IPv4 ones: "no A record" is not "no such name"."""
    ipv4 = [s for s in own if s.type == "A"]
    if not ipv4 or any(s.failure is not Failure.DNS_NO_ANSWER for s in ipv4):
        return []
    asked = any(s.type == "AAAA" for s in own)
    secure = [one for one in net.resolvers if one.transport in ENCRYPTED][:1]
    resolvers = [*([] if asked else net.resolvers[:1]), *secure]
    return [(Role.TARGET, net.dns(DnsQuery(hop.host, one, type="AAAA"))) for one in resolvers]


def _advertising(net: Net, own: Sequence[Dns]) -> list[Ask]:
    """A name that filters at home deny, where a resolver of the home network denies this one."""
    ipv4 = [s for s in own if s.type == "A" and s.nearby]
    denied = [s for s in ipv4 if s.failure is not None or all(map(is_bogon, s.addresses))]
    if not denied or len(denied) < len(ipv4):
        return []
    secure = [one for one in net.resolvers if one.transport in ENCRYPTED][:1]
    asked = [net.resolvers[0], *secure]
    return [
        (Role.NEUTRAL, net.dns(DnsQuery(name, one)))
        for name in advertising_names()
        for one in asked
    ]


def _where_no_resolver_is(task: Task, net: Net, log: StepLog, queries: Sequence[Dns]) -> list[Ask]:
    """An address without a resolver, where public resolvers seem to agree with a doubtful answer.

    If it answers, the provider's resolver answers all queries.
    """
    given = {a for s in queries if s.resolver == "system" for a in s.addresses}
    others = [s for s in queries if s.resolver != "system" and s.type == "A" and s.addresses]
    plain = [s for s in others if s.transport == "udp" and agree(s.addresses, given)]
    secure = [s for s in others if s.transport in ENCRYPTED]
    proven = {s.address for s in log.steps if isinstance(s, Tls) and s.trust and s.trust.valid}
    doubtful = given and not given & proven and secure and plain
    if not doubtful or any(agree(s.addresses, given) for s in secure) or not task.harmless:
        return []
    return _unused(task, net)


def _unused(task: Task, net: Net) -> list[Ask]:
    """A harmless name, asked of addresses without a resolver."""
    return [
        (Role.NEUTRAL, net.dns(DnsQuery(task.harmless[0], Resolver(a, a), limit=_SILENCE)))
        for a in unused_addresses()
        if net.safe(a)
    ]


def _invented_name(
    task: Task, net: Net, log: StepLog, hop: UrlHop, queries: Sequence[Dns]
) -> list[Ask]:
    """A made-up name below this one, where the system's resolver alone gives some address.

    A resolver that forges answers for a name mostly does so for all names below it, also for those
    that do not exist. An old answer, or the site's own other node, has none.
    """
    given = {a for s in queries if s.resolver == "system" for a in s.addresses}
    others = {a for s in queries if s.resolver != "system" for a in s.addresses}
    proven = {s.address for s in log.steps if isinstance(s, Tls) and s.trust and s.trust.valid}
    dead = any(s.failure is Failure.DNS_NXDOMAIN for s in queries if s.resolver != "system")
    if not given or not (others or dead) or given & (others | proven):
        return []
    digest = sha256(f"{task.seed} {hop.host}".encode()).hexdigest()
    label = digest[:_INVENTED].translate(_LETTERS)
    public = [one for one in net.resolvers[1:] if one.transport in ENCRYPTED] or net.resolvers[1:]
    return [
        (Role.NEUTRAL, net.dns(DnsQuery(f"{label}.{hop.host}", one)))
        for one in (net.resolvers[0], *public[:1])
    ]


def _whether_others_fail_too(task: Task, net: Net, queries: Sequence[Dns]) -> list[Ask]:
    """A harmless name of a public resolver that fails in the clear as the system's does.

    And of an address without a resolver: one resolver may answer in all resolvers' place.
    """
    own = [s for s in queries if s.resolver == "system"]
    failures = {s.failure for s in own}
    others = [s for s in queries if s.resolver != "system" and s.transport == "udp"]
    plain = {s.resolver for s in others if s.failure in failures}
    alike = [one for one in net.resolvers if one.label in plain and one.transport == "udp"]
    if not failures <= OWN_FAULTS or not alike or not task.harmless:
        return []
    asked = (Role.HARMLESS, net.dns(DnsQuery(task.harmless[0], alike[0])))
    return [asked, *_unused(task, net)]
