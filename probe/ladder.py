"""The innocent explanations that must be excluded before an accusation stands.

For each kind of interference there are five: the *line* does this to every server, the *resolver*
answers so for many names, the *server* does it to every client, this machine lacks the *means*, or
it is *chance*. A rule names those that its own logic excludes (`Rule.excludes`); the checks below
test the others on the record. An explanation that is not excluded makes the verdict inconclusive,
and is its reason. `docs/explanations.md` is generated from this module and the rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probe.analysis.blockpage_text import reads_like_blockpage
from probe.analysis.dns_answers import CENSORED, DNSSEC, REQUESTED, at_home, said
from probe.analysis.evidence import Evidence
from probe.analysis.packet_size import answered_when_small
from probe.analysis.shared import FINE, kind_and_sign
from probe.compare import is_bogon, similar_pages
from probe.failure import Failure
from probe.model import Dns, Http, Quic, Role, SharedOutcome, Step, Tcp, Tls
from probe.reference_data import advertising_names
from probe.rule import InnocentExplanation, Match

_SILENT = frozenset(
    {
        Failure.TIMEOUT,
        Failure.HOST_UNREACHABLE,
        Failure.NETWORK_UNREACHABLE,
    }
)
_CUT = frozenset({Failure.RESET, Failure.ABORTED, Failure.EOF})
# What a line does as often as this by itself is no evidence: a run looks at many sites.
_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class ExplanationCheck:
    """One innocent explanation, and how a record excludes it.

    Attributes:
        explanation: Which of the five.
        families: The first words of the mechanisms it concerns.
        still_open: Why it is not excluded, in a sentence, or None when it is.
    """

    explanation: InnocentExplanation
    families: tuple[str, ...]
    still_open: Callable[[Evidence, Match], str | None]

    @property
    def sentence(self) -> str:
        """How it is tested: the first line of the function's docstring."""
        return (self.still_open.__doc__ or "").strip().splitlines()[0]


def _line_does_it_to_all(e: Evidence, match: Match) -> str | None:
    """Other hosts of the run succeed at the same operation, port and family around the moment."""
    shared = {(one.op, one.port, one.family): one for one in e.line.shared}
    for step in _accusing(e, match):
        known = kind_and_sign(step)
        found = shared.get(known[0]) if known is not None and known[1] != FINE else None
        if found is not None:
            return f"{_told(found)} on this connection, so it is not about this site."
    return None


def _told(found: SharedOutcome) -> str:
    among = f"{found.hosts} of {found.of} other hosts"
    where = f" at port {found.port}" if found.port else ""
    return f"{among} had the same outcome{where} ({found.op})"


def _resolver_does_it_to_all(e: Evidence, match: Match) -> str | None:
    """The system resolver answers for reference names, and not with the same addresses."""
    accused = [s for s in _accusing(e, match) if isinstance(s, Dns) and s.resolver == "system"]
    asked = [s for s in e.all(Dns, role=Role.REFERENCE) if s.resolver == "system"]
    given = {address for step in accused for address in step.addresses}
    if not accused or not asked:
        return None
    if given and all(given & set(s.addresses) for s in asked):
        return "The system resolver gives the same address for the reference sites."
    if not given and all(s.failure is not None for s in asked):
        return "The system resolver gives no address for the reference sites either."
    return None


def _same_for_every_host(e: Evidence, match: Match) -> str | None:
    """A harmless host at the same address, or an unrelated site, gets another page or redirect."""
    accused = [s for s in _accusing(e, match) if isinstance(s, Http)]
    signs = {sign for s in accused if (sign := _plain_sign(s)) is not None} - {FINE}
    if not signs:
        return None
    names = {_name(s) for s in accused}
    harmless = [s for s in map(_plain_sign, e.harmless(Http)) if s is not None]
    if harmless and signs.issuperset(harmless):
        return "The same page or redirect came for a harmless host, so it is not about this site."
    unrelated = [*e.all(Http, role=Role.REFERENCE), *e.all(Http, role=Role.NEUTRAL)]
    if any(_plain_sign(s) in signs for s in unrelated if _name(s) not in names):
        return "The same page or redirect came for an unrelated site, so it is not about this one."
    return None


