"""Check the evidence of a probe's record before it is judged: what it claims, and what it shows.

An enrolled key can send any record. So nothing that can be checked is taken from the probe:

- Control measurements are replaced by the stored ones of the same id; others are dropped.
- What a chain proves is computed again from the certificates in the record.
- Steps must be able to have happened together (`collector.consistency`).

What cannot be checked, or contradicts the claim, is a *doubt*. A record with a doubt is kept,
judged and shown, and counts in no vote. A check never makes a record say more than its probe
claimed: a chain that is valid for the probe and not for this collector (newer roots there) is only
a doubt.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec.structs import replace

from collector import consistency, controls
from collector.controls import Observation
from probe.certificates.roots import Roots
from probe.certificates.trust import evaluate
from probe.model import Control, Quic, Record, Step, Tls, Trust

Doubt: TypeAlias = Literal["times", "connections", "bytes", "addresses", "certificates"]
DOUBTS: tuple[Doubt, ...] = ("times", "connections", "bytes", "addresses", "certificates")


@dataclass(frozen=True, slots=True)
class CheckedEvidence:
    """A record as it may be judged, and the doubts about it."""

    record: Record
    doubts: tuple[Doubt, ...]


def check(
    record: Record, issued: Mapping[str, Observation], *, roots: Roots | None, at: float
) -> CheckedEvidence:
    """Check one record.

    Args:
        record: As it was sent.
        issued: This collector's observations by id, at least those that the record names.
        roots: Roots for its chains; None where chains cannot be checked, as in a lab.
        at: When it was measured, Unix time.
    """
    found: list[Doubt] = [*consistency.contradictions(record)]
    checked = replace(record, control=tuple(_issued(record, issued, at)))
    if roots is not None:
        ders = dict(_certificates(record.certs))
        moment = datetime.fromtimestamp(at, UTC)
        again = _ChainCheck(ders, roots, moment, urlsplit(record.input).hostname or "")
        checked = replace(checked, steps=tuple(map(again.step, record.steps)))
        if again.doubted:
            found.append("certificates")
    return CheckedEvidence(checked, tuple(dict.fromkeys(found)))


def _issued(record: Record, issued: Mapping[str, Observation], at: float) -> Iterator[Control]:
    """The control measurements of a record that this collector has, as it has them."""
    for control in record.control:
        seen = issued.get(control.id)
        if seen is not None:
            verified = {name: control.certs[name] for name, _ in _certificates(control.certs)}
            yield controls.as_control(seen, asked_at=at, leaves=verified)


def _certificates(certs: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The certificates whose hash is their name."""
    for digest, text in certs.items():
        try:
            der = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if hashlib.sha256(der).hexdigest() == digest:
            yield digest, der


class _ChainCheck:
    """Computes again what the chains of one record prove.

    Attributes:
        doubted: Whether some chain was not there, or proves less than the probe claimed.
    """

    def __init__(self, ders: Mapping[str, bytes], roots: Roots, now: datetime, host: str) -> None:
        self.doubted = False
        self._ders, self._roots, self._now, self._host = ders, roots, now, host

    def step(self, step: Step) -> Step:
        """The step with what its chain proves here."""
        if not isinstance(step, Tls | Quic) or step.trust is None:
            return step
        claimed = step.trust
        chain = [self._ders[digest] for digest in step.chain if digest in self._ders]
        if not chain or len(chain) < len(step.chain):
            self.doubted = True
            return replace(step, trust=replace(claimed, authority=None))
        proven = self._evaluate(chain, step.sni or step.address, claimed)
        if claimed.valid and not proven.valid:
            self.doubted = True
            return step
        return replace(step, trust=replace(proven, local=claimed.local))

    def _evaluate(self, chain: list[bytes], name: str, claimed: Trust) -> Trust:
        """What it proves for the name offered, or for the target's where the claim was about it."""
        proven = evaluate(chain, name, roots=self._roots, now=self._now)
        if claimed.named and not proven.named and self._host:
            return evaluate(chain, self._host, roots=self._roots, now=self._now)
        return proven
