"""Roots of trust: Mozilla's, a PEM file's, or this machine's own.

Rule: sites are judged against Mozilla's roots (or a laboratory's), never against the machine's
store, where a root for interception may be installed. The machine's store only shows whether an
issuer is trusted on this machine and not by Mozilla.
"""

import binascii
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar, cast

from probe import system_tools
from probe.certificates import certificate
from probe.certificates.certificate import Certificate, Name
from probe.certificates.der import DerError
from probe.i18n import _
from probe.system_view import never_fatal, text

T = TypeVar("T")

# Chains whose examination is remembered: those of the sites that are measured at a time.
MEMORY = 96
PEM_LIMIT = 16 * 1024 * 1024
_PEM = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([^-]*)-----END")
_LINUX_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_READING = Lock()
_MAC_KEYCHAINS = (
    "/Library/Keychains/System.keychain",
    "/System/Library/Keychains/SystemRootCertificates.keychain",
)


class RootsError(ValueError):
    """A file of roots cannot be used; the message is one line."""


class Roots:
    """A set of root certificates, found by subject.

    Attributes:
        label: Their source, for the record of a run.
    """

    def __init__(self, ders: Iterable[bytes], label: str = "given") -> None:
        self.label = label
        self._by_subject: dict[Name, tuple[Certificate, ...]] = {}
        self._organisations: set[str] = set()
        self._memory: dict[bytes, object] = {}
        for data in ders:
            self._add(data)

    @classmethod
    def mozilla(cls) -> "Roots":
        """Mozilla's roots, as certifi carries them; read once, whichever thread asks first."""
        with _READING:
            return _mozilla()

    @classmethod
    def file(cls, path: str | Path) -> "Roots":
        """The roots of a PEM file; raise `RootsError` when it contains none."""
        try:
            with Path(path).open("rb") as file:
                text = file.read(PEM_LIMIT).decode("latin-1")
        except OSError as error:
            raise RootsError(
                _("roots file {path}: {reason}").format(path=path, reason=error.strerror)
            ) from error
        roots = cls(pem_certificates(text), label="file")
        if not len(roots):
            raise RootsError(
                _("roots file {path}: PEM certificates expected, none found").format(path=path)
            )
        return roots

    def __len__(self) -> int:
        return sum(map(len, self._by_subject.values()))

    def named(self, name: Name) -> tuple[Certificate, ...]:
        """The roots with this subject."""
        return self._by_subject.get(name, ())

    def holding(self, found: Certificate) -> Certificate | None:
        """The root that has this certificate's name and key, if any."""
        same = (root for root in self.named(found.subject) if root.spki == found.spki)
        return next(same, None)

    def runs(self, name: Name) -> bool:
        """Whether an organisation in this name also owns one of the roots."""
        return any(value.casefold() in self._organisations for value in name.values("O"))

    def remembered(self, key: bytes, find: Callable[[], T]) -> T:
        """The cached result for `key`, or the result of `find`; the newest few are kept."""
        if key not in self._memory:
            if len(self._memory) >= MEMORY:
                self._memory.pop(next(iter(self._memory)))
            self._memory[key] = find()
        return cast("T", self._memory[key])

    def _add(self, data: bytes) -> None:
        try:
            root = certificate.read(data)
        except DerError:
            return
        self._by_subject[root.subject] = (*self.named(root.subject), root)
        self._organisations.update(value.casefold() for value in root.subject.values("O"))


class LocalStore(Protocol):
    """This machine's own store of roots."""

    @property
    def roots(self) -> Roots | None:
        """Its roots; None when it cannot be read."""


class MachineStore:
    """The operating system's store, read when it is first needed."""

    def __init__(self, reader: Callable[[], Sequence[bytes]] | None = None) -> None:
        self._reader = reader or read_machine_store
        self._roots: Roots | None = None
        self._read = False

    @property
    def roots(self) -> Roots | None:
        if not self._read:
            self._read = True
            found = self._reader()
            self._roots = Roots(found, label="machine") if found else None
        return self._roots


def pem_certificates(text: str) -> tuple[bytes, ...]:
    """The DER of every certificate in a PEM text; blocks that are not base64 are skipped."""
    found: list[bytes] = []
    for block in _PEM.finditer(text):
        try:
            found.append(binascii.a2b_base64(block[1]))
        except binascii.Error:
            continue
    return tuple(found)


@never_fatal(())
def read_machine_store() -> tuple[bytes, ...]:
    """The certificates that this operating system trusts; empty when it cannot be queried."""
    if sys.platform == "win32":
        import ssl

        stores = ("ROOT", "CA")
        return tuple(entry[0] for store in stores for entry in ssl.enum_certificates(store))
    if sys.platform == "darwin":
        return _mac_store()
    bundles = (pem_certificates(text(Path(path), PEM_LIMIT)) for path in _LINUX_BUNDLES)
    return next(filter(None, bundles), ())


def _mac_store() -> tuple[bytes, ...]:
    command = ("/usr/bin/security", "find-certificate", "-a", "-p", *_MAC_KEYCHAINS)
    asked = system_tools.run(*command, seconds=10)
    return pem_certificates(asked.out[:PEM_LIMIT].decode("latin-1"))


@cache
def _mozilla() -> Roots:
    from importlib.metadata import PackageNotFoundError, version

    import certifi

    try:
        label = f"certifi {version('certifi')}"
    except PackageNotFoundError:
        label = "certifi"
    return Roots(pem_certificates(certifi.contents()), label=label)
