"""Write the certificates of a record as PEM files, the forged chain next to the true one.

Rule: a file holds exactly what was served, in the order it was served, and says in its first lines
where it came from, so that it can be handed to somebody who trusts nobody.
"""

import base64
import binascii
import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from probe import atomic_files
from probe.escape import plain
from probe.model import Quic, Record, Role, Tls


@dataclass(frozen=True, slots=True)
class ServedChain:
    """One chain that was served for the target, and whether it proved the name."""

    digests: tuple[str, ...]
    trusted: bool
    note: str


def export(record: Record, others: Iterable[Record], folder: Path) -> list[Path]:
    """Write every chain of this record and its controls; else a trusted one from other records."""
    certs = dict(record.certs)
    found = [*_chains(record), *_elsewhere(record)]
    for control in record.control:
        certs.update({name: text for name, text in control.certs.items() if name not in certs})
    if not any(chain.trusted for chain in found):
        for other in others:
            trusted = [chain for chain in _chains(other) if chain.trusted]
            if trusted:
                certs.update(other.certs)
                found.append(trusted[0])
                break
    return [file for file in _write(found, certs, folder) if file is not None]


def _write(
    chains: Iterable[ServedChain], certs: Mapping[str, str], folder: Path
) -> Iterator[Path | None]:
    counts = {True: 0, False: 0}
    once = {chain.digests: chain for chain in reversed(list(chains))}
    for chain in reversed(list(once.values())):
        blocks = [block for digest in chain.digests if (block := _block(certs.get(digest), digest))]
        if not blocks:
            continue
        counts[chain.trusted] += 1
        word = "trusted" if chain.trusted else "untrusted"
        path = folder / f"{word}-{counts[chain.trusted]}.pem"
        atomic_files.write(path, (f"# {chain.note}\n" + "".join(blocks)).encode())
        yield path


def _chains(record: Record) -> Iterator[ServedChain]:
    for step in record.steps:
        if isinstance(step, Tls | Quic) and step.chain and _is_ours(step):
            trusted = bool(step.trust and step.trust.valid)
            what = f"served for {step.sni or '(no name)'} by {step.address}"
            note = f"{what}, record {record.id}, {record.started_at}"
            yield ServedChain(step.chain, trusted, plain(note))


def _is_ours(step: Tls | Quic) -> bool:
    """Served for the target, there or in place of an unrelated server's own certificate."""
    own = step.trust is not None and step.trust.anchored
    return step.role is Role.TARGET or (step.role is Role.NEUTRAL and not own)


def _elsewhere(record: Record) -> Iterator[ServedChain]:
    """What controls were served for the same names: of each only the leaf travels."""
    for control in record.control:
        for step in control.steps:
            if isinstance(step, Tls | Quic) and step.chain and step.chain[0] in control.certs:
                trusted = bool(step.trust and step.trust.valid)
                what = f"served for {step.sni or '(no name)'} by {step.address} to a control"
                note = f"{what}, its record {control.id}, the leaf alone"
                yield ServedChain(step.chain[:1], trusted, plain(note))


def _block(text: str | None, digest: str) -> str:
    """One certificate, if its bytes are the ones that were recorded."""
    try:
        der = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return ""
    if hashlib.sha256(der).hexdigest() != digest:
        return ""
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
