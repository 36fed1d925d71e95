"""Chains in a record that no browser would trust: kept by hash, linked to the record.

Rule: whether a chain is kept depends on the chain and not on a verdict, so that records can be
judged again. Whether it was forged is decided by the verdict: readers select records whose verdict
names interception.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probe.model import Record, Role, Tls, TrustReason

CHAINS, DEPTH, NAME_LIMIT = 16, 6, 255
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9_.:-]{1,255}")
_NO_CHAIN = frozenset({TrustReason.EMPTY, TrustReason.MALFORMED, TrustReason.INCOMPLETE})
_ROLES = frozenset({Role.TARGET, Role.NEUTRAL})


@dataclass(frozen=True, slots=True)
class UntrustedChain:
    """One chain, leaf first, and the name it was served for."""

    name: str
    digests: tuple[str, ...]


def chains(record: Record) -> tuple[UntrustedChain, ...]:
    """The untrusted chains that were served for the target's names, each once."""
    return tuple(dict.fromkeys(_untrusted(record)))[:CHAINS]


def _untrusted(record: Record) -> Iterator[UntrustedChain]:
    for step in record.steps:
        if isinstance(step, Tls) and step.role in _ROLES and _is_untrusted(step):
            digests = tuple(one for one in step.chain[:DEPTH] if _SHA256.fullmatch(one))
            name = (step.sni or "").lower()
            if digests and _NAME.fullmatch(name) and step.chain[0] == digests[0]:
                yield UntrustedChain(name, digests)


def _is_untrusted(step: Tls) -> bool:
    trust = step.trust
    if trust is None or trust.valid or trust.anchored or trust.reason in _NO_CHAIN:
        return False
    return trust.authority is None or trust.authority.kind == "interception"
