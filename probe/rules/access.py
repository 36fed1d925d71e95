"""What the state of the line itself forbids to conclude."""

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
    """Nothing at all answered on this line: it is offline, and says nothing of this site."""
    if e.live or e.line.alive_before or e.line.alive_after or not e.steps:
        return None
    if e.line.references and e.line.references_failed < e.line.references:
        return None
    if not e.line.references and not _nothing_works(e):
        return None
    return Finding(e.steps[-1:], 0.95)


def _nothing_works(e: Evidence) -> bool:
    """Not even a name was answered, or the machine itself said that it has no way out."""
    no_way = {Failure.NETWORK_UNREACHABLE, Failure.NETWORK_DOWN}
    failures = {step.failure for step in e.steps}
    return failures <= {Failure.TIMEOUT, *no_way} and (
        bool(failures & no_way) or not e.line.trusted_names
    )


@rule("access.no_names", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def no_names(e: Evidence) -> Finding | None:
    """The resolver here answers for no name at all, so no site can be opened, whatever is wrong."""
    asked = [s for s in e.all(Dns) if s.resolver == "system"]
    others = [s for s in e.steps if isinstance(s, Dns) and s.role is not Role.TARGET]
    if len(asked) < 2 or any(s.failure not in _NO_ANSWER for s in asked):
        return None
    compared = [s for s in others if s.resolver == "system"]
    answered = any(s.failure not in _NO_ANSWER for s in compared)
    if not compared and any(s.replies for s in asked):
        return None  # it speaks, and was asked for nothing else
    # Sites can be reached by addresses that others gave; so they prove that names are answered
    # only where no harmless name was asked for.
    if answered or (not compared and e.line.trusted_names):
        return None
    return Finding(tuple(asked), 0.85)


@rule("access.names_over_tcp", Tier.NOTE, None)
def names_over_tcp(e: Evidence) -> Finding | None:
    """The resolver here is heard over TCP alone: programs that ask over UDP find no name here."""
    told = [s for s in e.all(Dns) if s.resolver == "system" and s.transport == "tcp" and s.replies]
    return Finding(tuple(told[-1:]), 0.0) if told else None


@rule("access.line_is_cut", Tier.CAVEAT, Outcome.INCONCLUSIVE)
def line_is_cut(e: Evidence) -> Finding | None:
    """Sites that must work do not answer on this line, nor does this one: that is the line."""
    abroad, home = e.line.foreign_alive, e.line.domestic_alive
    if abroad != 0 or home is None or _spoke(e) or not e.steps:
        return None
    if home == 0:
        if e.line.trusted_names or e.line.portal:
            return None
        reason = "No site that must work answers on this line, at home or abroad: no proof here."
        return Finding(e.steps[-1:], 0.9, (Mechanism.ACCESS_OFFLINE,), reason)
    cut = home >= MOST
    how = Mechanism.ACCESS_FOREIGN_CUT if cut else Mechanism.ACCESS_WHITELIST
    which = "sites at home do" if cut else "few sites at home do"
    reason = f"Nothing abroad answers on this line, and {which}: that is the line."
    return Finding(e.steps[-1:], 0.85, (how,), reason)


def _spoke(e: Evidence) -> bool:
    """Somebody at the target's address said more than a connection does."""
    said = (s for s in e.steps if isinstance(s, Tls | Http | Quic | Ping))
    return any(is_live(s) and s.role is not Role.REFERENCE for s in said)


@rule("access.portal_answers", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_CAPTIVE_PORTAL)
def portal_answers(e: Evidence) -> Finding | None:
    """One page answers for everything on this line: a captive portal, not the site."""
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
    """Everything on this line is re-signed by one key: a product at home or in the office."""
    resigned = [s for s in _ours(e) if s.trust and (s.trust.named or s.trust.local)]
    return Finding(tuple(resigned[-1:]), 0.9) if resigned else None


@rule(
    "access.one_certificate_for_all",
    Tier.CAVEAT,
    Outcome.INCONCLUSIVE,
    Mechanism.ACCESS_CAPTIVE_PORTAL,
)
def one_certificate_for_all(e: Evidence) -> Finding | None:
    """One certificate, for no name that was asked, answers for all: a router's or a login page."""
    foreign = [s for s in _ours(e) if s.trust and not s.trust.named and not s.trust.local]
    return Finding(tuple(foreign[-1:]), 0.9) if foreign else None


def _ours(e: Evidence) -> list[Tls]:
    """What something on this side of the network answered in the site's place."""
    own = [s for s in _untrusted(e) if s.port == e.port(e.end)]
    return [s for s in own if is_local_interceptor(e, s)]


def is_local_interceptor(e: Evidence, seen: Tls) -> bool:
    """This chain was made by something that re-signs everything, or that was installed here."""
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
    """Most of what was looked at is re-signed, harmless names as well, here or on this line.

    Products have lists of names that they leave alone; a state has a list of names that it reads.
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
    """This machine's clock is wrong by more than a day, so no certificate's dates can be judged."""
    dated = [s for s in _untrusted(e) if s.trust and s.trust.reason in _CLOCK_REASONS]
    wrong = e.line.clock_offset is not None and abs(e.line.clock_offset) > _CLOCK_SECONDS
    return Finding(tuple(dated[-1:]), 0.9) if dated and wrong else None


@rule("access.one_page_for_many", Tier.NOTE, None)
def one_page_for_many(e: Evidence) -> Finding | None:
    """The same unproven page came for several unrelated names on this line."""
    pages = [s for s in e.pages(e.end) if not s.proven and page_sign(s) is not None]
    common = [s for s in pages if page_sign(s) == e.line.portal_sign]
    return Finding(tuple(common[-1:]), 0.0) if common and e.line.portal_hosts >= _MANY else None
