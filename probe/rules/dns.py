"""Rules on DNS answers, compared with other resolvers' answers and with what an address can prove.

An address that proves the name by a trusted certificate is right, whichever resolver gave it. A
difference between resolvers alone proves nothing: large sites answer every resolver differently.
"""

import ipaddress

from probe.analysis.evidence import Evidence
from probe.compare import agree, forged_among, host_of, is_address, is_bogon, similar_pages
from probe.failure import Failure
from probe.model import Base, Dns, Http, Mechanism, Outcome, Role, Tcp, Tls
from probe.rule import WEB, Explanation, Finding, Tier, rule

EXPERIMENTS = (*WEB, "dns")
DENIED = {
    Failure.DNS_NXDOMAIN: Mechanism.DNS_NXDOMAIN,
    Failure.DNS_NO_ANSWER: Mechanism.DNS_NODATA,
    Failure.DNS_SERVFAIL: Mechanism.DNS_SERVFAIL,
    Failure.DNS_REFUSED: Mechanism.DNS_REFUSED,
    Failure.DNS_MISBEHAVING: Mechanism.DNS_SERVFAIL,
    Failure.TIMEOUT: Mechanism.DNS_TIMEOUT,
    Failure.REFUSED: Mechanism.DNS_REFUSED,
}
NO_ADDRESS = {Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER}
_NEEDS_WORKING_RESOLVER = {
    Failure.TIMEOUT,
    Failure.DNS_SERVFAIL,
    Failure.DNS_REFUSED,
    Failure.DNS_MISBEHAVING,
    Failure.REFUSED,
}


def denied(e: Evidence, hop: int) -> list[Dns]:
    """The system resolver's queries, if none of at least two gave an address; else none.

    Two over one transport: where the resolver never answers over UDP it is asked over TCP later.
    """
    every = [s for s in e.system(hop) if s.type == "A"]
    asked = [s for s in every if s.transport == every[-1].transport]
    if len(asked) < 2 or any(s.failure is None for s in e.system(hop)):
        return []
    return asked


def _public(addresses: set[str]) -> set[str]:
    return {a for a in addresses if not is_bogon(a)}


def _real(e: Evidence, hop: int) -> set[str]:
    """Addresses from other sources that may be a server's; in a laboratory also private ones."""
    others = e.other_addresses(hop)
    return others if e.record.lab else _public(others)


def proven_elsewhere(e: Evidence, hop: int) -> tuple[float, tuple[Base, ...]]:
    """The confidence that the name has a real address, and the steps that show it.

    The strongest proof is a certificate that proved the name from here, then a control that worked,
    then two public resolvers that agree, one of them over an encrypted channel.
    """
    real = _real(e, hop)
    if not real:
        return 0.0, ()
    shown = [s for s in e.handshakes(hop) if s.address in real and s.trust and s.trust.valid]
    if shown:
        return 0.97, tuple(shown[-1:])
    there = [s for s in e.control_handshakes(hop) if s.answered]
    if there or e.control_agrees_at(hop):
        return 0.93 * e.control_weight, ()
    encrypted = [s for s in e.encrypted(hop) if s.addresses]
    agreeing = {s.resolver for s in e.others(hop) if agree(s.addresses, real)}
    if encrypted and len(agreeing) > 1:
        return 0.85, tuple(encrypted[-1:])
    return 0.0, ()


def _unreachable_by_design(address: str) -> bool:
    """Another host is never reached at this address, not even on a private network."""
    parsed = ipaddress.ip_address(address)
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
        Explanation.RESOLVER: "the resolver answers for the names of reference sites",
        Explanation.SERVER: "a certificate, a control or two agreeing resolvers show an address",
        Explanation.CHANCE: "at least two queries, each without an address",
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
        confidence, shown = proven_elsewhere(e, hop)
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
        Explanation.RESOLVER: "the address is not given for the reference sites",
        Explanation.SERVER: "others give a public address that is shown to work",
        Explanation.CHANCE: "every answer of the resolver is such an address",
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
        if not _public(others) and not all(map(_unreachable_by_design, given)):
            continue  # in a laboratory, private addresses are ordinary ones
        if not others or given & others:
            continue
        confidence, shown = proven_elsewhere(e, hop)
        if confidence:
            return Finding((*e.system(hop), *shown), confidence)
    return None


@rule(
    "dns.wrong_address_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_WRONG_ADDRESS,
    excludes={
        Explanation.RESOLVER: "the address is not given for the reference sites",
        Explanation.SERVER: "the address shows another host, and another address is the site's",
        Explanation.CHANCE: "every answer of the resolver leads there",
    },
)
def wrong_address_here(e: Evidence) -> Finding | None:
    """The system resolver gives an address that is not the site's; others give one that is."""
    for hop in range(e.end + 1):
        given, proven = e.system_addresses(hop), e.proven_addresses(hop)
        others = proven or e.other_addresses(hop)
        if not given or not others or given & others:
            continue
        if all(map(is_bogon, given)) and (_public(others) or not e.record.lab):
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


