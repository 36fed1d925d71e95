"""Compare the received certificate with the site's own, field by field, and explain the result.

The text is for readers who do not know certificates, in the user's language. Whether the
certificate is forged is decided by the verdict alone; without a verdict of `tls.mitm` there is no
output.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping

from msgspec import Struct

from probe.certificates.forgery import (
    LeafFacts,
    Mark,
    leaf_facts,
    marks,
    shifted_by,
    trust_facts,
)
from probe.compare import same_leaf
from probe.i18n import N_, _
from probe.model import Control, Mechanism, Record, Role, Steps, Tls, Trust
from probe.report.glossary import TRUST, seconds

_WAYS = {
    "split": N_("with the name cut over two packets"),
    "tls12": N_("with TLS 1.2"),
    "tls13": N_("with TLS 1.3"),
    "noalpn": N_("without ALPN"),
}
_TRACES = {
    Mark.SERIAL: N_("Its serial number equals the genuine one except at the end: it is a copy."),
    Mark.EXTENSIONS: N_("Extensions of the genuine certificate other than names are missing."),
    Mark.UNLOGGED: N_("The genuine certificate is in public logs; the received one is in none."),
}
_MINE = frozenset({Role.TARGET, Role.NEUTRAL})


class ServedLeaf(Struct, frozen=True):
    """A leaf certificate: the step that received it, its trust, source, and DER bytes if known."""

    step: Tls
    trust: Trust
    where: str
    der: bytes | None = None


def differences(record: Record) -> Iterator[str]:
    """Yield lines about both certificates and their differences; none unless one was forged."""
    verdict = record.verdict
    if verdict is None or Mechanism.TLS_MITM not in verdict.mechanisms:
        return
    received = forged_certificate(record)
    if received is None:
        return
    genuine = genuine_certificate(record, received)
    yield from _facts(received, genuine)
    yield ""
    yield from _what_differs(received, genuine)
    yield ""
    yield from _meaning(received)


def forged_certificate(record: Record) -> ServedLeaf | None:
    """Return the last certificate received for the target's name that no browser trusts."""
    for step in reversed(record.steps):
        if isinstance(step, Tls) and step.role in _MINE and step.trust and step.chain:
            if step.trust.valid or step.trust.anchored:
                continue
            return ServedLeaf(step, step.trust, step.address, _der(record.certs, step))
    return None


def genuine_certificate(record: Record, received: ServedLeaf) -> ServedLeaf | None:
    """Return the site's own certificate: received another way here, else by a control."""
    own = next(_own_leaves(record, received.step.sni), None)
    return own or _leaf_of_a_control(record, received.step)


def _own_leaves(record: Record, sni: str | None) -> Iterator[ServedLeaf]:
    """The leaves received here for this name that prove it, newest first."""
    for step, trust in reversed(_trusted_steps(record.steps, sni)):
        if trust.anchored and trust.named:
            way = _WAYS.get(step.hello)
            where = _("here, at {address}").format(address=step.address)
            where = f"{where}, {_(way)}" if way else where
            yield ServedLeaf(step, trust, where, _der(record.certs, step))


def _leaf_of_a_control(record: Record, received: Tls) -> ServedLeaf | None:
    """Another leaf that a control received for the same name; a valid one before others."""
    others = [
        ServedLeaf(step, trust, control_label(control), _der(control.certs, step))
        for control in record.control
        for step, trust in _trusted_steps(control.steps, received.sni)
        if step.chain and not same_leaf(step, received)
    ]
    return next((leaf for leaf in others if leaf.trust.valid), next(iter(others), None))


def _trusted_steps(steps: Steps, sni: str | None) -> list[tuple[Tls, Trust]]:
    """The handshakes with this name whose chain was verified, each with the result."""
    return [
        (step, step.trust)
        for step in steps
        if isinstance(step, Tls) and step.sni == sni and step.trust is not None
    ]


def control_label(control: Control) -> str:
    """Return how a control measurement is cited: when it was made, relative to the record."""
    text = (
        _("a control, {duration} before") if control.age < 0 else _("a control, {duration} after")
    )
    return text.format(duration=seconds(abs(control.age)))


