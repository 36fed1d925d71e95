"""Rules on forged certificates: an interceptor in the path decrypts the connection.

A key decides, not a name: a signature by a known interception key is certain; a known name with an
unknown key is a new key of the same system or an imitation. An unknown authority is an interceptor
only when the site has another certificate, and only when this line does not re-sign every site.
"""

import re
from base64 import b64decode

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.certificates import certificate
from probe.certificates.forgery import LeafFacts, resembles_2019, trust_facts
from probe.certificates.trust import covers, matches
from probe.compare import host_of, same_issuer, same_leaf
from probe.model import Base, Mechanism, Outcome, Role, Tls, TrustReason
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule
from probe.rules.access import is_local_interceptor

EXPERIMENTS = WEB

_MITM = Mechanism.TLS_MITM
FORGED = 32
_COMMON_NAME = re.compile(r"(?:^|,)CN=([^,+]+)")


@once
def forged(e: Evidence) -> list[Tls]:
    """Handshakes whose chain leads to no Mozilla root; local products are left out.

    Only handshakes at the URL's own port: the https server of a plain-http site is not judged. Of
    more than a probe makes, the last.
    """
    found = [
        step
        for hop in range(e.end + 1)
        for step in e.handshakes(hop)
        if step.port == e.port(hop)
        and step.trust is not None
        and not step.trust.valid
        and not step.trust.anchored
        and step.trust.reason not in {TrustReason.EMPTY, TrustReason.INCOMPLETE}
        and not is_local_interceptor(e, step)
        and not _national(step)
    ]
    return found[-FORGED:]


def _national(step: Tls) -> bool:
    authority = step.trust.authority if step.trust else None
    return authority is not None and authority.kind == "national"


@rule("tls.known_interception_key", Tier.KNOWN, Outcome.INTERCEPTED, _MITM)
def known_interception_key(e: Evidence) -> Finding | None:
    """The certificate was signed with a known interception key."""
    elsewhere = [s for s in e.all(Tls, role=Role.NEUTRAL) if s.sni == e.host]
    for step in reversed([*elsewhere, *e.all(Tls)]):
        authority = step.trust.authority if step.trust else None
        if authority and authority.kind == "interception" and authority.proof == "verified":
            reason = f"The certificate was signed with the known interception key {authority.id}."
            return Finding((step,), 0.99, reason=reason)
    return None


