"""What the places of a service say, part by part: that it works, is broken, or cannot be judged.

A part works when one of its places answers as it should; a success in either look clears. Servers
of the volunteer's own configuration are compared with themselves alone: no control knows them.
What accuses the network for a service's public places is in `stops.py`.
"""

from collections.abc import Iterable, Sequence

from probe.analysis.evidence import Evidence, consistently
from probe.analysis.service_attempts import OWN, THROWAWAY, Attempt, attempts, by_part, by_place
from probe.compare import same_issuer, same_leaf
from probe.model import Base, Control, Mechanism, Outcome, Ping, Role, Tls
from probe.rule import Finding, Rule, Tier, rule
from probe.rules import access, tls_interception

EXPERIMENTS = ("telegram", "whatsapp", "signal", "messenger", "tor", "openvpn", "wireguard")

Parts = dict[str, list[Attempt]]


def parts(e: Evidence) -> Parts:
    """What the service needs: its public parts, or for a server of one's own that server."""
    every = by_part(attempts(e.steps))
    public = {part: looks for part, looks in every.items() if not _is_own(looks)}
    return public or every


def own(e: Evidence) -> Parts:
    """Servers of the volunteer's own configuration."""
    return {part: looks for part, looks in by_part(attempts(e.steps)).items() if _is_own(looks)}


def dead(e: Evidence) -> Parts:
    """Public parts of which no place answered, and each was looked at twice."""
    return {
        part: looks
        for part, looks in parts(e).items()
        if not _is_own(looks)
        and all(one.failure is not None for one in looks)
        and all(len(again) > 1 for again in by_place(looks).values())
    }


def there(part: str, controls: Sequence[Control]) -> list[Attempt]:
    """The controls' looks at one part."""
    return [
        look
        for control in controls
        for look in by_part(attempts(control.steps)).get(part, ())
        if not look.own
    ]


def _is_own(looks: Sequence[Attempt]) -> bool:
    return all(look.own for look in looks)


def last_steps(looks: Iterable[Attempt]) -> tuple[Base, ...]:
    """The step that each look ended with."""
    return tuple(look.steps[-1] if look.steps else look.summary for look in looks)


def besides(e: Evidence, stopped: str) -> str:
    """Which other parts do answer, for the end of a sentence."""
    fine = [part for part, looks in parts(e).items() if any(x.failure is None for x in looks)]
    others = [part for part in fine if part != stopped]
    return f"; its {' and '.join(others)} answer" if others else ""


# --- it works ---------------------------------------------------------------------------------


@rule("services.proven", Tier.PROVEN, Outcome.OK)
def proven(e: Evidence) -> Finding | None:
    """Every part of the service answers, and has shown that it is the service."""
    found = [next((x for x in looks if x.proven), None) for looks in parts(e).values()]
    shown = [one for one in found if one is not None]
    return Finding(last_steps(shown), 0.97) if shown and len(shown) == len(found) else None


@rule("services.answers", Tier.LIKELY, Outcome.OK)
def answers(e: Evidence) -> Finding | None:
    """Every part of the service answers; of some only the connection can be seen."""
    found = [next((x for x in looks if _vouched(e, x)), None) for looks in parts(e).values()]
    shown = [one for one in found if one is not None]
    return Finding(last_steps(shown), 0.85) if shown and len(shown) == len(found) else None


def _vouched(e: Evidence, look: Attempt) -> bool:
    """It answers, and shows nothing that a control would not see there as well."""
    step = look.tls
    if look.failure is not None or look.proven or step is None or step.sni is None:
        return look.failure is None
    seen = [s for s in e.control(Tls) if s.sni == step.sni]
    return any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in seen)


# --- the line ---------------------------------------------------------------------------------


