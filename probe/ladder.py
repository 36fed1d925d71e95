"""The innocent explanations that must be excluded before an accusation stands.

For each kind of interference there are five: the *line* does this to every server, the *resolver*
answers so for many names, the *server* does it to every client, this machine lacks the *means*, or
it is *chance*. A rule names those that its own logic excludes (`Rule.excludes`); the checks below
test the others on the record. An explanation that is not excluded makes the verdict inconclusive,
and is its reason. `docs/explanations.md` is generated from this module and the rules.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from probe.analysis.evidence import Evidence
from probe.analysis.packet_size import answered_when_small
from probe.analysis.shared import FINE, kind_and_sign
from probe.analysis.silence_place import is_hidden
from probe.explanations import (
    archived,
    certificates,
    failing_resolver,
    names,
    pages,
    servers,
    unanswered_names,
)
from probe.failure import Failure
from probe.model import Http, Role, SharedOutcome, Tcp, Tls
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


class ExplanationCheck(Struct, frozen=True):
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
    for step in match.on_target(e):
        known = kind_and_sign(step)
        found = shared.get(known[0]) if known is not None and known[1] != FINE else None
        if found is not None:
            return f"{_told(found)} on this connection, so it is not about this site."
    return None


def _told(found: SharedOutcome) -> str:
    among = f"{found.hosts} of {found.of} other hosts"
    where = f" at port {found.port}" if found.port else ""
    return f"{among} had the same outcome{where} ({found.op})"


def _own_means(e: Evidence, match: Match) -> str | None:
    """This machine has a route to other servers in the same address family."""
    lacking = {Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN}
    accused = [s for s in match.on_target(e) if isinstance(s, Tcp) and s.failure is not None]
    connected = {":" in s.address for s in e.steps if isinstance(s, Tcp) and s.failure is None}
    for over_ipv6 in {":" in s.address for s in accused} - connected:
        failures = {s.failure for s in accused if (":" in s.address) is over_ipv6}
        if failures <= lacking or (over_ipv6 and not e.line.ipv6):
            return f"No server was reached over IPv{6 if over_ipv6 else 4} on this connection."
    return None


def _hello_size(e: Evidence, match: Match) -> str | None:
    """A handshake with a hello of at least this size was answered on this connection."""
    silent = [s for s in match.on_target(e) if isinstance(s, Tls) and s.failure is not None]
    if not silent or e.line.trusted_names:
        return None
    size = max(s.bytes_out for s in silent)
    if any(isinstance(s, Tls) and s.answered and s.bytes_out >= size for s in e.steps):
        return None
    return "No hello of this size was answered on this connection."


def _packet_size(e: Evidence, match: Match) -> str | None:
    """A large packet came from the address, or it is silent to small packets as well."""
    if answered_when_small(e.steps, match.on_target(e)) is None:
        return None
    return PACKETS


# The reason where only small packets pass.
PACKETS = "The site answers in small packets: this connection loses large ones."


def _server_stops_it(e: Evidence, match: Match) -> str | None:
    """Packets that cannot come near the server are stopped as well, where that was tried."""
    place, stop = e.place, e.stop
    if place is None or stop is None or stop.by != "server":
        return None
    accused = [s for s in match.on_target(e) if getattr(s, "address", None) == place.address]
    if not accused:
        return None
    if place.by == "network":
        return f"The packets are stopped behind hop {place.after}, in the server's own network."
    return (
        f"The packets pass the first {place.after} routers, of about {place.server - 1}: the server"
        " or its own network stops them."
    )


def _place_is_hidden(e: Evidence, match: Match) -> str | None:
    """Where it was looked for who stops all connections, the distances on the line tell it."""
    unanswered = any(isinstance(s, Tcp) and s.failure is not None for s in match.on_target(e))
    return HIDDEN if unanswered and is_hidden(e.steps) else None


# The reason where the network and a firewall of the site cannot be told apart.
HIDDEN = (
    "Something on the way rewrites the TTL of connections: it cannot be told whether the network or"
    " the site's own firewall stops them."
)


def _hosters_outage(e: Evidence, match: Match) -> str | None:
    """A harmless name is answered there, or another site of the run in the same network works."""
    accused = [s for s in match.on_target(e) if isinstance(s, Tcp | Tls | Http)]
    answered = {s.address for s in e.harmless(Http) if s.failure is None}
    shaken = answered | {s.address for s in e.harmless(Tls) if s.failure is None}
    known = {(one.op, one.port, one.family): one for one in e.line.hoster}
    for step in accused:
        # A front that completes handshakes says nothing about the servers behind it.
        fine = answered if isinstance(step, Http) else shaken
        if step.failure not in _SILENT or step.address in fine:
            continue
        kind = kind_and_sign(step)
        found = known.get(kind[0]) if kind is not None else None
        if found is not None:
            return (
                f"All {found.hosts} other sites of this run in the same network are silent as well:"
                " their hoster, or the way to it, may have failed."
            )
    return None


def _fails_for_references_too(e: Evidence, match: Match) -> str | None:
    """No reference site, and no harmless name elsewhere, fails in the same way in this record."""
    accused = [s for s in match.on_target(e) if isinstance(s, Tls | Http) and s.failure]
    kinds = {(type(s), s.failure) for s in accused}
    here = {s.address for s in accused}
    for role in (Role.REFERENCE, Role.HARMLESS):
        others: list[Tls | Http] = [*e.all(Tls, role=role), *e.all(Http, role=role)]
        for step in others:
            known = (type(step), step.failure) in kinds and step.address not in here
            if known and not _always_fails(step, others):
                return "The same failure came for another site: the connection fails now and then."
    return None


def _always_fails(step: Tls | Http, others: Sequence[Tls | Http]) -> bool:
    """This site fails each time, and its server answers another name: that is no chance either."""
    there = [s for s in others if s.address == step.address and type(s) is type(step)]
    own = [s for s in there if _offered(s) == _offered(step)]
    return len(own) > 1 and all(s.failure is not None for s in own)


def _offered(step: Tls | Http) -> str | None:
    return step.sni if isinstance(step, Tls) else step.host


def _cut_off_at_random(e: Evidence, match: Match) -> str | None:
    """Handshakes with reference sites are not cut off so often that it may be chance here."""
    share = e.line.resets
    cut = [s for s in match.on_target(e) if isinstance(s, Tls | Http) and s.failure in _CUT]
    if not share or not cut or share ** len(cut) < _CHANCE:
        return None
    return f"{share:.0%} of the connections to reference sites were cut off here: it may be chance."


_EVERY_LAYER = ("tcp", "tls", "http", "dns", "throttle")
CHECKS = (
    ExplanationCheck(InnocentExplanation.LINE, _EVERY_LAYER, _line_does_it_to_all),
    ExplanationCheck(InnocentExplanation.LINE, ("http",), pages.same_for_every_host),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.resolver_does_it_to_all),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.filter_was_asked_for),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.public_resolvers_policy),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.filter_at_home),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.perhaps_an_outdated_address),
    ExplanationCheck(InnocentExplanation.SERVER, ("dns",), names.signatures_fail),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), failing_resolver.may_be_its_own_fault),
    ExplanationCheck(InnocentExplanation.CHANCE, ("dns",), unanswered_names.line_was_gone),
    ExplanationCheck(InnocentExplanation.SERVER, ("tcp", "tls"), _server_stops_it),
    ExplanationCheck(InnocentExplanation.SERVER, ("tcp",), _place_is_hidden),
    ExplanationCheck(InnocentExplanation.SERVER, ("tls", "http"), servers.turns_away_this_client),
    ExplanationCheck(InnocentExplanation.SERVER, ("tls",), servers.bans_this_client),
    ExplanationCheck(InnocentExplanation.SERVER, ("tcp", "tls", "http"), _hosters_outage),
    ExplanationCheck(InnocentExplanation.MEANS, ("tcp", "dns"), _own_means),
    ExplanationCheck(InnocentExplanation.MEANS, ("tls",), _hello_size),
    ExplanationCheck(InnocentExplanation.MEANS, ("tls", "http"), _packet_size),
    ExplanationCheck(InnocentExplanation.CHANCE, ("tls", "http"), _fails_for_references_too),
    ExplanationCheck(InnocentExplanation.CHANCE, ("tls", "http"), _cut_off_at_random),
    ExplanationCheck(InnocentExplanation.LINE, ("tls",), certificates.references_are_resigned),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), names.other_resolvers_deny),
    ExplanationCheck(InnocentExplanation.SERVER, ("http",), pages.perhaps_the_sites_own),
    ExplanationCheck(InnocentExplanation.SERVER, ("tls",), certificates.perhaps_the_servers_own),
    ExplanationCheck(InnocentExplanation.RESOLVER, ("dns",), archived.resolver_may_be_the_users),
    ExplanationCheck(InnocentExplanation.SERVER, ("http",), archived.sites_own_notice),
    ExplanationCheck(InnocentExplanation.LINE, ("tls",), certificates.a_products_own),
    ExplanationCheck(InnocentExplanation.MEANS, ("tls", "http"), archived.silent_over_ipv6),
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
