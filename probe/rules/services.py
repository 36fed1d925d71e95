"""Rules on services, part by part: the service works, is broken, or cannot be judged.

A part works when one of its endpoints answers as it should; a success in any attempt clears it.
Servers of the volunteer's own configuration are compared with themselves alone: no control knows
them. The rules that accuse the network of blocking public endpoints are in `services_blocked.py`.
"""

from collections.abc import Iterable, Sequence

from probe.analysis.attempts import consistently
from probe.analysis.evidence import Evidence
from probe.analysis.service_attempts import (
    OWN,
    THROWAWAY,
    EndpointAttempt,
    control_attempts,
    dead_parts,
    other_parts_answer,
    own_servers,
    parts,
)
from probe.compare import same_issuer, same_leaf
from probe.model import Base, Mechanism, Outcome, Ping, Role, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.rules import access, tls_interception

EXPERIMENTS = ("telegram", "whatsapp", "signal", "messenger", "tor", "openvpn", "wireguard")


def _last_steps(attempts: Iterable[EndpointAttempt]) -> tuple[Base, ...]:
    """The step that each attempt ended with."""
    return tuple(attempt.steps[-1] if attempt.steps else attempt.summary for attempt in attempts)


# --- it works ---------------------------------------------------------------------------------


@rule("services.proven", Tier.PROVEN, Outcome.OK)
def proven(e: Evidence) -> Finding | None:
    """Every part of the service answers and has proved to be the service."""
    found = [next((a for a in attempts if a.proven), None) for attempts in parts(e).values()]
    shown = [attempt for attempt in found if attempt is not None]
    return Finding(_last_steps(shown), 0.97) if shown and len(shown) == len(found) else None


@rule("services.answers", Tier.LIKELY, Outcome.OK)
def answers(e: Evidence) -> Finding | None:
    """Every part of the service answers; of some parts only the connection can be tested."""
    found = [
        next((a for a in attempts if _answers_as_elsewhere(e, a)), None)
        for attempts in parts(e).values()
    ]
    shown = [attempt for attempt in found if attempt is not None]
    return Finding(_last_steps(shown), 0.85) if shown and len(shown) == len(found) else None


def _answers_as_elsewhere(e: Evidence, attempt: EndpointAttempt) -> bool:
    """It answers; an unproven certificate for a name must be the one that a control received."""
    step = attempt.tls
    if attempt.failure is not None or attempt.proven or step is None or step.sni is None:
        return attempt.failure is None
    there = [s for s in e.control(Tls) if s.sni == step.sni]
    return any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in there)


# --- the connection is at fault ---------------------------------------------------------------