@rule(
    "tls.claims_interception_authority",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "a known interception authority's name is on the certificate",
        InnocentExplanation.SERVER: "no control gets this certificate",
        InnocentExplanation.MEANS: "the clock does not matter for a name",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def claims_interception_authority(e: Evidence) -> Finding | None:
    """The certificate has a known interception authority's name and an unknown key."""
    for step in reversed(forged(e)):
        authority = step.trust.authority if step.trust else None
        if authority is None or authority.kind != "interception":
            continue
        if any(same_leaf(step, there) for there in e.control_handshakes(step.hop)):
            continue
        reason = f"The certificate has the name of {authority.id} and another key."
        return Finding((step,), 0.9, reason=reason)
    return None


@rule(
    "tls.control_sees_another_certificate",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "not every unrelated site is re-signed",
        InnocentExplanation.SERVER: "a control gets a certificate of another authority",
        InnocentExplanation.MEANS: "Mozilla's roots decide, and the clock is checked",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def control_sees_another_certificate(e: Evidence) -> Finding | None:
    """An unknown authority signs for the site here; the control gets another certificate."""
    if not _selective(e):
        return None
    for step in reversed(forged(e)):
        there = [s for s in e.control_handshakes(step.hop) if s.trust is not None]
        if not there or any(same_leaf(step, s) or same_issuer(step.trust, s.trust) for s in there):
            continue
        named = step.trust is not None and step.trust.named
        if not named and not _control_knows_address(e, step):
            continue
        trusted = any(s.trust and (s.trust.valid or s.trust.anchored) for s in there)
        if not trusted and _self_signed(step) and any(map(_self_signed, there)):
            continue  # each server of such a site may have made its own
        return Finding((step,), (0.97 if trusted else 0.85) * e.control_weight)
    return None


@rule(
    "tls.copied_like_2019",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "the copy has the marks of one known system",
        InnocentExplanation.SERVER: "the true certificate was seen as well",
        InnocentExplanation.MEANS: "certificates are compared byte by byte",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def copied_like_2019(e: Evidence) -> Finding | None:
    """The certificate is a changed copy of the site's own, as the system of 2019 made them."""
    for step in reversed(forged(e)):
        copy = trust_facts(step.trust) if step.trust else None
        for other, true in _leaves(e, step.hop):
            if copy is not None and resembles_2019(copy, true):
                local = any(other is s for s in e.steps)
                return Finding((step, other) if local else (step,), 0.98)
    return None


@once
def _leaves(e: Evidence, hop: int) -> list[tuple[Tls, LeafFacts]]:
    """The certificates for the name of this hop, here and for the controls."""
    shaken = (*e.handshakes(hop), *e.control_handshakes(hop))
    read = ((step, trust_facts(step.trust)) for step in shaken if step.trust)
    return [(step, facts) for step, facts in read if facts is not None]


@rule(
    "tls.same_server_proves_another_way",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "the same address also shows a trusted certificate",
        InnocentExplanation.SERVER: "the trusted one is for this name; this one is an authority's",
        InnocentExplanation.MEANS: "Mozilla's roots decide, and the clock is checked",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def same_server_proves_another_way(e: Evidence) -> Finding | None:
    """The same address shows the site's trusted certificate for another name or another hello."""
    for step in reversed(forged(e)):
        for other in (*e.harmless(Tls), *e.handshakes(step.hop)):
            if other.trust is None or not other.trust.anchored:
                continue
            if (other.address, other.port) != (step.address, step.port):
                continue
            # No server sees how a hello was cut into segments.
            cut = other.sni == step.sni and other.hello == "split" != step.hello
            if _self_signed(step) and not cut:
                continue  # a virtual host that was never given its certificate, or one such node
            # A shared host shows another site's certificate for a harmless name: no proof.
            if other.sni == step.sni or _is_for(e, other, step.sni):
                return Finding((step, other), 0.95 if cut or e.controls else 0.85)
    return None


def _is_for(e: Evidence, step: Tls, name: str | None) -> bool:
    """The certificate of a step covers this name, even if the step offered another one.

    A trusted authority writes only a certified name into the common name.
    """
    common = _COMMON_NAME.search(step.trust.subject) if step.trust else None
    if common is not None and name is not None and matches(common[1], name):
        return True
    return _covers(e, next(iter(step.chain), ""), name)


@once
def _covers(e: Evidence, digest: str, name: str | None) -> bool:
    try:
        leaf = certificate.read(b64decode(e.record.certs.get(digest, "")))
    except ValueError:
        return False
    return covers(leaf, name)


@rule(
    "tls.one_key_for_unrelated_names",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "other unrelated sites show trusted certificates",
        InnocentExplanation.SERVER: "unrelated servers show the same key",
        InnocentExplanation.MEANS: "Mozilla's roots decide, and the clock is checked",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def one_key_for_unrelated_names(e: Evidence) -> Finding | None:
    """One untrusted key signs for several unrelated names, and other sites are not re-signed."""
    if e.line.resigned_names < 2 or not e.line.trusted_names:
        return None
    for step in reversed(forged(e)):
        trust = step.trust
        if trust and trust.named and trust.issuer_key == e.line.resigned_by:
            if _self_signed(step):
                continue  # one server's, for all of its hosts
            if any(same_leaf(step, there) for there in e.control_handshakes(step.hop)):
                continue
            here = [s for s in e.harmless(Tls) if (s.address, s.port) == (step.address, step.port)]
            if any(same_issuer(s.trust, step.trust) for s in here):
                continue  # the server's own: it has a private authority
            return Finding((step,), 0.85)
    return None


@rule(
    "tls.interceptor_answers_elsewhere",
    Tier.ACCUSED,
    Outcome.INTERCEPTED,
    _MITM,
    excludes={
        InnocentExplanation.LINE: "harmless names get other certificates there",
        InnocentExplanation.SERVER: "an unrelated server shows the key for this name",
        InnocentExplanation.MEANS: "Mozilla's roots decide, and the clock is checked",
        InnocentExplanation.CHANCE: "a signature is no accident",
    },
)
def interceptor_answers_elsewhere(e: Evidence) -> Finding | None:
    """An unrelated server shows an untrusted certificate for this name, and not for another."""
    for step in e.all(Tls, role=Role.NEUTRAL):
        name = host_of(e.hop_urls.get(step.hop, ""))
        if step.sni != name or step.trust is None or step.trust.anchored or step.trust.valid:
            continue
        if e.same_operator(step):
            continue
        here = [s for s in e.harmless(Tls) if (s.address, s.port) == (step.address, step.port)]
        answered = [s for s in here if s.trust is not None]
        if answered and not any(same_issuer(step.trust, s.trust) for s in answered):
            return Finding((step, *answered[-1:]), 0.95)
    return None


def _selective(e: Evidence) -> bool:
    """Another site was not re-signed here, so no product re-signs every site."""
    if e.line.trusted_names:
        return True
    others: list[Base] = [*e.harmless(Tls)]
    return any(
        isinstance(s, Tls) and s.trust is not None and (s.trust.valid or s.trust.anchored)
        for s in others
    )


def _control_knows_address(e: Evidence, step: Tls) -> bool:
    there = {s.address for s in e.control_handshakes(step.hop)}
    return step.address in there or step.address in e.control_addresses(step.hop)


def _self_signed(step: Tls) -> bool:
    return step.trust is not None and step.trust.reason is TrustReason.SELF_SIGNED
