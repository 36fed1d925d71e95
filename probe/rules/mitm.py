"""Notes on an interceptor: what triggers it, and how it changes the site's own certificate.

The rules in `tls_interception.py` prove that there is an interceptor; without such a proof there
are no notes. A *hit* is a handshake that offered the target's name and got an untrusted
certificate, which the same server does not show for other names and a control does not receive.
"""

from datetime import timedelta

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.certificates.forgery import LeafFacts, trust_facts
from probe.compare import same_issuer, same_leaf
from probe.model import Base, Role, Tls, Trust, TrustReason
from probe.rule import Finding, Tier, rule, rules_of
from probe.rules import tls_interception

EXPERIMENTS = ("mitm",)
HTTPS = 443
HITS = 32
_HOUR = timedelta(hours=1)
_BROKEN = {
    TrustReason.EXPIRED: "has expired",
    TrustReason.NOT_YET_VALID: "is not valid yet",
    TrustReason.SELF_SIGNED: "is self-signed",
    TrustReason.HOSTNAME: "is for another name",
}


@once
def _offered(e: Evidence) -> list[Tls]:
    """Handshakes that offered the target's name and were answered with a certificate."""
    mine = (Role.TARGET, Role.NEUTRAL)
    steps = [s for s in e.steps if isinstance(s, Tls) and s.role in mine and s.sni == e.host]
    return [s for s in steps if s.trust is not None and s.trust.reason is not TrustReason.EMPTY]


def is_hit(e: Evidence, step: Tls) -> bool:
    """The interceptor answered this handshake."""
    if step.trust is None or step.trust.valid or step.trust.anchored:
        return False
    leaf, issuer = step.trust.leaf_key, step.trust.issuer_key
    leaves, issuers = _default_keys(e, step.address, step.port)
    if (leaf and leaf in leaves) or (issuer and issuer in issuers):
        return False
    return not leaf or leaf not in _control_keys(e)


@once
def _default_keys(e: Evidence, address: str, port: int) -> tuple[set[str], set[str]]:
    """The keys of the certificates for harmless names at a server, and those of their issuers."""
    here = [s for s in e.harmless(Tls) if (s.address, s.port) == (address, port)]
    shown = [s.trust for s in here if s.trust is not None]
    return {trust.leaf_key for trust in shown}, {trust.issuer_key for trust in shown}


@once
def _control_keys(e: Evidence) -> set[str]:
    return {s.trust.leaf_key for s in e.control_handshakes(0) if s.trust is not None}


@once
def _hits(e: Evidence) -> list[Tls]:
    """The hits, if the interceptor is proven; else none. Of more than a probe makes, the last."""
    proven = any(each.holds(e) is not None for each in rules_of(tls_interception))
    return [s for s in _offered(e) if is_hit(e, s)][-HITS:] if proven else []


@once
def _own_addresses(e: Evidence) -> set[str]:
    """The addresses that were taken for the site's own."""
    return {s.address for s in e.all(Tls) if s.sni == e.host}


@once
def _elsewhere(e: Evidence) -> list[Tls]:
    """Handshakes that offered the name to unrelated servers."""
    own = _own_addresses(e)
    return [s for s in _offered(e) if s.role is Role.NEUTRAL and s.address not in own]


def _by_hello(e: Evidence, *hellos: str) -> dict[str, Tls]:
    """For each hello, the last handshake that offered the name with it at the site's address."""
    own = [s for s in e.all(Tls) if s.sni == e.host]
    return {s.hello: s for s in own if s.hello in hellos}


def _result(e: Evidence, step: Tls) -> str:
    if step.trust is None:
        return "no answer"
    return "intercepted" if is_hit(e, step) else "not intercepted"


@rule("mitm.name_alone_suffices", Tier.NOTE, None)
def name_alone_suffices(e: Evidence) -> Finding | None:
    """The name triggers the interceptor at an unrelated server too: the address does not matter."""
    hits = _hits(e)
    found = [s for s in _elsewhere(e) if s in hits]
    return Finding(tuple(found[-1:]), 0.0) if found else None


@rule("mitm.only_at_its_address", Tier.NOTE, None)
def only_at_its_address(e: Evidence) -> Finding | None:
    """At an unrelated server the name is not intercepted: the address matters too."""
    hits, elsewhere, own = _hits(e), _elsewhere(e), _own_addresses(e)
    at_own = [s for s in hits if s.address in own and s.role is Role.TARGET]
    if not at_own or not elsewhere or any(s in hits for s in elsewhere):
        return None
    # The 2019 system ignored servers without a trusted certificate of their own.
    proven = {s.address for s in e.all(Tls, role=Role.REFERENCE) if s.trust and s.trust.valid}
    passed = [s for s in elsewhere if s.address in proven]
    return Finding((at_own[-1], passed[-1]), 0.0) if passed else None


