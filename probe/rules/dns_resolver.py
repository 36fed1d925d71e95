"""Rules on what a resolver says about its own answer, address families, and targets without a name.

A resolver that answers "Censored" (RFC 8914) needs no comparison: it was made to. What it blocks or
filters for its own customers is another matter, and DNSSEC failures are the site's.
"""

from probe.analysis.dns_answers import (
    BLOCKED,
    CENSORED,
    DENIED,
    NEARBY_WEIGHT,
    Family,
    at_home,
    host_at,
    said,
    without_address,
    words,
)
from probe.analysis.evidence import Evidence
from probe.compare import is_address, is_bogon
from probe.failure import Failure
from probe.model import Dns, Mechanism, Outcome, Role, Tcp
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = (*WEB, "dns")


def _says(e: Evidence, hop: int, codes: frozenset[int]) -> list[Dns]:
    """The system resolver's answers, if each of at least two carries one of these codes."""
    asked = [s for s in e.system(hop) if s.type == "A" and s.replies]
    own = [s for s in asked if said([s]) & codes]
    led_there = e.system_addresses(hop) & e.proven_addresses(hop)
    return own if len(own) > 1 and len(own) == len(asked) and not led_there else []


def _how(steps: list[Dns]) -> Mechanism:
    """The mechanism by which the resolver does what it says."""
    last = steps[-1]
    if last.failure is not None:
        return DENIED.get(last.failure, Mechanism.DNS_REFUSED)
    bogus = all(map(is_bogon, last.addresses))
    return Mechanism.DNS_BOGON if bogus else Mechanism.DNS_WRONG_ADDRESS


@rule(
    "dns.resolver_says_censored",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the resolver itself says it of this name",
        InnocentExplanation.SERVER: "the resolver itself says that it was made to",
        InnocentExplanation.CHANCE: "each of at least two answers says it",
    },
)
def resolver_says_censored(e: Evidence) -> Finding | None:
    """The system resolver itself says that it was made to censor this name."""
    for hop in range(e.end + 1):
        asked = _says(e, hop, CENSORED)
        if asked:
            reason = f"The system resolver itself says that this name is censored{words(asked)}."
            chosen = any(s.public for s in asked)  # of the order, it says no more than that
            return Finding(tuple(asked), 0.7 if chosen else 0.97, (_how(asked),), reason)
    return None


@rule(
    "dns.resolver_says_blocked",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the resolver itself says it of this name",
        InnocentExplanation.SERVER: "the resolver itself says that the answer is its own",
        InnocentExplanation.CHANCE: "each of at least two answers says it",
    },
)
def resolver_says_blocked(e: Evidence) -> Finding | None:
    """The system resolver itself says that it blocks this name."""
    for hop in range(e.end + 1):
        asked = _says(e, hop, BLOCKED)
        if asked and not at_home(e, hop, asked):
            reason = f"The system resolver itself says that it blocks this name{words(asked)}."
            return Finding(tuple(asked), NEARBY_WEIGHT, (_how(asked),), reason)
    return None


@rule("dns.first_resolver_passed_over", Tier.NOTE, None)
def first_resolver_passed_over(e: Evidence) -> Finding | None:
    """The first of the machine's resolvers failed, and the next one answered."""
    steps = [s for s in e.all(Dns) if s.passed_over]
    if not steps:
        return None
    failures = ", ".join(dict.fromkeys(f for s in steps for f in s.passed_over))
    reason = f"The machine's first resolver failed ({failures}); the next one answered."
    return Finding(tuple(steps), 0.0, reason=reason)


@rule("dns.perhaps_a_filter_at_home", Tier.NOTE, None)
def perhaps_a_filter_at_home(e: Evidence) -> Finding | None:
    """The answer came from a resolver of the home network: a filter there cannot be excluded."""
    for hop in range(e.end + 1):
        asked = [s for s in e.system(hop) if s.type == "A"]
        odd = [s for s in asked if s.failure is not None or all(map(is_bogon, s.addresses))]
        if asked and len(odd) == len(asked) and at_home(e, hop, asked):
            return Finding(tuple(asked), 0.0)
    return None


@rule("dns.one_family_denied", Tier.NOTE, None)
def one_family_denied(e: Evidence) -> Finding | None:
    """The system resolver gives addresses of one family, and denies those of the other."""
    for hop in range(e.end + 1):
        for family in ("A", "AAAA"):
            asked = _denied_alone(e, hop, family)
            if asked:
                failure = asked[-1].failure
                version = 4 if family == "A" else 6
                reason = (
                    f"The system resolver denies the IPv{version} addresses of this name alone."
                )
                how = (DENIED[failure],) if failure is not None and failure in DENIED else ()
                return Finding(tuple(asked), 0.0, how, reason)
    return None


def _denied_alone(e: Evidence, hop: int, family: Family) -> list[Dns]:
    """Denials of one family, which others have and which this resolver gives for other names."""
    asked = without_address(e, hop, family)
    if not asked or any(s.failure in {None, Failure.TIMEOUT} for s in asked):
        return []
    host = host_at(e, hop)
    other = any(s.addresses for s in e.system(hop) if s.type != family)
    elsewhere = [s for s in (*e.encrypted(hop), *e.control(Dns)) if s.name == host]
    known = any(s.addresses for s in elsewhere if s.type == family)
    named = [s for s in e.all(Dns, role=Role.REFERENCE) if s.type == family]
    usual = any(s.addresses for s in named if s.resolver == "system")
    return asked if other and known and usual else []


@rule("dns.only_ipv6_addresses", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def only_ipv6_addresses(e: Evidence) -> Finding | None:
    """The site has IPv6 addresses alone, and this connection has no IPv6."""
    hop = e.end
    tried = [s for s in e.steps if isinstance(s, Tcp) and ":" in s.address]
    if e.line.ipv6 or not all(s.failure is not None and s.failure.is_unreachable for s in tried):
        return None
    found = [s for s in e.names(hop) if s.type == "AAAA" and s.addresses]
    others = [s for s in (*e.names(hop), *e.control(Dns)) if s.name == host_at(e, hop)]
    if not found or any(s.addresses for s in others if s.type == "A"):
        return None
    return Finding(tuple(found), 0.7)


@rule("dns.target_has_no_name", Tier.UNCLEAR, Outcome.INCONCLUSIVE, experiments=("dns", "sni"))
def target_has_no_name(e: Evidence) -> Finding | None:
    """The target is an IP address: it has no name to ask a resolver for, or to offer in TLS."""
    return Finding((), 0.9) if is_address(e.host) else None