def _name(page: Http) -> str:
    """The host that was asked for, without a port: an unrelated server listens at its own."""
    return page.host.partition(":")[0]


def _plain_sign(page: Http) -> str | None:
    known = kind_and_sign(page)
    return known[1] if known is not None and known[0][0] == "http" else None


def _own_means(e: Evidence, match: Match) -> str | None:
    """This machine has a route to other servers in the same address family."""
    lacking = {Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN}
    accused = [s for s in _accusing(e, match) if isinstance(s, Tcp) and s.failure is not None]
    connected = {":" in s.address for s in e.steps if isinstance(s, Tcp) and s.failure is None}
    for over_ipv6 in {":" in s.address for s in accused} - connected:
        failures = {s.failure for s in accused if (":" in s.address) is over_ipv6}
        if failures <= lacking or (over_ipv6 and not e.line.ipv6):
            return f"No server was reached over IPv{6 if over_ipv6 else 4} on this connection."
    return None


def _hello_size(e: Evidence, match: Match) -> str | None:
    """A handshake with a hello of at least this size was answered on this connection."""
    silent = [s for s in _accusing(e, match) if isinstance(s, Tls) and s.failure is not None]
    if not silent or e.line.trusted_names:
        return None
    size = max(s.bytes_out for s in silent)
    if any(isinstance(s, Tls) and s.answered and s.bytes_out >= size for s in e.steps):
        return None
    return "No hello of this size was answered on this connection."


def _packet_size(e: Evidence, match: Match) -> str | None:
    """A large packet came from the address, or it is silent to small packets as well."""
    if answered_when_small(e.steps, _accusing(e, match)) is None:
        return None
    return PACKETS


# The reason where only small packets pass.
PACKETS = "The site answers in small packets: this connection loses large ones."


def _signatures_fail(e: Evidence, match: Match) -> str | None:
    """The system resolver reports no DNSSEC failure (RFC 8914), which would be the site's own."""
    if said(_asked_of_system(e, match)) & DNSSEC:
        return "The system resolver reports that the DNSSEC signatures of the name do not hold."
    return None


def _filter_was_asked_for(e: Evidence, match: Match) -> str | None:
    """The system resolver does not report that it filters for this customer (RFC 8914)."""
    codes = said(_asked_of_system(e, match))
    if codes & REQUESTED and not codes & CENSORED:
        return "The system resolver reports that it filters this name at its customer's request."
    return None


def _filter_at_home(e: Evidence, match: Match) -> str | None:
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
    honest = any(not _form(s) for s in here)
    if form & _OF_FILTERS and not honest and at_home(e, asked[-1].hop, asked):
        return (
            "The resolver of the home network gives 0.0.0.0, as filters at home do: nothing shows"
            " that it is the provider's answer."
        )
    return None


def _server_stops_it(e: Evidence, match: Match) -> str | None:
    """Packets that cannot come near the server are stopped as well, where that was tried."""
    place = e.place
    if place is None or place.by != "server":
        return None
    accused = [s for s in _accusing(e, match) if getattr(s, "address", None) == place.address]
    if not accused:
        return None
    return (
        f"The packets pass the first {place.after} routers, of about {place.server - 1}: the server"
        " or its own network stops them."
    )


def _fails_for_references_too(e: Evidence, match: Match) -> str | None:
    """No reference site, and no harmless name elsewhere, fails in the same way in this record."""
    accused = [s for s in _accusing(e, match) if isinstance(s, Tls | Http) and s.failure]
    kinds = {(type(s), s.failure) for s in accused}
    here = {s.address for s in accused}
    for role in (Role.REFERENCE, Role.HARMLESS):
        others: list[Tls | Http] = [*e.all(Tls, role=role), *e.all(Http, role=role)]
        for step in others:
            if (type(step), step.failure) in kinds and step.address not in here:
                return "The same failure came for another site: the connection fails now and then."
    return None


def _cut_off_at_random(e: Evidence, match: Match) -> str | None:
    """Handshakes with reference sites are not cut off so often that it may be chance here."""
    share = e.line.resets
    cut = [s for s in match.on_target(e) if isinstance(s, Tls | Http) and s.failure in _CUT]
    if not share or not cut or share ** len(cut) < _CHANCE:
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


