"""Verify a served certificate chain, after the handshake and independently of it.

The roots are Mozilla's (certifi) or, in a lab, those of the given file; never those of an
environment variable or of this machine's store. The machine's store is only read, in a thread, if a
chain leads to no root of ours: an issuer in it indicates a local product that intercepts TLS.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field

from probe.certificates.roots import LocalStore, MachineStore, Roots
from probe.model import Trust


class ChainVerifier(Struct):
    """Verifies chains against one set of roots; looks unknown issuers up in the machine's store.

    Attributes:
        find_roots: Returns the roots, always the same ones.
    """

    find_roots: Callable[[], Roots]
    machine: LocalStore = field(default_factory=MachineStore)
    _machine_read: bool = False

    @property
    def roots(self) -> Roots:
        """The roots; to parse them takes as long as many imports, so not before they are needed."""
        return self.find_roots()

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


def root_finder(ca_file: Path | None) -> Callable[[], Roots]:
    """Mozilla's roots, read once when needed, or those of a lab's file.

    Raises `RootsError` for an unreadable file.
    """
    if ca_file is None:
        return Roots.mozilla
    roots = Roots.file(ca_file)
    return lambda: roots
