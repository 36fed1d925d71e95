"""How an interceptor is called up, and what it makes of what the site itself presents.

Notes only: that there is an interceptor at all is for `interception` to prove, and where nothing
there held, nothing is said here. A *hit* is a handshake that offered the target's name and got a
certificate that no browser trusts, which is neither what the same server shows to any name nor what
a control is shown.
"""

from datetime import timedelta

from probe.analysis.evidence import Evidence
from probe.certificates.forgery import LeafFacts, trust_facts
from probe.compare import same_issuer, same_leaf
from probe.model import Base, Role, Tls, Trust, TrustReason
from probe.rule import Finding, Tier, rule, rules_of
from probe.rules import tls_interception

EXPERIMENTS = ("mitm",)
HTTPS = 443
_HOUR = timedelta(hours=1)
_BROKEN = {
    TrustReason.EXPIRED: "has expired",
    TrustReason.NOT_YET_VALID: "is not valid yet",
    TrustReason.SELF_SIGNED: "vouches for itself",
    TrustReason.HOSTNAME: "is for another name",
}


def _caught(e: Evidence) -> bool:
    return any(each.holds(e) is not None for each in rules_of(tls_interception))


def _offered(e: Evidence) -> list[Tls]:
    """Handshakes that offered the target's name and were answered with a certificate."""
    mine = (Role.TARGET, Role.NEUTRAL)
    steps = [s for s in e.steps if isinstance(s, Tls) and s.role in mine and s.sni == e.host]
    return [s for s in steps if s.trust is not None and s.trust.reason is not TrustReason.EMPTY]


def is_hit(e: Evidence, step: Tls) -> bool:
    """This handshake was answered by the interceptor."""
    if step.trust is None or step.trust.valid or step.trust.anchored:
        return False
    default = [s for s in e.harmless(Tls) if (s.address, s.port) == (step.address, step.port)]
    if any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in default):
        return False
    return not any(same_leaf(step, s) for s in e.control_handshakes(0))


def _hits(e: Evidence) -> list[Tls]:
    return [s for s in _offered(e) if is_hit(e, s)] if _caught(e) else []


def _home(e: Evidence) -> set[str]:
    """The addresses that were taken for the site's own."""
    return {s.address for s in e.all(Tls) if s.sni == e.host}


def _away(e: Evidence) -> list[Tls]:
    """The name at servers that have nothing to do with it, at the usual port or their own."""
    home = _home(e)
    return [s for s in _offered(e) if s.role is Role.NEUTRAL and s.address not in home]


def _by_hello(e: Evidence, *hellos: str) -> dict[str, Tls]:
    """For each hello, the last handshake that offered the name with it at the site's address."""
    own = [s for s in e.all(Tls) if s.sni == e.host]
    return {s.hello: s for s in own if s.hello in hellos}


def _fate(e: Evidence, step: Tls) -> str:
    if step.trust is None:
        return "no answer"
    return "intercepted" if is_hit(e, step) else "left alone"


@rule("mitm.name_alone_suffices", Tier.NOTE, None)
def name_alone_suffices(e: Evidence) -> Finding | None:
    """The name calls up the interceptor at an unrelated server too: the address does not matter."""
    hits = _hits(e)
    found = [s for s in _away(e) if s in hits]
    return Finding(tuple(found[-1:]), 0.0) if found else None


@rule("mitm.only_at_its_address", Tier.NOTE, None)
def only_at_its_address(e: Evidence) -> Finding | None:
    """At an unrelated server the name is left alone: the interceptor looks at the address too."""
    hits, away = _hits(e), _away(e)
    at_home = [s for s in hits if s.address in _home(e) and s.role is Role.TARGET]
    if not at_home or not away or any(s in hits for s in away):
        return None
    # The 2019 system let a server be that had no trusted certificate of its own.
    proven = {s.address for s in e.all(Tls, role=Role.REFERENCE) if s.trust and s.trust.valid}
    passed = [s for s in away if s.address in proven]
    return Finding((at_home[-1], passed[-1]), 0.0) if passed else None


@rule("mitm.tls_versions", Tier.NOTE, None)
def tls_versions(e: Evidence) -> Finding | None:
    """Which versions of TLS call up the interceptor."""
    seen = _by_hello(e, "tls12", "tls13")
    if len(seen) < 2 or not _hits(e):
        return None
    reason = f"TLS 1.2: {_fate(e, seen['tls12'])}. TLS 1.3: {_fate(e, seen['tls13'])}."
    return Finding(tuple(seen.values()), 0.0, reason=reason)


