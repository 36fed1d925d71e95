"""Rules on DNS answers, compared with other resolvers' answers and with what an address can prove.

An address that proves the name by a trusted certificate is right, whichever resolver gave it. A
difference between resolvers alone proves nothing: large sites answer every resolver differently.
"""

import ipaddress

from probe.analysis.attempts import failing
from probe.analysis.dns_answers import (
    DENIED,
    NEARBY_WEIGHT,
    NO_ADDRESS,
    at_home,
    comparable,
    denied,
    proven_elsewhere,
)
from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.compare import (
    agree,
    forged_among,
    host_of,
    is_address,
    is_bogon,
    same_leaf,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Base, Dns, Http, Mechanism, Outcome, Role, Tcp, Tls
from probe.reference_data import unused_addresses
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = (*WEB, "dns")
_NEEDS_WORKING_RESOLVER = {
    Failure.TIMEOUT,
    Failure.DNS_SERVFAIL,
    Failure.DNS_REFUSED,
    Failure.DNS_MISBEHAVING,
    Failure.REFUSED,
}


def unreachable_by_design(address: str) -> bool:
    """Another host is never reached at this address, not even on a private network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local


def _resolver_works(e: Evidence, transport: str) -> bool:
    """The system resolver answers for other names, over this transport."""
    asked = (*e.all(Dns, role=Role.REFERENCE), *e.all(Dns, role=Role.HARMLESS))
    system = [s for s in asked if s.resolver == "system"]
    if system:
        answered = [s for s in system if s.failure is None or s.failure in NO_ADDRESS]
        return any(s.transport == transport for s in answered)
    return e.line.trusted_names > 0


@rule(
    "dns.name_denied_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.RESOLVER: "the resolver answers for the names of reference sites",
        InnocentExplanation.SERVER: "a certificate, a control or two resolvers show an address",
        InnocentExplanation.CHANCE: "at least two queries, each without an address",
    },
)
def name_denied_here(e: Evidence) -> Finding | None:
    """The system resolver gives no address for this name, which has a working address elsewhere."""
    references = [s for s in e.all(Dns, role=Role.REFERENCE) if s.resolver == "system"]
    if references and all(s.failure is not None for s in references):
        return None  # it denies the names of working sites too
    for hop in range(e.end + 1):
        asked = denied(e, hop)
        if not asked:
            continue
        failures = {s.failure for s in asked}
        if failures & _NEEDS_WORKING_RESOLVER and not _resolver_works(e, asked[-1].transport):
            continue
        confidence, shown = proven_elsewhere(e, hop, comparable(e, hop, asked))
        confidence *= NEARBY_WEIGHT if at_home(e, hop, asked) else 1.0
        # An answer received once weighs more than a timeout, which may be a lost packet.
        answers = [s.failure for s in asked if s.failure is not Failure.TIMEOUT]
        failure = answers[-1] if answers else Failure.TIMEOUT
        if confidence and failure is not None and failure in DENIED:
            return Finding((*asked, *shown), confidence, mechanisms=(DENIED[failure],))
    return None


@rule(
    "dns.bogon_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_BOGON,
    excludes={
        InnocentExplanation.RESOLVER: "the address is not given for the reference sites",
        InnocentExplanation.SERVER: "others give a public address that is shown to work",
        InnocentExplanation.CHANCE: "every answer of the resolver is such an address",
    },
)
def bogon_here(e: Evidence) -> Finding | None:
    """The system resolver gives an address that is never public; others give a real address."""
    for hop in range(e.end + 1):
        given = e.system_addresses(hop)
        if is_address(host_of(e.hop_urls.get(hop, ""))) or not given:
            continue
        if not all(map(is_bogon, given)) or given & e.proven_addresses(hop):
            continue
        others = e.other_addresses(hop)
        if all(map(is_bogon, others)) and not all(map(unreachable_by_design, given)):
            continue  # in a laboratory, private addresses are ordinary ones
        if not others or given & others:
            continue
        confidence, shown = proven_elsewhere(e, hop)
        confidence *= NEARBY_WEIGHT if at_home(e, hop, e.system(hop)) else 1.0
        if confidence:
            return Finding((*e.system(hop), *shown), confidence)
    return None


@rule(
    "dns.wrong_address_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_WRONG_ADDRESS,
    excludes={
        InnocentExplanation.RESOLVER: "the address is not given for the reference sites",
        InnocentExplanation.SERVER: "the address shows another host, and another is the site's",
        InnocentExplanation.CHANCE: "every answer of the resolver leads there",
    },
)
def wrong_address_here(e: Evidence) -> Finding | None:
    """The system resolver gives an address that is not the site's; others give one that is."""
    for hop in range(e.end + 1):
        given, proven = e.system_addresses(hop), e.proven_addresses(hop)
        others = proven or e.other_addresses(hop)
        if not given or not others or given & others:
            continue
        if all(map(is_bogon, given)) and (not all(map(is_bogon, others)) or not e.record.lab):
            continue  # that is `dns.bogon`
        # An address that proved the name to a control is the site's, even if it fails from here.
        host = host_of(e.hop_urls.get(hop, ""))
        shaken = [s for s in e.control(Tls) if s.sni == host and s.address in given]
        if any(s.trust is not None and s.trust.valid for s in shaken):
            continue
        confidence, shown = proven_elsewhere(e, hop)
        wrong = _shown_wrong(e, hop, given) if confidence else None
        if wrong:
            at_most, steps = wrong
            return Finding((*e.system(hop), *steps, *shown), min(confidence, at_most))
    return None


@rule(
    "dns.dead_address_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_WRONG_ADDRESS,
    excludes={
        InnocentExplanation.SERVER: "another address of the site works from here",
        InnocentExplanation.CHANCE: "at least two attempts, and other servers answer around them",
    },
)
def dead_address_here(e: Evidence) -> Finding | None:
    """Nothing answers at the system resolver's address; the site works at another, from here."""
    for hop in range(e.end + 1):
        given, proven = e.system_addresses(hop), e.proven_addresses(hop)
        if not given or not proven or given & (proven | e.other_addresses(hop)):
            continue
        if all(map(is_bogon, given)) and not e.record.lab:
            continue  # that is `dns.bogon`
        tried = [s for s in e.connections(hop) if s.address in given]
        shaken = [s for s in e.handshakes(hop) if s.address in given]
        dead: list[Tcp | Tls] = [*failing(tried), *failing(shaken)]
        silent = bool(tried) and not any(s.answered for s in shaken)
        if len(dead) < 2 or not silent or any(s.failure is None for s in shaken):
            continue
        if e.alive_around(max(dead, key=lambda s: s.at)):
            return Finding((*e.system(hop), *dead[-2:], *_shown(e, hop, proven)), 0.85)
    return None


def _shown(e: Evidence, hop: int, proven: set[str]) -> tuple[Base, ...]:
    return tuple(s for s in e.handshakes(hop) if s.address in proven)[-1:]


def _shown_wrong(e: Evidence, hop: int, given: set[str]) -> tuple[float, tuple[Base, ...]] | None:
    """The proof that none of these addresses is the site's, which needs more than silence."""
    shaken = [s for s in e.handshakes(hop) if s.address in given]
    wrong = [s for s in shaken if s.trust is not None and not s.trust.named]
    if wrong and any(same_leaf(one, s) for one in wrong for s in _at_others(e, hop, given)):
        return (
            None  # this certificate comes at every address of the name: it is no resolver's doing
        )
    if wrong and not any(s.trust and (s.trust.valid or s.trust.named) for s in shaken):
        return 0.95, tuple(wrong[-1:])
    pages = [s for s in e.pages(hop) if s.address in given and s.failure is None]
    if pages and not any(p.proven for p in pages) and _differs_from_others(e, hop, pages):
        return 0.9, tuple(pages[-1:])
    if _fixed_elsewhere(e, hop) and given_for_others(e, hop, given):
        answered = any(s.answered for s in shaken)
        answered |= any(s.bytes_in for s in e.pages(hop) if s.address in given)
        dead = [s for s in e.connections(hop) if s.address in given]
        return (0.85, tuple(dead[-1:])) if dead and not answered else None
    return None


def _at_others(e: Evidence, hop: int, given: set[str]) -> list[Tls]:
    """Handshakes at other addresses that showed a certificate for another name, too."""
    others = [s for s in e.handshakes(hop) if s.address not in given]
    return [s for s in others if s.trust is not None and not s.trust.named]


def given_for_others(e: Evidence, hop: int, given: set[str]) -> bool:
    """Public resolvers seem to give this address in the clear, and give another one encrypted.

    So it is not these resolvers' answer. Where the provider's resolver answers all queries, also
    those to addresses without a resolver, it may be its own node of a content network.
    """
    unused = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.resolver in unused_addresses()]
    if not given or not unused or any(s.replies for s in unused) or e.line.hijacked_resolvers:
        return False
    asked = [s for s in e.others(hop) if s.type == "A" and s.addresses]
    plain = {s.resolver for s in asked if s.transport == "udp" and agree(s.addresses, given)}
    secure = {s.resolver for s in asked if s.transport in {"doh", "dot"}}
    return len(plain) > 1 and bool(plain & secure)