@rule("services.line_is_dead", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def line_is_dead(e: Evidence) -> Finding | None:
    """Nothing answered on this connection: it is offline, and the service cannot be judged."""
    return access.line_is_dead.holds(e)


@rule("services.line_is_cut", Tier.CAVEAT, Outcome.INCONCLUSIVE)
def line_is_cut(e: Evidence) -> Finding | None:
    """The reference sites are unreachable too, so the connection is at fault, not the service."""
    return access.line_is_cut.holds(e)


@rule("services.portal_answers", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_CAPTIVE_PORTAL)
def portal_answers(e: Evidence) -> Finding | None:
    """One page answers for every site on this connection: a captive portal, not the service."""
    return access.portal_answers.holds(e)


@rule(
    "services.everything_is_resigned",
    Tier.CAVEAT,
    Outcome.INCONCLUSIVE,
    Mechanism.ACCESS_LOCAL_INTERCEPTOR,
)
def everything_is_resigned(e: Evidence) -> Finding | None:
    """A product at home or in the office re-signs the TLS connections of this network."""
    resigned = [s for s in e.all(Tls) if access.is_local_interceptor(e, s)]
    return Finding(tuple(resigned[-1:]), 0.9) if resigned else None


# --- interception -----------------------------------------------------------------------------


@rule("services.known_interception_key", Tier.KNOWN, Outcome.INTERCEPTED, Mechanism.TLS_MITM)
def known_interception_key(e: Evidence) -> Finding | None:
    """A certificate of the service was signed with a known interception key."""
    return tls_interception.known_interception_key.holds(e)


@rule(
    "services.forged_certificate",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    Mechanism.TLS_MITM,
    excludes={
        InnocentExplanation.LINE: "other sites show trusted certificates",
        InnocentExplanation.SERVER: "the service's own root is known",
        InnocentExplanation.MEANS: "trust is decided with the service's own root",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def forged_certificate(e: Evidence) -> Finding | None:
    """An unknown authority signs for the service here; elsewhere another authority does."""
    for step in reversed(e.all(Tls)):
        if not _signed_by_unknown(e, step):
            continue
        there = [s for s in e.control(Tls) if s.sni == step.sni and s.trust is not None]
        if there and not any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in there):
            return Finding((step,), 0.93 * e.control_weight)
        here = [s for s in e.harmless(Tls) if s.address == step.address and s.port == step.port]
        anchored = [s for s in here if s.trust is not None and s.trust.anchored]
        if anchored and not there:
            return Finding((step, anchored[-1]), 0.9)
    return None


def _signed_by_unknown(e: Evidence, step: Tls) -> bool:
    """A chain for this name leads to no known authority, and other chains here are trusted."""
    trust = step.trust
    if trust is None or trust.valid or trust.anchored or step.sni is None or not trust.named:
        return False
    known = trust.authority
    if known is not None and (known.kind == "national" or known.proof == "verified"):
        return False
    return not access.is_local_interceptor(e, step) and bool(e.line.trusted_names)


# --- it is broken -----------------------------------------------------------------------------


@rule("services.down_everywhere", Tier.CLEARED, Outcome.DOWN)
def down_everywhere(e: Evidence) -> Finding | None:
    """One part of the service fails here and for the control in the same way."""
    for part, attempts in dead_parts(e).items():
        there = control_attempts(e, part, latest=True)
        failures = {attempt.failure for attempt in attempts}
        if there and all(attempt.failure in failures for attempt in there):
            reason = f"Its {part} fails for the control in the same way"
            reason += f"{other_parts_answer(e, part)}."
            return Finding(_last_steps(attempts), 0.92 * e.control_weight, reason=reason)
    return None


# --- the volunteer's own servers --------------------------------------------------------------


@rule(
    "services.protocol_stopped",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the same address accepts connections",
        InnocentExplanation.SERVER: "a control gets an answer, or other bytes are answered",
        InnocentExplanation.MEANS: "the same socket is used for both",
        InnocentExplanation.CHANCE: "every endpoint of the part, twice",
    },
)
def protocol_stopped(e: Evidence) -> Finding | None:
    """The server answers this message when random bytes precede it, and never when sent plainly."""
    behind = [s for s in e.all(Ping, role=Role.HARMLESS) if s.what.startswith(OWN)]
    for part, attempts in own_servers(e).items():
        plain = [attempt.summary for attempt in attempts]
        last = consistently(plain)
        if last is None:
            continue
        answered = [s for s in behind if s.what == part and s.failure is None]
        before = [s for s in answered if s.at <= last.at]
        after = [s for s in answered if s.at > last.at]
        if before and after:
            return Finding((*plain, before[-1], after[0]), 0.9)
    return None


@rule("services.own_server_silent", Tier.NOTE, None)
def own_server_silent(e: Evidence) -> Finding | None:
    """A server of your own configuration does not answer: it is down or it is blocked."""
    failed = {part: found for part, found in own_servers(e).items() if not _any_answered(found)}
    known = [a for part, found in failed.items() if THROWAWAY not in part for a in found]
    return Finding(_last_steps(known), 0.5) if known else None


@rule("services.own_server_wants_a_key", Tier.NOTE, None)
def own_server_wants_a_key(e: Evidence) -> Finding | None:
    """The server answers only keys it knows; no key was configured, so silence proves nothing."""
    asked = [a for part, found in own_servers(e).items() if THROWAWAY in part for a in found]
    return Finding(_last_steps(asked), 0.5) if asked and not _any_answered(asked) else None


def _any_answered(attempts: Sequence[EndpointAttempt]) -> bool:
    return any(attempt.failure is None for attempt in attempts)


# --- inconclusive -----------------------------------------------------------------------------


@rule("services.seen_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def seen_once(e: Evidence) -> Finding | None:
    """The service failed, and the confirmation measurement is missing."""
    failed = [a for attempts in parts(e).values() for a in attempts if a.failure is not None]
    repeated = any(a.summary.try_ > 1 for a in failed)
    return Finding(_last_steps(failed[-1:]), 0.5) if failed and not repeated else None


@rule("services.no_control", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_control(e: Evidence) -> Finding | None:
    """The service failed; a control measurement is missing, and nothing here proves the cause."""
    return Finding(e.steps[-1:], 0.5) if e.steps and not e.controls and not own_servers(e) else None


@rule("services.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Finding | None:
    """The observations show neither a working service, nor a broken one, nor interference."""
    return Finding(e.steps[-1:], 0.4)