def _not_at_an_unrelated_server(e: Evidence, match: Match) -> str | None:
    """A page that is no notice comes from an unrelated server as well, where that was tried."""
    if match.rule.id != "http.another_page_here":
        return None
    accused = [s for s in _accusing(e, match) if isinstance(s, Http) and not s.proven]
    if not accused or e.line.portal_hosts > 1 or all(map(reads_like_blockpage, accused)):
        return None  # a notice may be shown at some addresses only
    for step in e.all(Http, role=Role.NEUTRAL):
        same_name = _name(step) == _name(accused[-1]) and step.address != accused[-1].address
        answered = step.status is not None or step.malformed
        if same_name and answered and not similar_pages(step, accused[-1]):
            return "An unrelated server, offered the same name, does not show this page."
    return None


def _form(step: Dns) -> set[str]:
    """How a name was denied: by which failure, or by which address."""
    never = {a for a in step.addresses if is_bogon(a)}
    return never if step.failure is None else {str(step.failure)}


def _asked_of_system(e: Evidence, match: Match) -> list[Dns]:
    return [s for s in _accusing(e, match) if isinstance(s, Dns) and s.resolver == "system"]


def _accusing(e: Evidence, match: Match) -> list[Step]:
    ids = {step.id for step in match.finding.steps}
    return [s for s in e.steps if s.id in ids and s.role is Role.TARGET]


_DENIALS = frozenset(
    {
        Failure.DNS_NXDOMAIN,
        Failure.DNS_NO_ANSWER,
        Failure.DNS_SERVFAIL,
        Failure.DNS_REFUSED,
        Failure.DNS_MISBEHAVING,
    }
)
_EVERY_LAYER = ("tcp", "tls", "http", "dns", "throttle")
CHECKS = (
    ExplanationCheck(InnocentExplanation.LINE, _EVERY_LAYER, _line_does_it_to_all),
    ExplanationCheck(InnocentExplanation.LINE, ("http",), _same_for_every_host),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), _resolver_does_it_to_all),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), _filter_was_asked_for),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), _filter_at_home),
    ExplanationCheck(InnocentExplanation.SERVER, ("dns",), _signatures_fail),
    ExplanationCheck(InnocentExplanation.SERVER, ("tcp", "tls"), _server_stops_it),
    ExplanationCheck(InnocentExplanation.MEANS, ("tcp", "dns"), _own_means),
    ExplanationCheck(InnocentExplanation.MEANS, ("tls",), _hello_size),
    ExplanationCheck(InnocentExplanation.MEANS, ("tls", "http"), _packet_size),
    ExplanationCheck(InnocentExplanation.CHANCE, ("tls", "http"), _fails_for_references_too),
    ExplanationCheck(InnocentExplanation.CHANCE, ("tls", "http"), _cut_off_at_random),
    ExplanationCheck(InnocentExplanation.LINE, ("tls",), certificates.references_are_resigned),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.other_resolvers_deny),
    ExplanationCheck(InnocentExplanation.SERVER, ("http",), pages.perhaps_the_sites_own),
    ExplanationCheck(InnocentExplanation.SERVER, ("tls",), certificates.perhaps_the_servers_own),
)


def still_open(
    e: Evidence, match: Match, checks: Sequence[ExplanationCheck] = CHECKS
) -> str | None:
    """The first innocent explanation of an accusation that is not excluded, as a reason."""
    families = {one.partition(".")[0] for one in match.mechanisms}
    for check in checks:
        if families.intersection(check.families):
            reason = check.still_open(e, match)
            if reason is not None:
                return reason
    return None


def needed(families: set[str]) -> frozenset[InnocentExplanation]:
    """The explanations that an accusation of these families has to exclude.

    What a name resolves to depends on resolvers, and on the line only through them.
    """
    if families == {"dns"}:
        return frozenset(InnocentExplanation) - {InnocentExplanation.LINE}
    return frozenset(InnocentExplanation) - {InnocentExplanation.RESOLVER}
