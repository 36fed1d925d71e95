"""Write the certificates of a record as PEM files, the forged chain next to the genuine one.

Rule: a file holds exactly what was served, in the order it was served, and names its source in the
first line, so that a third party can verify it.
"""

import base64
import binascii
import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from probe import atomic_files
from probe.escape import plain
from probe.model import Quic, Record, Role, Tls


class ServedChain(Struct, frozen=True):
    """A chain that was served for the target, and whether it was trusted for the name."""

    digests: tuple[str, ...]
    trusted: bool
    note: str


def export(record: Record, others: Iterable[Record], folder: Path) -> list[Path]:
    """Write every chain of this record and of its controls.

    If none of them is trusted, add the first trusted chain of `others`.
    """
    certs = dict(record.certs)
    found = [*_chains(record), *_control_chains(record)]
    for control in record.control:
        certs.update({name: text for name, text in control.certs.items() if name not in certs})
    if not any(chain.trusted for chain in found):
        for other in others:
            trusted = [chain for chain in _chains(other) if chain.trusted]
            if trusted:
                certs.update(other.certs)
                found.append(trusted[0])
                break
    return list(_write(found, certs, folder))


def _write(chains: Iterable[ServedChain], certs: Mapping[str, str], folder: Path) -> Iterator[Path]:
    counts = {True: 0, False: 0}
    unique = {chain.digests: chain for chain in reversed(list(chains))}
    for chain in reversed(list(unique.values())):
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
        if isinstance(step, Tls | Quic) and step.chain and _is_for_target(step):
            trusted = bool(step.trust and step.trust.valid)
            what = f"served for {step.sni or '(no name)'} by {step.address}"
            note = f"{what}, record {record.id}, {record.started_at}"
            yield ServedChain(step.chain, trusted, plain(note))


def _is_for_target(step: Tls | Quic) -> bool:
    """Whether the chain was served for the target.

    At a neutral server it was, unless it is that server's own certificate.
    """
    own = step.trust is not None and step.trust.anchored
    return step.role is Role.TARGET or (step.role is Role.NEUTRAL and not own)


def _control_chains(record: Record) -> Iterator[ServedChain]:
    """Yield what controls were served for the same names; controls report the leaf only."""
    for control in record.control:
        for step in control.steps:
            if isinstance(step, Tls | Quic) and step.chain and step.chain[0] in control.certs:
                trusted = bool(step.trust and step.trust.valid)
                what = f"served for {step.sni or '(no name)'} by {step.address} to a control"
                note = f"{what}, its record {control.id}, leaf only"
                yield ServedChain(step.chain[:1], trusted, plain(note))


def _block(text: str | None, digest: str) -> str:
    """Return one certificate as PEM; empty if its bytes do not match the recorded digest."""
    try:
        der = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return ""
    if hashlib.sha256(der).hexdigest() != digest:
        return ""
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
