"""The lab's public-key infrastructure: trusted roots, servers' own mistakes, and interceptors.

Every testbed has new keys, so the lab's signatures are worthless outside. The interceptors have the
names of real ones but not their keys, so they count as claimed, not verified, authorities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from probe.lab.scenario import CertificateKind

_DAY = timedelta(days=1)
_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def _name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(text)


def pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate chain and key, both PEM."""

    chain: bytes
    key: bytes


@dataclass(frozen=True)
class CertificateAuthority:
    """A CA certificate with its key and the certificates above it, without the root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def root(subject: str, *, now: datetime) -> CertificateAuthority:
    """A root certificate, valid ten years before and after now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(subject)
    builder = _builder(name, name, key.public_key(), (now - 3650 * _DAY, now + 3650 * _DAY))
    builder = _as_authority(builder, key.public_key())
    return CertificateAuthority(builder.sign(key, SHA256()), key)


def intermediate(
    parent: CertificateAuthority,
    subject: str,
    *,
    now: datetime,
    days: tuple[int, int] = (700, 1000),
) -> CertificateAuthority:
    """An intermediate CA; `days`: validity before and after now."""
    key = ec.generate_private_key(ec.SECP256R1())
    validity = (now - days[0] * _DAY, now + days[1] * _DAY)
    builder = _builder(_name(subject), parent.certificate.subject, key.public_key(), validity)
    builder = _as_authority(builder, key.public_key())
    builder = _pointing_up(builder, parent)
    certificate = builder.sign(parent.key, SHA256())
    above = parent.above if parent.certificate.issuer == parent.certificate.subject else ()
    return CertificateAuthority(certificate, key, above)


def leaf(
    parent: CertificateAuthority,
    names: Sequence[str],
    *,
    now: datetime,
    days: tuple[int, int] = (30, 60),
    complete: bool = True,
) -> ServerCertificate:
    """A server certificate for names and addresses; `days`: validity before and after now."""
    key = ec.generate_private_key(ec.SECP256R1())
    validity = (now - days[0] * _DAY, now + days[1] * _DAY)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, parent.certificate.subject, key.public_key(), validity)
    builder = _logged(_as_server(builder, names))
    certificate = _pointing_up(builder, parent).sign(parent.key, SHA256())
    return _served(certificate, key, (parent.certificate, *parent.above) if complete else ())


def self_signed(names: Sequence[str], *, now: datetime) -> ServerCertificate:
    """A self-signed server certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, subject, key.public_key(), (now - 90 * _DAY, now + 900 * _DAY))
    return _served(_as_server(builder, names).sign(key, SHA256()), key, ())


def forge_2019(parent: CertificateAuthority, real: x509.Certificate) -> ServerCertificate:
    """Sign a copy of a real leaf as the 2019 interceptor did.

    Subject and SAN are copied, both dates are six hours earlier, the last four bytes of the
    serial differ, and all other extensions are missing.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    shift = timedelta(hours=6)
    validity = (real.not_valid_before_utc - shift, real.not_valid_after_utc - shift)
    serial = (real.serial_number & ~0xFFFFFFFF) | (x509.random_serial_number() & 0xFFFFFFFF)
    issuer = parent.certificate.subject
    builder = _builder(real.subject, issuer, key.public_key(), validity, serial)
    builder = _copy_names(builder, real)
    return _served(builder.sign(parent.key, SHA256()), key, (parent.certificate, *parent.above))


def forge_2021(parent: CertificateAuthority, real: x509.Certificate) -> ServerCertificate:
    """Sign a copy of a real leaf as the interceptors of 2021 to 2024 did: same dates and names."""
    key = ec.generate_private_key(ec.SECP256R1())
    validity = (real.not_valid_before_utc, real.not_valid_after_utc)
    builder = _builder(real.subject, parent.certificate.subject, key.public_key(), validity)
    builder = _pointing_up(_copy_names(builder, real), parent)
    return _served(builder.sign(parent.key, SHA256()), key, (parent.certificate, *parent.above))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    validity: tuple[datetime, datetime],
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=public,
        serial_number=serial or x509.random_serial_number(),
        not_valid_before=validity[0],
        not_valid_after=validity[1],
    )


