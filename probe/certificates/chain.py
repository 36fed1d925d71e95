"""Find every certification path from a served leaf to a root, in bounded time.

Rule: names suggest an issuer, signatures prove it. Wrong order and extra certificates do not matter
(RFC 8446 section 4.4.2 allows them). Dates are not checked here, so a result can be cached.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct

from probe.certificates import certificate
from probe.certificates.certificate import Certificate, Constraints
from probe.certificates.der import DerError
from probe.certificates.roots import Roots
from probe.certificates.signature import verifies

CERTIFICATES = 16
DEPTH = 10
_SMALL = 8192  # larger certificates are not cached
VERIFICATIONS = 64
PATHS = 8


class Path(Struct, frozen=True):
    """One certification path from the leaf upwards.

    Attributes:
        certificates: Leaf first, each signed by the next; the root itself only if it was served.
        root: The trusted root that it leads to, or None.
        closed: Ends at a certificate that signs itself (a root, known or not).
        lawful: Every issuer on the path may sign certificates (CA flag, key usage, depth).
    """

    certificates: tuple[Certificate, ...]
    root: Certificate | None = None
    closed: bool = False
    lawful: bool = True

    @property
    def issuer(self) -> Certificate | None:
        """The leaf's issuer, where it was served or is a root; else None."""
        served = list(self.certificates)
        if len(served) > 1:
            return served[1]
        return self.root or (served[0] if self.closed else None)

    @property
    def top(self) -> Certificate:
        """The last served certificate of this path."""
        return self.certificates[-1]


class Budget:
    """Limits how many signatures are verified; each pair is verified once."""

    def __init__(self, left: int = VERIFICATIONS) -> None:
        self._left = left
        self._known: dict[tuple[str, str], bool] = {}

    def signed(self, issued: Certificate, issuer: Certificate) -> bool:
        """Whether one certificate's signature verifies under another's key."""
        pair = (issued.sha256, issuer.spki_sha256)
        if pair not in self._known:
            if self._left <= 0:
                return False
            self._left -= 1
            self._known[pair] = verifies(
                issuer.spki, issued.algorithm, issued.tbs, issued.signature
            )
        return self._known[pair]


@lru_cache(maxsize=64)
def _known(data: bytes) -> Certificate:
    return certificate.read(data)


def served(chain: Sequence[bytes]) -> tuple[Certificate | None, tuple[Certificate, ...]]:
    """The leaf, or None when it cannot be parsed, and every certificate that can."""
    found: list[Certificate] = []
    leaf: Certificate | None = None
    for position, data in enumerate(chain[:CERTIFICATES]):
        try:
            # A few authorities sign for many sites, and each site serves its authority again.
            read = (_known if position and len(data) < _SMALL else certificate.read)(data)
        except DerError:
            continue
        leaf = read if position == 0 else leaf
        if all(read.sha256 != other.sha256 for other in found):
            found.append(read)
    return leaf, tuple(found)


def paths(
    leaf: Certificate, others: Sequence[Certificate], roots: Roots, budget: Budget
) -> tuple[Path, ...]:
    """Every path from the leaf, those that end at a root first, then the longest first."""
    found: list[Path] = []
    for path in _climb((leaf,), others, roots, budget):
        found.append(path)
        if len(found) >= PATHS:
            break
    return tuple(sorted(found, key=lambda p: (p.root is None, not p.lawful, -len(p.certificates))))


def allows(path: Path, name: str | None) -> bool:
    """Whether the key usages and name constraints of a path allow serving this name."""
    above = path.certificates[1:] + ((path.root,) if path.root else ())
    if not all(one.may_serve for one in path.certificates):
        return False
    limits = [one.constraints for one in above if one.constraints]
    return name is None or _is_address(name) or all(_within(name, limit) for limit in limits)


def _climb(
    below: tuple[Certificate, ...], others: Sequence[Certificate], roots: Roots, budget: Budget
) -> Iterator[Path]:
    top = below[-1]
    if root := roots.holding(top):
        yield _finished(below, root, closed=True)
        return
    ended = False
    for root in roots.named(top.issuer):
        if budget.signed(top, root):
            ended = True
            yield _finished(below, root, closed=True)
    if top.issuer == top.subject and budget.signed(top, top):
        yield _finished(below, None, closed=True)
        return
    for other in others if len(below) < DEPTH else ():
        known = any(other.identity == one.identity for one in below)
        if not known and other.subject == top.issuer and budget.signed(top, other):
            ended = True
            yield from _climb((*below, other), others, roots, budget)
    if not ended:
        yield _finished(below, None, closed=False)


def _finished(
    certificates: tuple[Certificate, ...], root: Certificate | None, *, closed: bool
) -> Path:
    return Path(certificates, root, closed, _lawful(certificates))


def _lawful(certificates: tuple[Certificate, ...]) -> bool:
    """Every certificate above the leaf is an authority's and respects its depth (RFC 5280)."""
    below = 0
    for one in certificates[1:]:
        authority, depth = one.basic
        if not authority or not one.may_sign_certificates:
            return False
        if depth is not None and below > depth:
            return False
        below += one.issuer != one.subject
    return True


def _within(name: str, limit: Constraints) -> bool:
    if any(_under(name, tree) for tree in limit.excluded):
        return False
    return not limit.permitted or any(_under(name, tree) for tree in limit.permitted)


def _under(name: str, tree: str) -> bool:
    tree = tree.lstrip(".")
    return not tree or name == tree or name.endswith(f".{tree}")


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
