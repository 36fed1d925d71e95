"""Whether a chain leads to a known authority, such as one for interception, or claims to.

Rule: a signature is proof, a name is a claim. `verified` needs a known certificate on the leaf's
path, or a signature there that verifies under a known public key. `claimed` means that only names,
key identifiers or serials match: a new key of the same system, or an imitation.

A known certificate beside a complete path to another root proves nothing: any server can append it.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from probe.certificates.certificate import Certificate
from probe.certificates.chain import Path
from probe.certificates.signature import verifies
from probe.model import Authority
from probe.reference_data import Family, KnownAuthority, authorities, families


def recognise(path: Path, beside: Sequence[Certificate]) -> Authority | None:
    """The known authority of one path, the strongest match first; None if there is none.

    Args:
        path: The path that was found for the leaf.
        beside: All other certificates that were served with it.
    """
    broken = path.root is None and not path.closed
    proving = (*path.certificates, *beside) if broken else path.certificates
    leaf = path.certificates[0]
    for one in proving:
        if known := _proved(one) if one is leaf else _proved_again(one):
            return Authority(id=known.id, kind=known.kind, proof="verified")
    if path.root is not None:
        return None
    for one in (*path.certificates, *beside):
        if claim := _claimed(one):
            return claim
    return None


def _proved(one: Certificate) -> KnownAuthority | None:
    for known in authorities():
        if one.sha256 == known.sha256 or (one.sha1 == known.sha1 and _same_serial(one, known)):
            return known
    size = len(one.signature)  # an RSA signature is as long as its key; the key's DER is longer
    candidates = (known for known in authorities() if 0 < size < len(known.spki) < size + 64)
    return next((known for known in candidates if _signed(known, one)), None)


# One authority's certificate comes with many chains, as the same object (`chain.served`). Many keys
# are as long as those of known interceptors, and each verification takes half a millisecond.
_proved_again = lru_cache(maxsize=64)(_proved)


def _signed(known: KnownAuthority, one: Certificate) -> bool:
    return verifies(known.spki, one.algorithm, one.tbs, one.signature)


def _claimed(one: Certificate) -> Authority | None:
    for known in _by_identifier(one):
        return Authority(id=known.id, kind=known.kind, proof="claimed")
    common_names = one.subject.values("CN") + one.issuer.values("CN")
    names = {" ".join(name.casefold().split()) for name in common_names}
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


@cache
def _folded(family: Family) -> frozenset[str]:
    return frozenset(" ".join(name.casefold().split()) for name in family.common_names)