def _shown_wrong(e: Evidence, hop: int, given: set[str]) -> tuple[float, tuple[Base, ...]] | None:
    """The proof that none of these addresses is the site's, which needs more than silence."""
    shaken = [s for s in e.handshakes(hop) if s.address in given]
    wrong = [s for s in shaken if s.trust is not None and not s.trust.named]
    if wrong and not any(s.trust and (s.trust.valid or s.trust.named) for s in shaken):
        return 0.95, tuple(wrong[-1:])
    pages = [s for s in e.pages(hop) if s.address in given and s.failure is None]
    if pages and not any(p.proven for p in pages) and _differs_from_others(e, hop, pages):
        return 0.9, tuple(pages[-1:])
    if _fixed_elsewhere(e, hop):
        answered = any(s.answered for s in shaken)
        answered |= any(s.bytes_in for s in e.pages(hop) if s.address in given)
        dead = [s for s in e.connections(hop) if s.address in given]
        return (0.85, tuple(dead[-1:])) if dead and not answered else None
    return None


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
        Explanation.RESOLVER: "one query got two contradicting answers",
        Explanation.SERVER: "the later answer leads to the site",
        Explanation.CHANCE: "both answers have the query's id and port",
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
            if confidence and not _works_at(e, hop, first):
                return Finding((step, *shown), confidence)
    return None


def _always_these_two(e: Evidence, hop: int, step: Dns) -> bool:
    """Every query got the same two answers in the same order, and the later one led to the site.

    A resolver that rotates its answers would not always begin with the dead one.
    """
    asked = [s for s in e.system(hop) if s.type == step.type]
    answers = {tuple(frozenset(r.answers) for r in s.replies) for s in asked}
    if len(asked) < 2 or len(answers) != 1 or len(step.replies) < 2:
        return False
    first, *later = next(iter(answers))
    real = {address for answers in later for address in answers}
    return bool(first) and not first & real and bool(real & e.proven_addresses(hop))


def _works_at(e: Evidence, hop: int, addresses: set[str]) -> bool:
    there = [p for p in e.control_pages(hop) if p.failure is None]
    mine = [p for p in e.pages(hop) if p.address in addresses and p.failure is None]
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


def _tampered(e: Evidence, step: Dns, hop: int, truth: set[str]) -> Mechanism | None:
    if step.transport != "udp" or step.type != "A" or not step.replies:
        return None
    same = [s for s in e.others(hop) if s.resolver == step.resolver and s.type == "A"]
    failure = step.failure
    if failure in {Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER, Failure.DNS_REFUSED} and failure:
        steady = [s for s in same if s.transport == "udp"]
        return DENIED[failure] if all(s.failure is failure for s in steady) else None
    given = set(step.addresses)
    if given and not given & truth and all(map(is_bogon, given)) and not e.record.lab:
        return Mechanism.DNS_BOGON
    encrypted = [set(s.addresses) for s in same if s.transport in {"doh", "dot"} and s.addresses]
    if given and encrypted and not any(given & there for there in encrypted) and not given & truth:
        shaken = [s for s in e.handshakes(hop) if s.address in given and s.trust is not None]
        wrong = any(s.trust is not None and not s.trust.named for s in shaken)
        return Mechanism.DNS_WRONG_ADDRESS if wrong else None
    return None


@rule("dns.name_dead_everywhere", Tier.CLEARED, Outcome.DOWN)
def name_dead_everywhere(e: Evidence) -> Finding | None:
    """The name has no address anywhere: it fails here and on an open network in the same way."""
    hop = e.end
    asked = denied(e, hop)
    if not asked or _real(e, hop):
        return None
    mine = {s.failure for s in asked}
    host = host_of(e.hop_urls.get(hop, ""))
    there = _control_answers(e, host)
    if there and all(_same_kind(s.failure, mine) for s in there):
        return Finding(tuple(asked), 0.95 * e.control_weight)
    encrypted = e.encrypted(hop)
    if mine <= NO_ADDRESS and encrypted and all(_same_kind(s.failure, mine) for s in encrypted):
        return Finding((*asked, *encrypted), 0.9)
    return None


def _control_answers(e: Evidence, host: str) -> list[Dns]:
    """The latest controls' queries, to resolvers that they could reach."""
    asked = [s for s in e.control(Dns, latest=True) if s.name == host and s.type == "A"]
    return [s for s in asked if s.replies or s.resolver == "system"]


def _same_kind(failure: Failure | None, mine: set[Failure | None]) -> bool:
    if failure is None:
        return False
    return failure in mine or (failure in NO_ADDRESS and bool(mine & NO_ADDRESS))


@rule("dns.name_answered_here_only", Tier.PROVEN, Outcome.DOWN, Mechanism.DNS_WRONG_ADDRESS)
def name_answered_here_only(e: Evidence) -> Finding | None:
    """The name does not exist, and the system resolver gives an address for it."""
    hop = e.end
    if not e.system_addresses(hop) or is_address(e.end_host) or e.proven_addresses(hop):
        return None
    host = host_of(e.hop_urls.get(hop, ""))
    there = _control_answers(e, host)
    asked = [*there, *e.encrypted(hop)]
    nowhere = [s for s in asked if s.failure in NO_ADDRESS]
    if len(nowhere) < 2 or len(nowhere) < len(asked):
        return None
    return Finding((*e.system(hop), *e.encrypted(hop)), 0.9)


@rule("dns.leads_nowhere_everywhere", Tier.CLEARED, Outcome.DOWN)
def leads_nowhere_everywhere(e: Evidence) -> Finding | None:
    """The name leads to an address that is never public, here and for every other resolver."""
    hop = e.end
    encrypted = {address for step in e.encrypted(hop) for address in step.addresses}
    given, others = e.system_addresses(hop), e.control_addresses(hop) | encrypted
    nowhere = _unreachable_by_design if e.record.lab else is_bogon
    if not given or not all(map(nowhere, given)) or is_address(e.end_host):
        return None
    if not others or not all(map(nowhere, others)) or not given & others:
        return None
    worked = any(s.failure is None for s in (*e.connections(hop), *e.pages(hop)))
    worked = worked or any(s.failure is None for s in e.control(Tcp, hop))
    return None if worked else Finding(tuple(e.system(hop)), 0.9)
