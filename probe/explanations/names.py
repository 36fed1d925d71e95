"""Innocent explanations of what a resolver answers.

A resolver may filter for its customer, be a user's choice, know an outdated address, or fail to
reach the name's own servers. Its answer is the network's doing where these are excluded.
"""

from probe.analysis.blockpage_text import reads_like_an_order
from probe.analysis.dns_answers import (
    CENSORED,
    DNSSEC,
    NO_ADDRESS,
    REQUESTED,
    at_home,
    forged_too,
    said,
)
from probe.analysis.evidence import Evidence
from probe.compare import agree, forged_among, is_address, is_bogon, is_stock, similar_pages
from probe.explanations.failing_resolver import provider_answers_for_all
from probe.failure import Failure
from probe.model import Dns, Http, Role
from probe.reference_data import advertising_names
from probe.rule import Match
from probe.rules.dns import given_for_others, unreachable_by_design
from probe.rules.http_pages import known_page

_OF_FILTERS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - an answer, not an address to bind
_DENIALS = frozenset(
    {
        Failure.DNS_NXDOMAIN,
        Failure.DNS_NO_ANSWER,
        Failure.DNS_SERVFAIL,
        Failure.DNS_REFUSED,
        Failure.DNS_MISBEHAVING,
    }
)
_OF_AN_ADDRESS = frozenset(
    {"dns.wrong_address_here", "dns.dead_address_here", "dns.dead_name_forged_here"}
)
# Besides the system's own resolver, which may be one of the public ones.
_OTHER_RESOLVERS = 2


def resolver_does_it_to_all(e: Evidence, match: Match) -> str | None:
    """The system resolver answers for reference names, and not with the same addresses."""
    accused = [s for s in match.on_target(e) if isinstance(s, Dns) and s.resolver == "system"]
    asked = [s for s in e.all(Dns, role=Role.REFERENCE) if s.resolver == "system"]
    given = {address for step in accused for address in step.addresses}
    if not accused or not asked:
        return None
    if given and all(given & set(s.addresses) for s in asked):
        return "The system resolver gives the same address for the reference sites."
    if not given and all(s.failure is not None for s in asked):
        return "The system resolver gives no address for the reference sites either."
    return None


def signatures_fail(e: Evidence, match: Match) -> str | None:
    """The system resolver reports no DNSSEC failure (RFC 8914), which would be the site's own."""
    if said(_asked_of_system(e, match)) & DNSSEC:
        return "The system resolver reports that the DNSSEC signatures of the name do not hold."
    return None


def filter_was_asked_for(e: Evidence, match: Match) -> str | None:
    """The system resolver does not report that it filters for this customer (RFC 8914)."""
    codes = said(_asked_of_system(e, match))
    if codes & REQUESTED and not codes & CENSORED:
        return "The system resolver reports that it filters this name at its customer's request."
    return None


def filter_at_home(e: Evidence, match: Match) -> str | None:
    """The resolver of the home network does not answer as filters at home do."""
    asked = _asked_of_system(e, match)
    if not asked or not all(s.nearby for s in asked):
        return None
    names = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.name in advertising_names()]
    here = [s for s in names if s.resolver == "system"]
    form = {form for step in asked for form in _form(step)}
    if form and all(one.startswith("192.168.") for one in form):
        return "The resolver of the home network gives a home's own address: a router may do this."
    if any(form & _form(s) for s in here) and any(s.addresses for s in names if s not in here):
        return (
            "The resolver of the home network answers so for names of advertising, too: it is"
            " probably a filter at home."
        )
    inside = bool(form) and all(map(_is_private, form))
    if inside and at_home(e, asked[-1].hop, asked):
        return (
            "The resolver of the local network gives an address of a private network: a company's"
            " resolver may do this for its own names."
        )
    honest = any(not _form(s) for s in here)
    if form & _OF_FILTERS and not honest and at_home(e, asked[-1].hop, asked):
        return (
            "The resolver of the home network gives 0.0.0.0, as filters at home do: nothing shows"
            " that it is the provider's answer."
        )
    return None


