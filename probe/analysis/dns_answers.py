"""What resolvers said about one name: denials by address family, and their own words for them.

"No A record" is not "no such name": a name may have addresses of one family alone. So a denial is
compared with addresses of its own family, unless it denies the name itself (NXDOMAIN).
"""

from collections.abc import Iterable
from typing import Final, Literal

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.compare import agree, host_of, is_bogon
from probe.failure import Failure
from probe.model import Base, Dns, Mechanism

Family = Literal["A", "AAAA"]

DENIED: Final = {
    Failure.DNS_NXDOMAIN: Mechanism.DNS_NXDOMAIN,
    Failure.DNS_NO_ANSWER: Mechanism.DNS_NODATA,
    Failure.DNS_SERVFAIL: Mechanism.DNS_SERVFAIL,
    Failure.DNS_REFUSED: Mechanism.DNS_REFUSED,
    Failure.DNS_MISBEHAVING: Mechanism.DNS_SERVFAIL,
    Failure.TIMEOUT: Mechanism.DNS_TIMEOUT,
    Failure.REFUSED: Mechanism.DNS_REFUSED,
}
NO_ADDRESS: Final = frozenset({Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER})

# Extended DNS Errors (RFC 8914, and its registry).
CENSORED: Final = frozenset({16})  # by an order from outside the resolver's operator
BLOCKED: Final = frozenset({4, 15})  # forged answer, blocked: the operator's own policy
REQUESTED: Final = frozenset({17, 18})  # filtered for this customer, or not a customer
DNSSEC: Final = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 25, 27})
STALE: Final = frozenset({3, 19})
POLICY: Final = CENSORED | BLOCKED | REQUESTED

# Where the machine's own network gives the answer, it may be a filter there.
NEARBY_WEIGHT: Final = 0.9


def said(steps: Iterable[Dns]) -> set[int]:
    """The codes of the Extended DNS Errors in the first reply to each query."""
    first = [step.replies[0].edns for step in steps if step.replies]
    return {error.code for edns in first if edns is not None for error in edns.errors}


def words(steps: Iterable[Dns]) -> str:
    """The resolver's own words, as the end of a sentence; empty if it had none."""
    first = [step.replies[0].edns for step in steps if step.replies]
    texts = [error.text for edns in first if edns is not None for error in edns.errors]
    return next((f": “{text}”" for text in texts if text), "")


@once
def without_address(e: Evidence, hop: int, family: Family = "A") -> list[Dns]:
    """The system resolver's queries of one family, if none of at least two gave an address.

    Two over one transport: where the resolver never answers over UDP it is asked over TCP later. A
    reply that was cut off denies nothing.
    """
    every = [s for s in e.system(hop) if s.type == family and not cut_off(s)]
    asked = [s for s in every if s.transport == every[-1].transport]
    if len(asked) < 2 or any(s.failure is None for s in e.system(hop) if s.type == family):
        return []
    return asked


def cut_off(step: Dns) -> bool:
    """Only a truncated reply came, and nothing in it answers the query."""
    first = step.replies[0] if step.replies else None
    return first is not None and first.truncated and not first.answers and not first.rcode


@once
def denied(e: Evidence, hop: int) -> list[Dns]:
    """The queries of the family that is denied, if the system resolver gave no address at all."""
    if any(s.failure is None or any(r.answers for r in s.replies) for s in e.system(hop)):
        return []
    ipv4, ipv6 = without_address(e, hop, "A"), without_address(e, hop, "AAAA")
    mine = {":" in address for address in real(e, hop)}
    return ipv6 if ipv6 and mine == {True} else ipv4


def _public(addresses: set[str]) -> set[str]:
    return {a for a in addresses if not is_bogon(a)}


@once
def real(e: Evidence, hop: int) -> set[str]:
    """Addresses from other sources that may be a server's; in a laboratory also private ones."""
    others = e.other_addresses(hop)
    return others if e.record.lab else _public(others)


def comparable(e: Evidence, hop: int, asked: list[Dns]) -> set[str]:
    """The real addresses that contradict these queries without an address.

    Of their own family; any, where the name itself is denied and no other resolver denies it so.
    """
    addresses = real(e, hop)
    own = {a for a in addresses if (":" in a) is (asked[-1].type == "AAAA")}
    if {s.failure for s in asked} != {Failure.DNS_NXDOMAIN}:
        return own
    there = [s for s in e.others(hop) if s.type == asked[-1].type]
    too = any(s.failure is Failure.DNS_NXDOMAIN for s in there if s.transport in {"doh", "dot"})
    return own if too else addresses


def proven_elsewhere(
    e: Evidence, hop: int, addresses: set[str] | None = None
) -> tuple[float, tuple[Base, ...]]:
    """The confidence that the name has a real address, and the steps that show it.

    The strongest proof is a certificate that proved the name from here, then a control that worked,
    then two public resolvers that agree, one of them over an encrypted channel.

    Args:
        e: The record.
        hop: Its hop.
        addresses: Those that count; all real ones by default.
    """
    return _proven(e, hop, frozenset(real(e, hop) if addresses is None else addresses))


@once
def _proven(e: Evidence, hop: int, found: frozenset[str]) -> tuple[float, tuple[Base, ...]]:
    if not found:
        return 0.0, ()
    shown = [s for s in e.handshakes(hop) if s.address in found and s.trust and s.trust.valid]
    if shown:
        return 0.97, tuple(shown[-1:])
    if _worked_for_controls(e, hop, found):
        return 0.93 * e.control_weight, ()
    encrypted = [s for s in e.encrypted(hop) if agree(s.addresses, found)]
    agreeing = {s.resolver for s in e.others(hop) if agree(s.addresses, found)}
    if encrypted and len(agreeing) > 1:
        return 0.85, tuple(encrypted[-1:])
    return 0.0, ()


def _worked_for_controls(e: Evidence, hop: int, found: frozenset[str]) -> bool:
    """A control got an answer from the site, over one of the families of these addresses."""
    families = {":" in address for address in found}
    answered = [s.address for s in e.control_handshakes(hop) if s.answered]
    pages = [s.address for s in e.control_pages(hop)]
    ends = [s.address for s in e.control_ends] if hop == e.end and e.control_works else []
    return any((":" in address) in families for address in (*answered, *pages, *ends))


def at_home(e: Evidence, hop: int, asked: Iterable[Dns]) -> bool:
    """The denial may be a filter's in the home network: only a resolver there was seen to deny.

    Where public resolvers asked in the clear deny the name too, it is the network's.
    """
    mine = list(asked)
    if not mine or not all(s.nearby for s in mine):
        return False
    failures = {s.failure for s in mine}
    plain = [s for s in e.others(hop) if s.transport == "udp" and s.replies]
    return not any(s.failure in failures if s.failure else forged_too(s, mine) for s in plain)


def forged_too(step: Dns, asked: Iterable[Dns]) -> bool:
    """The query got an address that these got as well."""
    return agree(step.addresses, {a for s in asked for a in s.addresses})


def control_answers(e: Evidence, host: str, family: Family = "A") -> list[Dns]:
    """The latest controls' queries, to resolvers that they could reach."""
    asked = [s for s in e.control(Dns, latest=True) if s.name == host and s.type == family]
    return [s for s in asked if s.replies or s.resolver == "system"]


def honest(steps: Iterable[Dns]) -> list[Dns]:
    """Those of an encrypted resolver that do not follow its own policy."""
    return [s for s in steps if not said([s]) & POLICY]


def host_at(e: Evidence, hop: int) -> str:
    """The host of a hop's URL."""
    return host_of(e.hop_urls.get(hop, ""))