def _differs_from_others(e: Evidence, hop: int, pages: list[Http]) -> bool:
    seen = {p.address for p in pages}
    here = [p for p in e.pages(hop) if p.address not in seen and p.failure is None]
    there = [p for p in e.control_pages(hop) if p.failure is None]
    good = [p for p in here or there if p.status is not None]
    return bool(good) and not any(similar_pages(p, q) for p in pages for q in (*good, *there))


def _fixed_elsewhere(e: Evidence, hop: int) -> bool:
    """All other sources gave the same addresses, so the site's answers do not depend on the asker.

    That needs three sources, a control or an encrypted resolver among them. Then an address that
    only the system resolver gives, and where nothing answers, is not a server of the site.
    """
    given = e.system_addresses(hop)
    honest = [s for s in e.others(hop) if s.addresses and not agree(s.addresses, given)]
    control = [s for s in e.control(Dns, hop) if s.addresses]
    answers = {frozenset(s.addresses) for s in (*honest, *control) if s.type == "A"}
    sources = {(s.resolver, s.transport == "udp") for s in honest} | {
        ("control", False) for _ in control
    }
    encrypted = any(s.transport in {"doh", "dot"} for s in honest)
    return len(answers) == 1 and len(sources) >= 3 and (bool(control) or encrypted)