def _der(certs: Mapping[str, str], step: Tls) -> bytes | None:
    try:
        return b64decode(certs.get(step.chain[0], "") if step.chain else "", validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _facts(received: ServedLeaf, genuine: ServedLeaf | None) -> Iterator[str]:
    """Yield each field of the received certificate above the same field of the site's own."""
    titles = (_("received"), _("the site's own"))
    wide = max(map(len, titles)) + 2
    mine, own = (f"{title:{wide}}" for title in titles)
    yield mine + _("from {address}").format(address=received.where)
    missing = _("not seen: there is no control measurement of it")
    yield f"{own}{genuine.where if genuine else missing}"
    here, elsewhere = leaf_fields(received), leaf_fields(genuine) if genuine else {}
    for name, value in here.items():
        other = elsewhere.get(name, "")
        same = value == other and value
        yield _("{field} (the same)").format(field=_(name)) if same else _(name)
        yield f"  {mine}{value or _('unknown')}"
        if genuine is not None and not same:
            yield f"  {own}{other or _('unknown')}"


def leaf_fields(leaf: ServedLeaf) -> dict[str, str]:
    """Return what a reader compares: names of fields (not translated) and their values."""
    trust = leaf.trust
    return {
        N_("issued for"): trust.subject,
        N_("signed by"): trust.issuer,
        N_("validity"): _("{start} to {end}").format(
            start=_day(trust.not_before), end=_day(trust.not_after)
        ),
        N_("public key"): _key(leaf),
        N_("serial number"): trust.serial,
        N_("in public logs"): _logged(trust),
        N_("browsers"): _trusted(trust),
    }


def _logged(trust: Trust) -> str:
    if trust.logged is None:
        return ""
    return _("yes") if trust.logged else _("no")


def _day(text: str | None) -> str:
    return (text or "?").replace("T", " ").replace("Z", " UTC")


def _key(leaf: ServedLeaf) -> str:
    facts = leaf_facts(leaf.der) if leaf.der is not None else None
    kind = ""
    if facts and facts.key_bits:
        kind = _("RSA, {number} bits").format(number=facts.key_bits) + ", "
    return f"{kind}sha256 {leaf.trust.leaf_key}" if leaf.trust.leaf_key else ""


def _trusted(trust: Trust) -> str:
    if trust.valid:
        return _("trust it")
    why = _(TRUST[trust.reason]) if trust.reason else _("for an unknown reason")
    return _("do not trust it: {reason}").format(reason=why)


def _what_differs(received: ServedLeaf, genuine: ServedLeaf | None) -> Iterator[str]:
    yield _("What differs:")
    if genuine is None:
        yield "- " + _("Nothing to compare with: the site's own certificate was not seen.")
        return
    if received.trust.leaf_key != genuine.trust.leaf_key:
        yield "- " + _(
            "The key differs: the server that answered here does not have the site's key."
        )
    if received.trust.issuer != genuine.trust.issuer:
        yield "- " + _(
            "The issuer differs, and no browser trusts the issuer of the received certificate."
        )
    copy, origin = trust_facts(received.trust), trust_facts(genuine.trust)
    if copy is not None and origin is not None:
        yield from (f"- {sentence}" for sentence in _traces_of_copying(copy, origin))


def _traces_of_copying(copy: LeafFacts, origin: LeafFacts) -> Iterator[str]:
    found, shift = marks(copy, origin), shifted_by(copy, origin)
    if Mark.DATES in found and shift is not None:
        hours = shift.total_seconds() / 3600
        text = _("Its dates are the genuine ones, shifted by {hours} hours: it is a copy.")
        yield text.format(hours=f"{hours:+g}")
    elif (copy.not_before, copy.not_after) == (origin.not_before, origin.not_after):
        yield _("Its dates equal the genuine ones to the second: it is a copy.")
    yield from (_(sentence) for mark, sentence in _TRACES.items() if mark in found)


def _meaning(received: ServedLeaf) -> Iterator[str]:
    yield _("What it means:")
    yield "- " + _(
        "A system between this machine and the site answered in the site's place. If you accept "
        "this certificate, its operator can read and change passwords, messages and pages."
    )
    authority = received.trust.authority
    if authority is None:
        text = _("The issuer is not a known interceptor. Identify it by its key, not by its name.")
    elif authority.proof == "verified":
        text = _(
            "It was signed with a key that is known for interception: {id}. "
            "Only the holder of that key can make this signature."
        )
    else:
        text = _(
            "It has the name of {id} but an unknown key: a new key of the same operator, or an "
            "imitation. A name alone proves nothing."
        )
    yield "- " + text.format(id=authority.id if authority else "")
    yield "- " + _("None of your data was sent: at most one request for the page, without cookies.")
