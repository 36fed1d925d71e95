"""The certificate that came next to the site's own, fact by fact, and what the difference means.

For somebody who has never looked at a certificate. Nothing is judged here: that it was forged is
the verdict's word, and without that word nothing is said.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from probe.certificates.forgery import Mark, leaf_facts, marks, shifted_by, trust_facts
from probe.compare import same_leaf
from probe.model import Control, Mechanism, Record, Role, Tls, Trust
from probe.report.glossary import TRUST, seconds

_WAYS = {
    "split": "with the name cut over two packets",
    "tls12": "with TLS 1.2",
    "tls13": "with TLS 1.3",
    "noalpn": "without ALPN",
}
_MINE = frozenset({Role.TARGET, Role.NEUTRAL})


@dataclass(frozen=True, slots=True)
class Shown:
    """One leaf, where it was served, and its bytes where they are at hand."""

    step: Tls
    trust: Trust
    where: str
    der: bytes | None = None


def differences(record: Record) -> Iterator[str]:
    """Both certificates and what tells them apart; nothing when none was forged."""
    verdict = record.verdict
    if verdict is None or Mechanism.TLS_MITM not in verdict.mechanisms:
        return
    came = forged(record)
    if came is None:
        return
    own = true(record, came)
    yield from _facts(came, own)
    yield ""
    yield from _what_differs(came, own)
    yield ""
    yield from _meaning(came)


def forged(record: Record) -> Shown | None:
    """The last certificate that came for the target's name and that no browser trusts."""
    for step in reversed(record.steps):
        if isinstance(step, Tls) and step.role in _MINE and step.trust and step.chain:
            if step.trust.valid or step.trust.anchored:
                continue
            return Shown(step, step.trust, step.address, _der(record.certs, step))
    return None


def true(record: Record, came: Shown) -> Shown | None:
    """The site's own certificate: what came another way, else what a control was served."""
    for step in reversed(record.steps):
        if not isinstance(step, Tls) or step.sni != came.step.sni or step.trust is None:
            continue
        if step.trust.anchored and step.trust.named:
            return Shown(step, step.trust, _another_way(step), _der(record.certs, step))
    seen = [(control, s) for control in record.control for s in control.steps]
    for wanted in (True, False):
        for control, step in seen:
            if not isinstance(step, Tls) or step.sni != came.step.sni or step.trust is None:
                continue
            if step.trust.valid is wanted and step.chain and not same_leaf(step, came.step):
                return Shown(step, step.trust, told(control), _der(control.certs, step))
    return None


def told(control: Control) -> str:
    """Whose look it was, and when."""
    side = "before" if control.age < 0 else "after"
    return f"a control, {seconds(abs(control.age))} {side}"


def _another_way(step: Tls) -> str:
    way = _WAYS.get(step.hello)
    return f"here, at {step.address}{f', {way}' if way else ''}"


def _der(certs: Mapping[str, str], step: Tls) -> bytes | None:
    try:
        return b64decode(certs.get(step.chain[0], "") if step.chain else "", validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _facts(came: Shown, own: Shown | None) -> Iterator[str]:
    """Each fact of one above the same fact of the other."""
    yield f"this came      from {came.where}"
    yield f"the site's own {own.where if own else 'was not seen: nobody looked from elsewhere'}"
    mine, other = _told(came), _told(own) if own else {}
    for name, value in mine.items():
        known = other.get(name, "")
        same = " (the same)" if value == known and value else ""
        yield f"{name}{same}"
        yield f"  this came      {value or 'not known'}"
        if own is not None and not same:
            yield f"  the site's own {known or 'not known'}"


def _told(shown: Shown) -> dict[str, str]:
    trust = shown.trust
    return {
        "made for": trust.subject,
        "signed by": trust.issuer,
        "valid": f"{_day(trust.not_before)} to {_day(trust.not_after)}",
        "public key": _key(shown),
        "serial number": trust.serial,
        "in public logs": "" if trust.logged is None else ("yes" if trust.logged else "no"),
        "browsers": _trusted(trust),
    }


def _day(text: str | None) -> str:
    return (text or "?").replace("T", " ").replace("Z", " UTC")


def _key(shown: Shown) -> str:
    facts = leaf_facts(shown.der) if shown.der is not None else None
    kind = f"RSA, {facts.key_bits} bits, " if facts and facts.key_bits else ""
    return f"{kind}sha256 {shown.trust.leaf_key}" if shown.trust.leaf_key else ""


def _trusted(trust: Trust) -> str:
    if trust.valid:
        return "trust it"
    why = TRUST[trust.reason] if trust.reason else "for an unknown reason"
    return f"do not trust it: {why}"


def _what_differs(came: Shown, own: Shown | None) -> Iterator[str]:
    yield "What differs:"
    if own is None:
        yield "- There is nothing to compare with: the site's own certificate was not seen."
        return
    if came.trust.leaf_key != own.trust.leaf_key:
        yield "- The key is another: whoever answered here does not hold the site's."
    if came.trust.issuer != own.trust.issuer:
        yield "- The signer is another, and no browser knows the one who signed what came here."
    copy, origin = trust_facts(came.trust), trust_facts(own.trust)
    if copy is None or origin is None:
        return
    found = marks(copy, origin)
    if Mark.DATES in found and (off := shifted_by(copy, origin)) is not None:
        hours = off.total_seconds() / 3600
        yield f"- Its dates are the true ones, moved by {hours:+g} hours: it is a copy."
    elif (copy.not_before, copy.not_after) == (origin.not_before, origin.not_after):
        yield "- Its dates are the true ones to the second: it is a copy."
    if Mark.SERIAL in found:
        yield "- Its serial number is the true one but for the end: it is a copy."
    if Mark.EXTENSIONS in found:
        yield "- What the true one carries besides names was left out."
    if Mark.UNLOGGED in found:
        yield "- The true one stands in public logs, this one in none."


def _meaning(came: Shown) -> Iterator[str]:
    yield "What it means:"
    yield "- Somebody between this line and the site answered in its place. Whoever accepts this"
    yield "  certificate lets them read and change everything: passwords, messages, pages."
    authority = came.trust.authority
    if authority is None:
        yield "- Nobody known signed it. The one who did can be told by the key, not by a name."
    elif authority.proof == "verified":
        yield f"- It was signed with a key that is known for interception: {authority.id}."
        yield "  Nobody else can make such a signature."
    else:
        yield f"- It bears the name of {authority.id}, with a key not seen before: a new one of"
        yield "  that family, or somebody who borrows its name. A name alone proves nothing."
    yield "- Nothing of yours went over it: at most one request for the page, without cookies."
