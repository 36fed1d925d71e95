"""Verify a served certificate chain, after the handshake and independently of it.

The roots are Mozilla's (certifi) or, in a lab, those of the given file; never those of an
environment variable or of this machine's store. The machine's store is only read, in a thread, if a
chain leads to no root of ours: an issuer in it indicates a local product that intercepts TLS.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from probe.certificates.roots import LocalStore, MachineStore, Roots
from probe.model import Trust


@dataclass(slots=True)
class ChainVerifier:
    """Verifies chains against one set of roots; looks unknown issuers up in the machine's store."""

    roots: Roots
    machine: LocalStore = field(default_factory=MachineStore)
    _machine_read: bool = False

    async def verify(self, chain: Sequence[bytes], name: str | None) -> Trust | None:
        """What `chain` proves for `name`; None if no certificate was received."""
        from probe.certificates.trust import evaluate

        if not chain:
            return None
        now = datetime.now(UTC)
        trust = evaluate(chain, name, roots=self.roots, now=now)
        if trust.anchored:
            return trust
        if not self._machine_read:
            await asyncio.to_thread(lambda: self.machine.roots)
            self._machine_read = True
        return evaluate(chain, name, roots=self.roots, now=now, local=self.machine)


def load_roots(ca_file: Path | None) -> Roots:
    """Mozilla's roots, or those of a lab's file; raises `RootsError` for an unreadable file."""
    return Roots.mozilla() if ca_file is None else Roots.file(ca_file)
