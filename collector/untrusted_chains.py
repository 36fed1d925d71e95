"""Chains in a record that no browser would trust: kept by hash, linked to the record.

Rule: what is kept depends on the chain alone and not on a verdict, so that judging again tomorrow
needs nothing to be kept again. Which of them were forged is the verdict's to say: readers look only
at records whose verdict names interception.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probe.model import Record, Role, Tls, TrustReason

CHAINS, DEPTH, NAME_LIMIT = 16, 6, 255
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9_.:-]{1,255}")
_NOTHING = frozenset({TrustReason.EMPTY, TrustReason.MALFORMED, TrustReason.INCOMPLETE})
_WHOSE = frozenset({Role.TARGET, Role.NEUTRAL})


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain, leaf first, and the name it was served for."""

    name: str
    digests: tuple[str, ...]


def chains(record: Record) -> tuple[Chain, ...]:
    """The untrusted chains that were served for the target's names, each once."""
    return tuple(dict.fromkeys(_untrusted(record)))[:CHAINS]


def _untrusted(record: Record) -> Iterator[Chain]:
    for step in record.steps:
        if isinstance(step, Tls) and step.role in _WHOSE and _is_untrusted(step):
            digests = tuple(one for one in step.chain[:DEPTH] if _SHA256.fullmatch(one))
            name = (step.sni or "").lower()
            if digests and _NAME.fullmatch(name) and step.chain[0] == digests[0]:
                yield Chain(name, digests)


def _is_untrusted(step: Tls) -> bool:
    trust = step.trust
    if trust is None or trust.valid or trust.anchored or trust.reason in _NOTHING:
        return False
    return trust.authority is None or trust.authority.kind == "interception"