@rule("mitm.tls_versions", Tier.NOTE, None)
def tls_versions(e: Evidence) -> Finding | None:
    """Which versions of TLS trigger the interceptor."""
    seen = _by_hello(e, "tls12", "tls13")
    if len(seen) < 2 or not _hits(e):
        return None
    reason = f"TLS 1.2: {_result(e, seen['tls12'])}. TLS 1.3: {_result(e, seen['tls13'])}."
    return Finding(tuple(seen.values()), 0.0, reason=reason)


@rule("mitm.alpn", Tier.NOTE, None)
def alpn(e: Evidence) -> Finding | None:
    """Whether the ALPN extension, which lists the browser's protocols, makes a difference."""
    seen = _by_hello(e, "default", "noalpn")
    if len(seen) < 2 or not _hits(e):
        return None
    having, lacking = _result(e, seen["default"]), _result(e, seen["noalpn"])
    reason = f"With ALPN, as browsers do: {having}. Without ALPN: {lacking}."
    return Finding(tuple(seen.values()), 0.0, reason=reason)


@rule("mitm.other_port", Tier.NOTE, None)
def other_port(e: Evidence) -> Finding | None:
    """Whether the interceptor also intercepts another port than the site's own."""
    own = _own_addresses(e)
    there = [s for s in _offered(e) if s.role is Role.NEUTRAL and s.address in own]
    if not there or not _hits(e):
        return None
    reason = f"At port {there[-1].port} of the same address: {_result(e, there[-1])}."
    return Finding((there[-1],), 0.0, reason=reason)


@rule("mitm.name_cut_in_two", Tier.NOTE, None)
def name_cut_in_two(e: Evidence) -> Finding | None:
    """Whether the interceptor finds a name that is split over two packets."""
    seen = _by_hello(e, "split")
    if not seen or not _hits(e):
        return None
    reason = f"With the name split over two packets: {_result(e, seen['split'])}."
    return Finding((seen["split"],), 0.0, reason=reason)


@rule("mitm.copies_the_origin", Tier.NOTE, None)
def copies_the_origin(e: Evidence) -> Finding | None:
    """What the forged certificate copies from the site's own."""
    for step in reversed(_hits(e)):
        for true in _true_certificates(e, step):
            copied = _copied(step, true)
            if copied:
                reason = f"The forged certificate copies from the true one: {copied}."
                return Finding((step,), 0.0, reason=reason)
    return None


@rule("mitm.origin_is_broken", Tier.NOTE, None)
def origin_is_broken(e: Evidence) -> Finding | None:
    """What the interceptor shows for a site whose own certificate is invalid."""
    for step in reversed(_hits(e)):
        for true in _true_certificates(e, step):
            fault = _BROKEN.get(true.reason) if true.reason else None
            if fault and not true.valid:
                reason = f"The site's own certificate {fault}; {_substitute(step, true)}."
                return Finding((step,), 0.0, reason=reason)
    return None


@rule("mitm.handwriting", Tier.NOTE, None)
def server_hello(e: Evidence) -> Finding | None:
    """The fingerprint of the interceptor's ServerHello, compared with the server's own."""
    for step in reversed(_hits(e)):
        alike = [
            s
            for s in e.harmless(Tls)
            if (s.address, s.port, s.hello) == (step.address, step.port, step.hello)
            and s.server_hello
        ]
        if step.server_hello and alike:
            theirs = alike[-1].server_hello
            same = theirs == step.server_hello
            server = "the server's is the same" if same else f"the server's is {theirs}"
            reason = f"The interceptor's ServerHello is {step.server_hello}; {server}."
            return Finding((step, alike[-1]), 0.0, reason=reason)
    return None


def _true_certificates(e: Evidence, step: Tls) -> list[Trust]:
    """The site's own certificates: those of the controls, and others that came to this machine."""
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
        words.append("the serial except its last bytes")
    return ", ".join(word for word in words if word)


def _dates(forged: LeafFacts, origin: LeafFacts) -> str:
    off = forged.not_before - origin.not_before
    if off != forged.not_after - origin.not_after or abs(off) > 24 * _HOUR:
        return ""
    if not off:
        return "both dates"
    return f"both dates, {off / _HOUR:+g} hours"


def _substitute(step: Tls, true: Trust) -> str:
    """How the forged certificate treats the fault, as a user with its root installed sees it."""
    forged = step.trust
    if forged is None or not forged.not_after or not true.not_after:
        return "the forged certificate has no end date"
    if true.reason in {TrustReason.EXPIRED, TrustReason.NOT_YET_VALID}:
        kept = (forged.not_before, forged.not_after) == (true.not_before, true.not_after)
        return f"the interceptor signs {'the same' if kept else 'other'} dates"
    covered = "for this name" if forged.named else "for another name"
    return f"the interceptor signs a certificate {covered} and hides the fault"