def other_resolvers_deny(e: Evidence, match: Match) -> str | None:
    """No control's resolver and no other public resolver denies the name in the same way."""
    asked = _asked_of_system(e, match)
    denials = {(s.name, s.type, s.failure) for s in asked if s.failure in _DENIALS}
    if not denials or any(s.addresses for s in asked):
        return None
    there = [s for s in e.control(Dns) if s.replies]
    if any((s.name, s.type, s.failure) in denials for s in there):
        return "A control's resolver denies the name as well: the name's own servers may fail."
    public = [s for s in e.all(Dns) if s.resolver != "system" and s.replies]
    denying = [s for s in public if (s.name, s.type, s.failure) in denials]
    encrypted = [s for s in public if s.transport in {"doh", "dot"}]
    honest = {s.resolver for s in encrypted if s.addresses}
    # Where one resolver answers only through encryption, its answers in the clear are forged.
    forged = any(s.resolver in honest for s in denying)
    failing = not forged and any(s.failure is Failure.DNS_SERVFAIL for s in denying)
    if failing or any(s in encrypted for s in denying):
        return "A public resolver denies the name as well: the name's own servers may fail."
    return None


def _is_private(answer: str) -> bool:
    """The answer is an address that a local network may use for a server of its own."""
    return is_address(answer) and is_bogon(answer) and not unreachable_by_design(answer)


def _form(step: Dns) -> set[str]:
    """How a name was denied: by which failure, or by which address."""
    never = {a for a in step.addresses if is_bogon(a)}
    return never if step.failure is None else {str(step.failure)}


def _asked_of_system(e: Evidence, match: Match) -> list[Dns]:
    return [s for s in match.on_target(e) if isinstance(s, Dns) and s.resolver == "system"]


def public_resolvers_policy(e: Evidence, match: Match) -> str | None:
    """The system's resolver is no public one, or others are made to answer so as well."""
    asked = _asked_of_system(e, match)
    if not any(s.public for s in asked) or any(map(forged_among, asked)):
        return None
    if match.rule.id == "dns.resolver_says_censored" or provider_answers_for_all(e):
        return None
    plain = [s for s in e.all(Dns) if s.resolver != "system" and s.transport == "udp" and s.replies]
    failures = {s.failure for s in asked}
    alike = {
        s.resolver
        for s in plain
        if s.name == asked[-1].name and s.type == asked[-1].type
        if (s.failure in failures if s.failure is not None else forged_too(s, asked))
    }
    if len(alike) >= _OTHER_RESOLVERS:
        return None
    return (
        "The machine's resolver is a public one that the user chose, not the provider's: it may"
        " answer so by its operator's own policy."
    )


def perhaps_an_outdated_address(e: Evidence, match: Match) -> str | None:
    """A notice is at the address, or unrelated or invented names get it, or other resolvers."""
    asked = _asked_of_system(e, match)
    given = {address for s in asked for address in s.addresses}
    if match.rule.id not in _OF_AN_ADDRESS or not given:
        return None
    hop = asked[-1].hop
    if given & set(e.line.sinks) or all(map(unreachable_by_design, given)):
        return None
    if _for_invented_names(e, asked[-1].name, given) or given_for_others(e, hop, given):
        return None
    if _shows_a_notice(e, hop, given):
        return None
    return (
        "Nothing shows that this answer is forged: the address may be an outdated one, or a server"
        " of the site that is not set up for it."
    )


def _for_invented_names(e: Evidence, name: str, given: set[str]) -> bool:
    """The system's resolver gives the address for a made-up name below this one as well.

    Another resolver says that this name does not exist. So it is neither an old answer nor the
    site's own.
    """
    below = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.name.endswith(f".{name}")]
    here = [s for s in below if s.resolver == "system" and agree(s.addresses, given)]
    there = [s for s in below if s.resolver != "system" and s.failure in NO_ADDRESS]
    return bool(here) and bool(there) and not any(s.addresses for s in below if s not in here)


def _shows_a_notice(e: Evidence, hop: int, given: set[str]) -> bool:
    """A page about an order, which no other address of the name shows, came from there."""
    pages = [s for s in e.all(Http, hop=hop) if s.address in given and not s.proven]
    others = [s for s in e.all(Http, hop=hop) if s.address not in given]
    own = [s for s in (*others, *e.control_pages(hop), *e.control_ends) if s.failure is None]
    return any(
        (known_page(p) or (reads_like_an_order(p) and (p.status or 0) < 400 and not is_stock(p)))
        and not any(similar_pages(p, q) for q in own)
        for p in pages
    )