@rule("services.line_is_dead", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def line_is_dead(e: Evidence) -> Finding | None:
    """Nothing at all answered on this line: it says nothing of the service."""
    return access.line_is_dead.holds(e)


@rule("services.line_is_cut", Tier.CAVEAT, Outcome.INCONCLUSIVE)
def line_is_cut(e: Evidence) -> Finding | None:
    """Sites that must work do not answer on this line, nor does the service: that is the line."""
    return access.line_is_cut.holds(e)


@rule("services.portal_answers", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_CAPTIVE_PORTAL)
def portal_answers(e: Evidence) -> Finding | None:
    """One page answers for everything on this line: a captive portal, not the service."""
    return access.portal_answers.holds(e)


@rule(
    "services.everything_is_resigned",
    Tier.CAVEAT,
    Outcome.INCONCLUSIVE,
    Mechanism.ACCESS_LOCAL_INTERCEPTOR,
)
def everything_is_resigned(e: Evidence) -> Finding | None:
    """A product at home or in the office re-signs what is asked here."""
    resigned = [s for s in e.all(Tls) if access.is_local_interceptor(e, s)]
    return Finding(tuple(resigned[-1:]), 0.9) if resigned else None


# --- somebody in the middle -------------------------------------------------------------------


@rule("services.known_interception_key", Tier.KNOWN, Outcome.INTERCEPTED, Mechanism.TLS_MITM)
def known_interception_key(e: Evidence) -> Finding | None:
    """A certificate of the service was signed by a key made for interception."""
    return tls_interception.known_interception_key.holds(e)


@rule("services.forged_certificate", Tier.ACCUSED, Outcome.INTERCEPTED, Mechanism.TLS_MITM)
def forged_certificate(e: Evidence) -> Finding | None:
    """An unknown authority signs for the service here, and another one for everybody else."""
    for step in reversed(e.all(Tls)):
        if not _foreign(e, step):
            continue
        seen = [s for s in e.control(Tls) if s.sni == step.sni and s.trust is not None]
        if seen and not any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in seen):
            return Finding((step,), 0.93 * e.control_weight)
        here = [s for s in e.harmless(Tls) if s.address == step.address and s.port == step.port]
        shown = [s for s in here if s.trust is not None and s.trust.anchored]
        if shown and not seen:
            return Finding((step, shown[-1]), 0.9)
    return None


def _foreign(e: Evidence, step: Tls) -> bool:
    """A chain for this name that leads to nobody we know, on a line where others are trusted."""
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
    """Nobody reaches one part of the service: the control fails in the same way."""
    for part, looks in dead(e).items():
        seen = there(part, e.latest)
        failures = {one.failure for one in looks}
        if seen and all(one.failure in failures for one in seen):
            reason = f"Its {part} fails for the control in the same way{besides(e, part)}."
            return Finding(last_steps(looks), 0.92 * e.control_weight, reason=reason)
    return None


# --- servers of one's own ---------------------------------------------------------------------


@rule("services.protocol_stopped", Tier.ACCUSED, Outcome.BLOCKED)
def protocol_stopped(e: Evidence) -> Finding | None:
    """The server answers the very same message behind meaningless ones, and never as it is."""
    behind = [s for s in e.all(Ping, role=Role.HARMLESS) if s.what.startswith(OWN)]
    for part, looks in own(e).items():
        plain = [one.summary for one in looks]
        last = consistently(plain)
        answered = [s for s in behind if s.what == part and s.failure is None]
        before = [s for s in answered if last is not None and s.at <= last.at]
        after = [s for s in answered if last is not None and s.at > last.at]
        if before and after:
            return Finding((*plain, before[-1], after[0]), 0.9)
    return None


@rule("services.own_server_silent", Tier.NOTE, None)
def own_server_silent(e: Evidence) -> Finding | None:
    """A server of your own configuration does not answer: down or stopped, one line cannot tell."""
    failed = {part: looks for part, looks in own(e).items() if not _answered(looks)}
    known = [x for part, looks in failed.items() if THROWAWAY not in part for x in looks]
    return Finding(last_steps(known), 0.5) if known else None


@rule("services.own_server_wants_a_key", Tier.NOTE, None)
def own_server_wants_a_key(e: Evidence) -> Finding | None:
    """A server answers only keys it knows, and none was given: its silence says nothing."""
    asked = [x for part, looks in own(e).items() if THROWAWAY in part for x in looks]
    return Finding(last_steps(asked), 0.5) if asked and not _answered(asked) else None


def _answered(looks: Sequence[Attempt]) -> bool:
    return any(look.failure is None for look in looks)


# --- we cannot tell ---------------------------------------------------------------------------


@rule("services.seen_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def seen_once(e: Evidence) -> Finding | None:
    """It did not simply work, and it could not be looked at a second time."""
    failed = [x for looks in parts(e).values() for x in looks if x.failure is not None]
    again = any(x.summary.try_ > 1 for x in failed)
    return Finding(last_steps(failed[-1:]), 0.5) if failed and not again else None


@rule("services.no_control", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_control(e: Evidence) -> Finding | None:
    """It did not simply work, nobody looked from elsewhere, and nothing here proves why."""
    return Finding(e.steps[-1:], 0.5) if e.steps and not e.controls and not own(e) else None


@rule("services.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Finding | None:
    """What was seen fits no working service, no broken one, and no interference we can prove."""
    return Finding(e.steps[-1:], 0.4)


RULES: tuple[Rule, ...] = (
    known_interception_key,
    proven,
    line_is_dead,
    line_is_cut,
    portal_answers,
    everything_is_resigned,
    forged_certificate,
    protocol_stopped,
    down_everywhere,
    answers,
    seen_once,
    no_control,
    nothing_fits,
    own_server_silent,
    own_server_wants_a_key,
)
