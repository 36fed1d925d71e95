"""What a served chain proves, asked once it is there and apart from the handshake.

The roots are Mozilla's (certifi) or, in a laboratory, exactly those of the file it names; never
what an environment variable or this machine's own store says. The machine's store is only read, in
a thread, when a chain leads to no root of ours: an issuer in it is the mark of a local product.
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
    """Judges chains against one set of roots, and asks the machine's store whose a stranger is."""

    roots: Roots
    machine: LocalStore = field(default_factory=MachineStore)
    _machine_read: bool = False

    async def prove(self, chain: Sequence[bytes], name: str | None) -> Trust | None:
        """What `chain` proves for `name`; None when no certificate came."""
        from probe.certificates.trust import evaluate

        if not chain:
            return None
        now = datetime.now(UTC)
        trust = evaluate(chain, name, roots=self.roots, now=now)
        if trust.anchored:
            return trust
        if not self._machine_read:
            await asyncio.to_thread(_read, self.machine)
            self._machine_read = True
        return evaluate(chain, name, roots=self.roots, now=now, local=self.machine)


def load_roots(ca_file: Path | None) -> Roots:
    """Mozilla's roots, or those of a laboratory's file; raises `RootsError` for a bad file."""
    return Roots.mozilla() if ca_file is None else Roots.file(ca_file)


def _read(machine: LocalStore) -> None:
    _ = machine.roots