@rule("mitm.alpn", Tier.NOTE, None)
def alpn(e: Evidence) -> Finding | None:
    """Whether it matters that a browser says which protocols it speaks (ALPN)."""
    seen = _by_hello(e, "default", "noalpn")
    if len(seen) < 2 or not _hits(e):
        return None
    fates = _fate(e, seen["default"]), _fate(e, seen["noalpn"])
    reason = f"With ALPN, as browsers do: {fates[0]}. Without ALPN: {fates[1]}."
    return Finding(tuple(seen.values()), 0.0, reason=reason)


@rule("mitm.other_port", Tier.NOTE, None)
def other_port(e: Evidence) -> Finding | None:
    """Whether the interceptor also looks at a port that is not the site's own."""
    home = _home(e)
    there = [s for s in _offered(e) if s.role is Role.NEUTRAL and s.address in home]
    if not there or not _hits(e):
        return None
    reason = f"At port {there[-1].port} of the same address: {_fate(e, there[-1])}."
    return Finding((there[-1],), 0.0, reason=reason)


@rule("mitm.name_cut_in_two", Tier.NOTE, None)
def name_cut_in_two(e: Evidence) -> Finding | None:
    """Whether the interceptor finds a name that comes in two packets."""
    seen = _by_hello(e, "split")
    if not seen or not _hits(e):
        return None
    reason = f"With the name cut over two packets: {_fate(e, seen['split'])}."
    return Finding((seen["split"],), 0.0, reason=reason)


@rule("mitm.copies_the_origin", Tier.NOTE, None)
def copies_the_origin(e: Evidence) -> Finding | None:
    """What the forged certificate takes over from the site's own."""
    for step in reversed(_hits(e)):
        for true in _true_ones(e, step):
            copied = _copied(step, true)
            if copied:
                reason = f"The forged certificate takes over from the true one: {copied}."
                return Finding((step,), 0.0, reason=reason)
    return None


@rule("mitm.origin_is_broken", Tier.NOTE, None)
def origin_is_broken(e: Evidence) -> Finding | None:
    """What the interceptor makes of a site whose own certificate is broken."""
    for step in reversed(_hits(e)):
        for true in _true_ones(e, step):
            word = _BROKEN.get(true.reason) if true.reason else None
            if word and not true.valid:
                reason = f"The site's own certificate {word}; {_made_of(step, true)}."
                return Finding((step,), 0.0, reason=reason)
    return None


@rule("mitm.handwriting", Tier.NOTE, None)
def handwriting(e: Evidence) -> Finding | None:
    """How the interceptor's own TLS answers are made, beside the server's behind it."""
    for step in reversed(_hits(e)):
        alike = [
            s
            for s in e.harmless(Tls)
            if (s.address, s.port, s.hello) == (step.address, step.port, step.hello)
            and s.server_hello
        ]
        if step.server_hello and alike:
            same = alike[-1].server_hello == step.server_hello
            beside = "as the server's are" if same else f"the server's as {alike[-1].server_hello}"
            reason = f"The interceptor's answers are made as {step.server_hello}, {beside}."
            return Finding((step, alike[-1]), 0.0, reason=reason)
    return None


def _true_ones(e: Evidence, step: Tls) -> list[Trust]:
    """The site's own certificates: what controls are shown, and what came another way."""
    own: list[Base] = [*e.control_handshakes(0), *e.handshakes(0)]
    shaken = [s for s in own if isinstance(s, Tls) and not same_leaf(s, step)]
    return [s.trust for s in shaken if s.trust and not same_issuer(s.trust, step.trust)]


def _copied(step: Tls, true: Trust) -> str:
    forged = trust_facts(step.trust) if step.trust else None
    origin = trust_facts(true)
    if forged is None or origin is None:
        return ""
    words = [_dates(forged, origin)]
    if forged.serial == origin.serial:
        words.append("the serial")
    elif forged.serial[:-4] == origin.serial[:-4] and len(origin.serial) >= 8:
        words.append("the serial but for its tail")
    return ", ".join(word for word in words if word)


def _dates(forged: LeafFacts, origin: LeafFacts) -> str:
    off = forged.not_before - origin.not_before
    if off != forged.not_after - origin.not_after or abs(off) > 24 * _HOUR:
        return ""
    if not off:
        return "both dates"
    return f"both dates, {off / _HOUR:+g} hours"


def _made_of(step: Tls, true: Trust) -> str:
    """What a visitor sees of the site's own mistake, had he the interceptor's root installed."""
    forged = step.trust
    if forged is None or not forged.not_after or not true.not_after:
        return "what is served in its place does not say when it ends"
    if true.reason in {TrustReason.EXPIRED, TrustReason.NOT_YET_VALID}:
        kept = (forged.not_before, forged.not_after) == (true.not_before, true.not_after)
        off = "the same dates are signed" if kept else "other dates are signed in their place"
        return f"{off} by the interceptor"
    covered = "for the name that was asked" if forged.named else "for no name that was asked"
    return f"the interceptor signs one {covered} all the same, and hides it"