def _as_authority(
    builder: x509.CertificateBuilder, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return builder.add_extension(identifier, critical=False)


def _as_server(builder: x509.CertificateBuilder, names: Sequence[str]) -> x509.CertificateBuilder:
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    builder = builder.add_extension(alternatives, critical=False)
    builder = builder.add_extension(constraints, critical=True)
    return builder.add_extension(purpose, critical=False)


def _logged(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """Add a signed certificate timestamp (RFC 6962) of an unknown log."""
    stamp = b"\x00" + bytes(32) + bytes(8) + b"\x00\x00" + b"\x04\x03\x00\x08" + bytes(8)
    listed = len(stamp).to_bytes(2, "big") + stamp
    value = len(listed).to_bytes(2, "big") + listed
    octets = b"\x04" + bytes([len(value)]) + value
    return builder.add_extension(x509.UnrecognizedExtension(_SCTS, octets), critical=False)


def _copy_names(
    builder: x509.CertificateBuilder, real: x509.Certificate
) -> x509.CertificateBuilder:
    names = real.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return builder.add_extension(names, critical=False)


def _pointing_up(
    builder: x509.CertificateBuilder, parent: CertificateAuthority
) -> x509.CertificateBuilder:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key())
    return builder.add_extension(identifier, critical=False)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _served(
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    above: tuple[x509.Certificate, ...],
) -> ServerCertificate:
    chain = b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *above))
    return ServerCertificate(chain, pem_key(key))


@dataclass(frozen=True)
class Pki:
    """All certificate authorities of one testbed, made on first use, with validity around `now`."""

    now: datetime

    @cached_property
    def first_root(self) -> CertificateAuthority:
        return root("CN=Laboratory Root X1,O=Laboratory Trust Services,C=US", now=self.now)

    @cached_property
    def first(self) -> CertificateAuthority:
        return intermediate(self.first_root, "CN=L3,O=Laboratory Encrypt,C=US", now=self.now)

    @cached_property
    def second_root(self) -> CertificateAuthority:
        return root("CN=Second Global Root G2,O=Second Certificates,C=BE", now=self.now)

    @cached_property
    def second(self) -> CertificateAuthority:
        return intermediate(
            self.second_root, "CN=Second TLS CA 4,O=Second Certificates,C=BE", now=self.now
        )

    @cached_property
    def national(self) -> CertificateAuthority:
        """A government CA that browsers do not trust; its key is the lab's own."""
        owner = "O=The Ministry of Digital Development and Communications,C=RU"
        above = root(f"CN=Russian Trusted Root CA,{owner}", now=self.now)
        return intermediate(above, f"CN=Russian Trusted Sub CA,{owner}", now=self.now)

    @cached_property
    def interceptor_2019(self) -> CertificateAuthority:
        above = root("CN=Qaznet Trust Network,C=KZ", now=self.now)
        return intermediate(above, "CN=Security Certificate,C=KZ", now=self.now)

    @cached_property
    def interceptor_2021(self) -> CertificateAuthority:
        name = "CN=Information Security Certification Authority,O=ISCA,C=KZ"
        above = root(name, now=self.now)
        return intermediate(above, "CN=ISCA node 4,O=ISCA,C=KZ", now=self.now, days=(20, 55))

    @cached_property
    def interceptor_anonymous(self) -> CertificateAuthority:
        return root("CN=Gateway CA", now=self.now)

    @cached_property
    def product(self) -> CertificateAuthority:
        """The CA of an antivirus product or an office proxy."""
        return root("CN=Guardian Web Shield Personal Root,O=Guardian Antivirus", now=self.now)

    @cached_property
    def router(self) -> ServerCertificate:
        """The certificate that a home router serves for every name."""
        return self_signed(("home-router.lan", "192.168.1.1"), now=self.now)

    @property
    def roots_pem(self) -> bytes:
        """The roots that a probe in the lab trusts instead of Mozilla's."""
        return self.first_root.pem + self.second_root.pem

    def serve(self, kind: CertificateKind, names: Sequence[str]) -> ServerCertificate:
        """A server certificate of this kind for these names."""
        if kind == "self_signed":
            return self_signed(names, now=self.now)
        signer = {"second_authority": "second", "national": "national"}.get(kind, "first")
        shown = ("shared-hosting.example-lab.net",) if kind == "wrong_name" else names
        days = {"expired": (120, -30), "not_yet_valid": (-30, 120)}.get(kind, (30, 60))
        authority: CertificateAuthority = getattr(self, signer)
        return leaf(authority, shown, now=self.now, days=days, complete=kind != "incomplete")
