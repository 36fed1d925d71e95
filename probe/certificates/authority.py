"""Whether a chain leads to an authority that is known to intercept, or claims to.

Rule: a signature is proof, a name is a claim. `verified` needs a signature on the leaf's way up
that verifies under a known public key, or a known certificate. `claimed` means that only names,
key identifiers or serials match: a new sibling, or an imitation.

A known certificate that merely lies beside a complete way up to somewhere else proves nothing:
anybody can append it to what they serve.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from probe.certificates.certificate import Certificate
from probe.certificates.chain import Path
from probe.certificates.signature import verifies
from probe.model import Authority
from probe.reference_data import Family, KnownAuthority, authorities, families


def recognise(way: Path, beside: Sequence[Certificate]) -> Authority | None:
    """The known authority behind one way up, the strongest match first.

    Args:
        way: The way up that was found for the leaf.
        beside: Everything else that was served with it.
    """
    broken = way.root is None and not way.closed
    proving = (*way.certificates, *beside) if broken else way.certificates
    leaf = way.certificates[0]
    for one in proving:
        if known := _proved(one) if one is leaf else _proved_again(one):
            return Authority(id=known.id, kind=known.kind, proof="verified")
    if way.root is not None:
        return None
    for one in (*way.certificates, *beside):
        if claim := _claimed(one):
            return claim
    return None


def _proved(one: Certificate) -> KnownAuthority | None:
    for known in authorities():
        if one.sha256 == known.sha256 or (one.sha1 == known.sha1 and _same_serial(one, known)):
            return known
    candidates = (known for known in authorities() if _could_have_signed(known, one))
    return next((known for known in candidates if _signed(known, one)), None)


# One authority's certificate comes with many chains, and as the same object (`chain.served`). Many
# roots' keys are as long as known interceptors' are, and each of those costs half a millisecond.
_proved_again = lru_cache(maxsize=64)(_proved)


def _could_have_signed(known: KnownAuthority, one: Certificate) -> bool:
    """RSA signatures are as long as their key; the key's DER is a little longer."""
    return 0 < len(one.signature) < len(known.spki) < len(one.signature) + 64


def _signed(known: KnownAuthority, one: Certificate) -> bool:
    return verifies(known.spki, one.algorithm, one.tbs, one.signature)


def _claimed(one: Certificate) -> Authority | None:
    for known in _by_identifier(one):
        return Authority(id=known.id, kind=known.kind, proof="claimed")
    names = {" ".join(cn.casefold().split()) for cn in _common_names(one)}
    for family in families():
        if names & _folded(family):
            return Authority(id=family.id, kind=family.kind, proof="claimed")
    return None


def _by_identifier(one: Certificate) -> Iterator[KnownAuthority]:
    ids = {one.key_id, one.issuer_key_id} - {""}
    for known in authorities():
        if known.key_id in ids or _same_serial(one, known) or one.spki_sha256 == known.spki_sha256:
            yield known


def _same_serial(one: Certificate, known: KnownAuthority) -> bool:
    return bool(known.serial) and one.serial == known.serial


def _common_names(one: Certificate) -> tuple[str, ...]:
    return one.subject.values("CN") + one.issuer.values("CN")


@cache
def _folded(family: Family) -> frozenset[str]:
    return frozenset(" ".join(name.casefold().split()) for name in family.common_names)
