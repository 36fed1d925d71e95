"""What a served certificate chain proves, independent of the handshake.

Rule: never raise, never be stricter than a browser, and never trust the machine's own store. The
bytes are untrusted: their size, the verified signatures and the tried paths are all bounded.

How a reason is chosen, the first that applies:

- `empty`: nothing was served. `malformed`: the leaf is not a certificate.
- `self_signed`: the leaf signs itself, and is not a trusted root.
- `unknown_authority`: the path ends at an authority that Mozilla does not trust.
- `incomplete`: the path stops because an issuer was not served, and the issuer looks like a public
  one: the certificate names its issuer's address, and contains SCTs of public logs or the name of
  an organisation that owns a Mozilla root. Those can be imitated, so `incomplete` gives the benefit
  of the doubt and is still untrusted.
- `expired`, `not_yet_valid`: some certificate on the path, the root excepted.
- `hostname`: not for the requested name, or no name was requested.
- `rejected`: signatures lead to a root, but through a certificate that may not sign (no CA flag,
  too deep), or a name constraint or a key usage forbids this use.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.certificates.authority import recognise
from probe.certificates.certificate import INDISPENSABLE
from probe.certificates.chain import Budget, Path, allows, paths, served
from probe.certificates.roots import LocalStore, MachineStore, Roots, RootsError
from probe.model import Authority, Trust, TrustReason
from probe.urls import TargetError, ascii_host

if TYPE_CHECKING:
    from probe.certificates.certificate import Certificate

NAME_LIMIT = 256
SERIAL_LIMIT = 40  # hex digits: 20 bytes, RFC 5280 section 4.1.2.2


class ChainAnalysis(Struct, frozen=True):
    """The analysis of one chain, independent of date and name.

    Attributes:
        paths: Paths from the leaf, the best first; never empty.
    """

    leaf: "Certificate"
    others: tuple["Certificate", ...]
    paths: tuple[Path, ...]
    authority: Authority | None


def evaluate(
    chain: Sequence[bytes],
    name: str | None,
    *,
    roots: Roots,
    now: datetime,
    local: LocalStore | None = None,
) -> Trust:
    """Judge a chain, leaf first, for a host name or an IP address.

    `now` is an aware datetime. `local` is this machine's own store, where it may be asked.
    """
    if not chain:
        return Trust(valid=False, reason=TrustReason.EMPTY)
    found = _found(chain, roots)
    if found is None:
        return Trust(valid=False, reason=TrustReason.MALFORMED)
    leaf, best = found.leaf, _best(found.paths, now)
    named = covers(leaf, name)
    reason = _reason(best, roots) or _objection(best, name, named=named, now=now)
    return Trust(
        valid=reason is None,
        reason=reason,
        anchored=best.root is not None and best.lawful,
        named=named,
        subject=leaf.subject.rfc4514[:NAME_LIMIT],
        issuer=leaf.issuer.rfc4514[:NAME_LIMIT],
        issuer_key=_issuer_key(leaf, best),
        leaf_key=leaf.spki_sha256,
        not_before=rfc3339(leaf.not_before),
        not_after=rfc3339(leaf.not_after),
        serial=leaf.serial if len(leaf.serial) <= SERIAL_LIMIT else "",
        logged=leaf.logged,
        extensions=len(leaf.extensions.keys() - INDISPENSABLE),
        authority=found.authority,
        local=_local(found, best, local),
    )


def covers(leaf: "Certificate", name: str | None) -> bool:
    """Whether the leaf's alternative names cover this one (RFC 9525; common names do not count)."""
    names, addresses = leaf.alt_names
    host = None if name is None else _host(name)
    if host is None:
        return False
    address = _address(host)
    if address is not None:
        return address in addresses
    return any(matches(pattern.removesuffix("."), host) for pattern in names)


@lru_cache(maxsize=256)
def _host(name: str) -> str | None:
    """A name as it is compared; None when it is neither a name nor an address."""
    try:
        return ascii_host(f"[{name}]" if ":" in name and not name.startswith("[") else name)
    except TargetError:
        return None


@lru_cache(maxsize=256)
def rfc3339(when: datetime) -> str:
    """An instant in the format of records."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def _found(chain: Sequence[bytes], roots: Roots) -> ChainAnalysis | None:
    key = b"".join(sha256(data).digest() for data in chain[:17])
    return roots.remembered(key, lambda: _examined(chain, roots))


def _examined(chain: Sequence[bytes], roots: Roots) -> ChainAnalysis | None:
    leaf, everything = served(chain)
    if leaf is None:
        return None
    others = tuple(one for one in everything if one is not leaf)
    found = paths(leaf, others, roots, Budget())
    on_path = {one.sha256 for one in found[0].certificates}
    beside = tuple(one for one in others if one.sha256 not in on_path)
    return ChainAnalysis(leaf, others, found, recognise(found[0], beside))


def _best(every: Sequence[Path], now: datetime) -> Path:
    """The first path that is in date among those that are otherwise equally good."""
    first = every[0]
    alike = (
        path
        for path in every
        if (path.root is None, path.lawful) == (first.root is None, first.lawful)
    )
    return next((path for path in alike if _date_problem(path, now) is None), first)


def _reason(path: Path, roots: Roots) -> TrustReason | None:
    """Why a path leads to no root, or None when it does."""
    if path.root is not None:
        return None
    if path.closed and len(path.certificates) == 1:
        return TrustReason.SELF_SIGNED
    if not path.closed and _looks_public(path.top, roots):
        return TrustReason.INCOMPLETE
    return TrustReason.UNKNOWN_AUTHORITY


def _looks_public(top: "Certificate", roots: Roots) -> bool:
    return top.names_issuer_address and (top.logged or roots.runs(top.issuer))


def _objection(path: Path, name: str | None, *, named: bool, now: datetime) -> TrustReason | None:
    """What is wrong with a path that leads to a root, or None."""
    if problem := _date_problem(path, now):
        return problem
    if not named:
        return TrustReason.HOSTNAME
    return None if path.lawful and allows(path, name) else TrustReason.REJECTED


def _date_problem(path: Path, now: datetime) -> TrustReason | None:
    if any(one.not_after < now for one in path.certificates):
        return TrustReason.EXPIRED
    if any(one.not_before > now for one in path.certificates):
        return TrustReason.NOT_YET_VALID
    return None


def _issuer_key(leaf: "Certificate", path: Path) -> str:
    if path.issuer is not None:
        return path.issuer.spki_sha256
    if leaf.issuer_key_id:
        return f"aki:{leaf.issuer_key_id}"
    return f"name:{sha256(leaf.issuer.der).hexdigest()}"


def _local(found: ChainAnalysis, path: Path, local: LocalStore | None) -> bool | None:
    """Whether the machine's own store, and not Mozilla's, knows an issuer on this path."""
    if path.root is not None:
        return False
    store = local.roots if local is not None else None
    if store is None:
        return None
    budget = Budget()
    return any(
        store.holding(one) is not None
        or any(budget.signed(one, root) for root in store.named(one.issuer))
        for one in (*path.certificates, *found.others)
    )


def matches(pattern: str, host: str) -> bool:
    """The pattern equals the host, or its wildcard covers the first of at least three labels."""
    if pattern == host:
        return True
    parent = host.partition(".")[2]
    return pattern.startswith("*.") and pattern[2:] == parent and "." in parent


@lru_cache(maxsize=256)
def _address(host: str) -> str | None:
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return None


__all__ = ["LocalStore", "MachineStore", "Roots", "RootsError", "covers", "evaluate", "matches"]
