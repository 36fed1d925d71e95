"""Rules on the state of the connection itself, which make a record inconclusive."""

from probe.analysis.evidence import Evidence, is_live
from probe.analysis.shutdown import MOST
from probe.compare import page_sign, same_issuer
from probe.failure import Failure
from probe.model import Dns, Http, Mechanism, Outcome, Ping, Quic, Role, Tls, TrustReason
from probe.rule import WEB, Finding, Tier, rule

EXPERIMENTS = WEB

_CLOCK_REASONS = {TrustReason.EXPIRED, TrustReason.NOT_YET_VALID}
_CLOCK_SECONDS = 24 * 3600.0
_MANY = 2
_NO_ANSWER = {Failure.TIMEOUT, Failure.DNS_SERVFAIL, Failure.DNS_REFUSED}


@rule("access.line_is_dead", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def line_is_dead(e: Evidence) -> Finding | None:
    """Nothing answered on this connection: it is offline, and the site cannot be judged."""
    if e.live or e.line.alive_before or e.line.alive_after or not e.steps:
        return None
    if e.line.references and e.line.references_failed < e.line.references:
        return None
    if not e.line.references and not _nothing_works(e):
        return None
    return Finding(e.steps[-1:], 0.95, reason=only_names_answered(e))


_NO_ROUTE = frozenset({Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN})


def only_names_answered(e: Evidence) -> str | None:
    """What to say of a line where the resolver answered and no connection was possible."""
    if not any(step.replies for step in e.steps if isinstance(step, Dns)):
        return None
    if any(step.failure in _NO_ROUTE for step in e.steps):
        return "The resolver answers, but this machine has no route beyond its own network."
    return "The resolver answers, but no site can be reached: this connection is offline."


def _nothing_works(e: Evidence) -> bool:
    """Only timeouts were seen and no name was proven, or this machine reported no route."""
    failures = {step.failure for step in e.steps}
    return failures <= {Failure.TIMEOUT, *_NO_ROUTE} and (
        bool(failures & _NO_ROUTE) or not e.line.trusted_names
    )


@rule("access.no_names", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def no_names(e: Evidence) -> Finding | None:
    """The system resolver answers for no name at all, so no site can be opened."""
    asked = [s for s in e.all(Dns) if s.resolver == "system"]
    others = [s for s in e.steps if isinstance(s, Dns) and s.role is not Role.TARGET]
    if len(asked) < 2 or any(s.failure not in _NO_ANSWER for s in asked):
        return None
    compared = [s for s in others if s.resolver == "system"]
    answered = any(s.failure not in _NO_ANSWER for s in compared)
    if not compared and any(s.replies for s in asked):
        return None  # it answers, and was asked for no other name
    # Sites can be reached by addresses from other resolvers; so they prove that the system's works
    # only where no harmless name was asked for.
    if answered or (not compared and e.line.trusted_names):
        return None
    return Finding(tuple(asked), 0.85)


@rule("access.names_over_tcp", Tier.NOTE, None)
def names_over_tcp(e: Evidence) -> Finding | None:
    """The system resolver answers over TCP only; programs that ask over UDP get no answer."""
    over_tcp = [s for s in e.all(Dns) if s.resolver == "system" and s.transport == "tcp"]
    answered = [s for s in over_tcp if s.replies]
    return Finding(tuple(answered[-1:]), 0.0) if answered else None


@rule("access.line_is_cut", Tier.CAVEAT, Outcome.INCONCLUSIVE)
def line_is_cut(e: Evidence) -> Finding | None:
    """The reference sites are unreachable too, so the connection is at fault, not the site."""
    abroad, home = e.line.foreign_alive, e.line.domestic_alive
    if abroad != 0 or home is None or _target_answered(e) or not e.steps:
        return None
    if home == 0:
        if e.line.trusted_names or e.line.portal:
            return None
        reason = "No reference site answers, domestic or foreign: the connection is at fault."
        return Finding(e.steps[-1:], 0.9, (Mechanism.ACCESS_OFFLINE,), reason)
    cut = home >= MOST
    how = Mechanism.ACCESS_FOREIGN_CUT if cut else Mechanism.ACCESS_WHITELIST
    domestic = "the domestic ones do" if cut else "few domestic ones do"
    reason = f"No foreign reference site answers, and {domestic}: the connection is at fault."
    return Finding(e.steps[-1:], 0.85, (how,), reason)


def _target_answered(e: Evidence) -> bool:
    """The target's address answered above TCP."""
    above_tcp = (s for s in e.steps if isinstance(s, Tls | Http | Quic | Ping))
    return any(is_live(s) and s.role is not Role.REFERENCE for s in above_tcp)


@rule("access.portal_answers", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_CAPTIVE_PORTAL)
def portal_answers(e: Evidence) -> Finding | None:
    """One page answers for every site on this connection: a captive portal, not the site."""
    if not e.line.portal or e.line.trusted_names:
        return None
    return Finding(e.steps[-1:], 0.9)


@rule(
    "access.everything_is_resigned",
    Tier.CAVEAT,
    Outcome.INCONCLUSIVE,
    Mechanism.ACCESS_LOCAL_INTERCEPTOR,
)
def everything_is_resigned(e: Evidence) -> Finding | None:
    """One key re-signs every TLS connection here: a product at home or in the office."""
    resigned = [s for s in _local_answers(e) if s.trust and (s.trust.named or s.trust.local)]
    return Finding(tuple(resigned[-1:]), 0.9) if resigned else None


@rule(
    "access.one_certificate_for_all",
    Tier.CAVEAT,
    Outcome.INCONCLUSIVE,
    Mechanism.ACCESS_CAPTIVE_PORTAL,
)
def one_certificate_for_all(e: Evidence) -> Finding | None:
    """One certificate with a foreign name answers for every site: a router or a login page."""
    unnamed = [s for s in _local_answers(e) if s.trust and not s.trust.named and not s.trust.local]
    return Finding(tuple(unnamed[-1:]), 0.9) if unnamed else None


def _local_answers(e: Evidence) -> list[Tls]:
    """Handshakes that an interceptor on the local network answered in the site's place."""
    own = [s for s in _untrusted(e) if s.port == e.port(e.end)]
    return [s for s in own if is_local_interceptor(e, s)]


def is_local_interceptor(e: Evidence, seen: Tls) -> bool:
    """This chain was made by a local product: it re-signs every site, or its root is installed."""
    trust = seen.trust
    if trust is None or trust.valid or trust.anchored:
        return False
    if trust.authority is not None and trust.authority.kind == "interception":
        return False
    if trust.local:
        return True
    same_key = bool(trust.issuer_key) and trust.issuer_key == e.line.resigned_by
    if not same_key or e.line.resigned_names < _MANY:
        return False
    return not e.line.trusted_names or _spares_a_few(e, seen)


def _spares_a_few(e: Evidence, seen: Tls) -> bool:
    """Most names are re-signed, harmless ones too, at this address or elsewhere on this line.

    Products have lists of names to leave alone; a state has a list of names to intercept.
    """
    if e.line.resigned_names <= e.line.trusted_names:
        return False
    here = [s for s in e.harmless(Tls) if (s.address, s.port) == (seen.address, seen.port)]
    alike = [s for s in here if s.trust is not None]
    all_alike = bool(alike) and all(same_issuer(s.trust, seen.trust) for s in alike)
    return all_alike or e.line.resigned_harmless > 0


def _untrusted(e: Evidence) -> list[Tls]:
    return [s for s in e.handshakes(e.end) if s.trust is not None and not s.trust.valid]


@rule("access.clock_is_wrong", Tier.CAVEAT, Outcome.INCONCLUSIVE)
def clock_is_wrong(e: Evidence) -> Finding | None:
    """This machine's clock is wrong by more than a day, so certificate dates cannot be checked."""
    dated = [s for s in _untrusted(e) if s.trust and s.trust.reason in _CLOCK_REASONS]
    wrong = e.line.clock_offset is not None and abs(e.line.clock_offset) > _CLOCK_SECONDS
    return Finding(tuple(dated[-1:]), 0.9) if dated and wrong else None


@rule("access.one_page_for_many", Tier.NOTE, None)
def one_page_for_many(e: Evidence) -> Finding | None:
    """The same unproven page came for several unrelated names on this connection."""
    pages = [s for s in e.pages(e.end) if not s.proven and page_sign(s) is not None]
    common = [s for s in pages if page_sign(s) == e.line.portal_sign]
    return Finding(tuple(common[-1:]), 0.0) if common and e.line.portal_hosts >= _MANY else None
