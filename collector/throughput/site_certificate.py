"""The collector's own certificate at the throughput server, for clients that ask for its name.

Probes pin the server's key and offer any name. Clients of others, above all browsers, want a
certificate that they trust: a client that asks for a name of the collector's certificate gets
that one. The files are looked at again every minute, because such certificates are renewed.
"""

import logging
import ssl
from pathlib import Path
from time import monotonic

LOOK_SECONDS = 60.0

log = logging.getLogger("qazcollector")


class SiteCertificate:
    """A certificate with its key, in files that the operator keeps."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self._files = certificate, key
        self._stamp: tuple[float, ...] = ()
        self._looked = -LOOK_SECONDS
        self._context: ssl.SSLContext | None = None
        self._names: frozenset[str] = frozenset()

    def choose(self, hello: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Answer a hello with this certificate if it is for the name; a `sni_callback`."""
        self._look()
        if name is None or self._context is None:
            return
        lower = name.lower()
        if lower in self._names or f"*.{lower.partition('.')[2]}" in self._names:
            hello.context = self._context

    def _look(self) -> None:
        if monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = monotonic()
        certificate, key = self._files
        try:
            stamp = tuple(one.stat().st_mtime for one in (certificate, key) if one is not None)
            if stamp != self._stamp:
                self._names = _names(certificate.read_bytes())
                self._context = _context(certificate, key)
                self._stamp = stamp
        except (OSError, ValueError) as error:  # what was in use stays
            log.warning("the throughput server cannot use %s: %s", certificate, error)


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


def _names(pem: bytes) -> frozenset[str]:
    """The names that the first certificate of a file is for."""
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(pem)
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))