@rule(
    "dns.injected_answer_wins",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_INJECTED,
    excludes={
        InnocentExplanation.RESOLVER: "one query got two contradicting answers",
        InnocentExplanation.SERVER: "the later answer leads to the site",
        InnocentExplanation.CHANCE: "both answers have the query's id and port",
    },
)
def injected_answer_wins(e: Evidence) -> Finding | None:
    """One query got two contradicting answers, and the first of them does not lead to the site."""
    for hop in range(e.end + 1):
        for step in e.system(hop):
            if not (forged_among(step) or _always_these_two(e, hop, step)):
                continue
            first = set(step.replies[0].answers)
            later = {a for r in step.replies[1:] for a in r.answers}
            if first & e.proven_addresses(hop) or not later - first:
                continue
            confidence, shown = proven_elsewhere(e, hop)
            if later & e.proven_addresses(hop):
                confidence = 0.97
            if confidence and not any(_works_at(e, hop, address) for address in first):
                return Finding((step, *shown), confidence)
    return None


def _always_these_two(e: Evidence, hop: int, step: Dns) -> bool:
    """Every query got the same two answers in the same order, and the later one led to the site.

    A resolver that rotates its answers would not always begin with the dead one.
    """
    return len(step.replies) > 1 and _always_two(e, hop, step.type)


@once
def _always_two(e: Evidence, hop: int, type_: str) -> bool:
    asked = [s for s in e.system(hop) if s.type == type_]
    answers = {tuple(frozenset(r.answers) for r in s.replies) for s in asked}
    if len(asked) < 2 or len(answers) != 1:
        return False
    first, *later = next(iter(answers))
    real = {address for answers in later for address in answers}
    return bool(first) and not first & real and bool(real & e.proven_addresses(hop))


@once
def _works_at(e: Evidence, hop: int, address: str) -> bool:
    there = [p for p in e.control_pages(hop) if p.failure is None]
    mine = [p for p in e.pages(hop) if p.address == address and p.failure is None]
    return any(p.proven or any(similar_pages(p, q) for q in there) for p in mine)


@rule("dns.two_answers", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def two_answers(e: Evidence) -> Finding | None:
    """One query got two contradicting answers: an in-path or on-path device answered too."""
    steps = tuple(s for s in e.all(Dns) if forged_among(s))
    return Finding(steps, 0.0) if steps else None


@rule("dns.public_resolver_answered_by_another", Tier.NOTE, None)
def public_resolver_answered_by_another(e: Evidence) -> Finding | None:
    """A public resolver's unencrypted answer differs from its encrypted or proven answer."""
    for hop in range(e.end + 1):
        truth = e.proven_addresses(hop) | e.control_addresses(hop)
        if not truth:
            continue
        for step in e.others(hop):
            mechanism = _tampered(e, step, hop, truth)
            if mechanism is not None:
                return Finding((step,), 0.0, mechanisms=(mechanism,))
    return None


@once
def _failures_of(e: Evidence, hop: int, resolver: str) -> set[Failure | None]:
    """How a public resolver failed on the name over UDP; None where it did not."""
    asked = [s for s in e.others(hop) if s.resolver == resolver and s.type == "A"]
    return {s.failure for s in asked if s.transport == "udp"}


@once
def _encrypted_of(e: Evidence, hop: int, resolver: str) -> set[str]:
    """The addresses that a public resolver gave for the name over an encrypted channel."""
    asked = [s for s in e.others(hop) if s.resolver == resolver and s.type == "A"]
    return {a for s in asked if s.transport in {"doh", "dot"} for a in s.addresses}


def _tampered(e: Evidence, step: Dns, hop: int, truth: set[str]) -> Mechanism | None:
    if step.transport != "udp" or step.type != "A" or not step.replies:
        return None
    failure = step.failure
    if failure in {Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER, Failure.DNS_REFUSED} and failure:
        if failure is Failure.DNS_NO_ANSWER and all(":" in address for address in truth):
            return None  # the name has IPv6 addresses alone
        return DENIED[failure] if _failures_of(e, hop, step.resolver) == {failure} else None
    given = set(step.addresses)
    if given and not given & truth and all(map(is_bogon, given)) and not e.record.lab:
        return Mechanism.DNS_BOGON
    encrypted = _encrypted_of(e, hop, step.resolver)
    if given and encrypted and not given & encrypted and not given & truth:
        shaken = [s for s in e.handshakes(hop) if s.address in given and s.trust is not None]
        wrong = any(s.trust is not None and not s.trust.named for s in shaken)
        return Mechanism.DNS_WRONG_ADDRESS if wrong else None
    return None
