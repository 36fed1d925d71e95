"""Rules on names that do not exist, or lead nowhere, for every resolver.

A dead name that the system resolver answers is on a list, unless it answers every dead name.
"""

from probe.analysis.dns_answers import (
    CENSORED,
    DNSSEC,
    NO_ADDRESS,
    STALE,
    control_answers,
    denied,
    honest,
    host_at,
    real,
    said,
)
from probe.analysis.evidence import Evidence
from probe.compare import is_address, is_bogon, prefix_of
from probe.failure import Failure
from probe.model import Dns, Mechanism, Outcome, Tcp
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule
from probe.rules.dns import unreachable_by_design

EXPERIMENTS = (*WEB, "dns")


@rule("dns.name_dead_everywhere", Tier.CLEARED, Outcome.DOWN)
def name_dead_everywhere(e: Evidence) -> Finding | None:
    """The name has no address anywhere: it fails here and on an open network in the same way."""
    hop = e.end
    asked = denied(e, hop)
    if not asked or real(e, hop) or said(asked) & CENSORED or not _both_families(e, hop, asked):
        return None
    mine = {s.failure for s in asked}
    there = control_answers(e, host_at(e, hop))
    if there and all(_same_kind(s.failure, mine) for s in there):
        return Finding(tuple(asked), 0.95 * e.control_weight)
    encrypted = honest(s for s in e.encrypted(hop) if s.type == "A")
    if mine <= NO_ADDRESS and encrypted and all(_same_kind(s.failure, mine) for s in encrypted):
        return Finding((*asked, *encrypted), 0.9)
    return None


def _both_families(e: Evidence, hop: int, asked: list[Dns]) -> bool:
    """Where only the record is denied and not the name: IPv6 addresses were asked for as well."""
    if any(s.failure is not Failure.DNS_NO_ANSWER for s in asked):
        return True
    host = host_at(e, hop)
    controls = control_answers(e, host, "AAAA")
    return any(s.type == "AAAA" for s in e.names(hop)) or bool(controls)


def _same_kind(failure: Failure | None, mine: set[Failure | None]) -> bool:
    if failure is None:
        return False
    return failure in mine or (failure in NO_ADDRESS and bool(mine & NO_ADDRESS))


@rule("dns.signatures_fail_everywhere", Tier.CLEARED, Outcome.DOWN)
def signatures_fail_everywhere(e: Evidence) -> Finding | None:
    """Resolvers that check DNSSEC signatures reject the site's, here and everywhere else."""
    hop = e.end
    asked = denied(e, hop)
    encrypted = [s for s in e.encrypted(hop) if s.type == "A"]
    if not asked or not encrypted or {s.failure for s in asked} != {Failure.DNS_SERVFAIL}:
        return None
    if any(s.failure is not Failure.DNS_SERVFAIL for s in encrypted):
        return None
    return Finding((*asked, *encrypted), 0.9) if said(encrypted) & DNSSEC else None


def _answered_here_only(e: Evidence, hop: int) -> list[Dns]:
    """Answers that the name does not exist, of at least two sources, where the system gives one."""
    given = e.system_addresses(hop)
    if not given or is_address(e.end_host) or e.proven_addresses(hop):
        return []
    encrypted = [s for s in e.encrypted(hop) if s.type == "A"]
    asked = [*control_answers(e, host_at(e, hop)), *encrypted]
    nowhere = [s for s in honest(asked) if s.failure in NO_ADDRESS]
    return nowhere if len(nowhere) > 1 and len(nowhere) == len(asked) else []


def _as_for_dead_names(e: Evidence, hop: int) -> bool:
    """The address is the one that names which do not exist get, or beside it."""
    usual = {_network(address) for address in e.line.nxdomain_addresses} - {""}
    return bool(usual & {_network(address) for address in e.system_addresses(hop)})


def _network(address: str) -> str:
    return prefix_of(address, ipv4=24, ipv6=64)


@rule("dns.dead_names_answered_here", Tier.PROVEN, Outcome.DOWN, Mechanism.DNS_WRONG_ADDRESS)
def dead_names_answered_here(e: Evidence) -> Finding | None:
    """The name does not exist, and the system resolver gives every such name this address."""
    nowhere = _answered_here_only(e, e.end)
    if not nowhere or not e.line.nxdomain_answered or not _as_for_dead_names(e, e.end):
        return None
    return Finding((*e.system(e.end), *e.encrypted(e.end)), 0.9)


@rule(
    "dns.dead_name_forged_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_WRONG_ADDRESS,
    excludes={
        InnocentExplanation.RESOLVER: "it says of a random name that the name does not exist",
        InnocentExplanation.SERVER: "at least two other sources say that the name does not exist",
        InnocentExplanation.CHANCE: "at least two queries, each with such an address",
    },
)
def dead_name_forged_here(e: Evidence) -> Finding | None:
    """The name does not exist, and the system resolver gives this name alone an address."""
    hop = e.end
    nowhere = _answered_here_only(e, hop)
    if e.line.nxdomain_answered is not False or any(
        s.failure is not Failure.DNS_NXDOMAIN for s in nowhere
    ):
        return None
    asked = [s for s in e.system(hop) if s.type == "A"]
    if not nowhere or len(asked) < 2 or any(not s.addresses for s in asked) or said(asked) & STALE:
        return None
    given = e.system_addresses(hop)
    if not e.record.lab and any(is_bogon(a) and not unreachable_by_design(a) for a in given):
        return None  # a name of the local network, as companies have them
    bogon = (Mechanism.DNS_BOGON,) if all(map(is_bogon, given)) and not e.record.lab else ()
    how = (*bogon, Mechanism.DNS_WRONG_ADDRESS)
    return Finding((*asked, *[s for s in nowhere if s.id]), 0.9, mechanisms=how)


@rule("dns.leads_nowhere_everywhere", Tier.CLEARED, Outcome.DOWN)
def leads_nowhere_everywhere(e: Evidence) -> Finding | None:
    """The name leads to an address that is never public, here and for every other resolver."""
    hop = e.end
    encrypted = {address for step in e.encrypted(hop) for address in step.addresses}
    given, others = e.system_addresses(hop), e.control_addresses(hop) | encrypted
    nowhere = unreachable_by_design if e.record.lab else is_bogon
    if not given or not all(map(nowhere, given)) or is_address(e.end_host):
        return None
    if not others or not all(map(nowhere, others)) or not given & others:
        return None
    worked = any(s.failure is None for s in (*e.connections(hop), *e.pages(hop)))
    worked = worked or any(s.failure is None for s in e.control(Tcp, hop))
    return None if worked else Finding(tuple(e.system(hop)), 0.9)
