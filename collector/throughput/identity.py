"""The self-signed key of a throughput server; probes pin it, so no authority is needed.

It is kept in one PEM file (key and certificate) that only its owner may read, so that a restart, or
another collector with the same file, has the same key.
"""

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BulkIdentity:
    """A private key with its certificate, and the hash that probes pin."""

    pem: bytes
    spki_sha256: str

    def context(self) -> ssl.SSLContext:
        """A server context with this key, for any name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module reads keys from files only; mkstemp makes one that only its owner may read.
        handle, name = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.pem)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context


def make_identity(*, days: int = 3650) -> BulkIdentity:
    """Make a fresh P-256 key and sign it with itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bulk")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return read_identity(private + certificate.public_bytes(Encoding.PEM))


def read_identity(pem: bytes) -> BulkIdentity:
    """Parse a key and certificate from PEM; raise `ValueError` when there is no certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(pem).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return BulkIdentity(pem, sha256(spki).hexdigest())


def keep_identity(path: Path) -> BulkIdentity:
    """Read the identity in the file `path`, or make one and store it there, for its owner only."""
    try:
        return read_identity(path.read_bytes())
    except FileNotFoundError:
        pass
    identity = make_identity()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(identity.pem)
    return identity
