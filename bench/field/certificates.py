"""The field's certificates: chains like those of the web, with one leaf per site.

Half of the authorities and a third of the leaves use RSA. As on the web, leaves have a policy, AIA
and CRL pointers and two SCTs; a few have many names; a third of the chains include a root
cross-signed by an older one. A chain has 2.1 to 6 KB, 3.1 on average.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import (
    AuthorityInformationAccessOID as Access,
    ExtendedKeyUsageOID,
    NameOID,
)

from bench.field.plan import PUBLIC_RESOLVERS, Field

_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_DOMAIN_VALIDATED = x509.ObjectIdentifier("2.23.140.1.2.1")
_AUTHORITIES = 12
_SHARED_HOSTING = 0.15  # share of the leaves with many names, as in shared hosting
_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class _Issuer:
    """A signing authority; `above`: certificates served between its own and the root."""

    certificate: x509.Certificate
    key: _Key
    above: tuple[x509.Certificate, ...] = ()


def certify(plan: Field, folder: Path) -> None:
    """Write a chain and key for every name into `folder`, and the roots into `ca.pem`."""
    issuers, roots = _authorities()
    (folder / "ca.pem").write_bytes(b"".join(map(_pem, roots)))
    if plan.spec.resigned:
        issuers, _ = _authorities()
    rng = random.Random(plan.spec.seed)
    leaf_rsa, leaf_ec = _rsa(2048), ec.generate_private_key(ec.SECP256R1())
    served = [
        *((s.name, f"www.{s.name}") for s in plan.sites),
        *((n,) for n in PUBLIC_RESOLVERS.values()),
        ("nobody.invalid",),
    ]
    for number, names in enumerate(served):
        issuer = issuers[number % len(issuers)]
        key: _Key = leaf_rsa if number % 3 == 0 else leaf_ec
        tenants = [f"tenant{rng.randrange(10**6)}.example.org" for _ in range(rng.randint(20, 60))]
        every = (*names, *tenants) if rng.random() < _SHARED_HOSTING else names
        chain = (_leaf(every, issuer, key), issuer.certificate, *issuer.above)
        (folder / f"{names[0]}.pem").write_bytes(_private(key) + b"".join(map(_pem, chain)))


def _authorities() -> tuple[list[_Issuer], list[x509.Certificate]]:
    """Authorities under two roots, and the roots."""
    keys: dict[str, _Key] = {name: _rsa(4096) for name in ("Field Root", "Older Field Root")}
    roots = {name: _signed(name, None, key, key) for name, key in keys.items()}
    new, old = (_Issuer(roots[name], keys[name]) for name in keys)
    cross = _signed("Field Root", old, new.key, old.key)
    issuers = []
    for number in range(_AUTHORITIES):
        key: _Key = _rsa(2048) if number % 2 else ec.generate_private_key(ec.SECP256R1())
        made = _signed(f"Field CA {number}", new, key, new.key)
        issuers.append(_Issuer(made, key, (cross,) if number % 3 == 0 else ()))
    return issuers, list(roots.values())


def _signed(subject: str, above: _Issuer | None, own: _Key, key: _Key) -> x509.Certificate:
    """An authority's certificate; without `above`, a root's."""
    named = _name(subject)
    issuer = above.certificate.subject if above else named
    builder = _builder(named, issuer, own, key, days=3000)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return (builder if above is None else _with_pointers(builder)).sign(key, SHA256())


def _leaf(names: tuple[str, ...], issuer: _Issuer, own: _Key) -> x509.Certificate:
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = _builder(common, issuer.certificate.subject, own, issuer.key, days=60)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_usage(signs=False), critical=True)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(purpose, critical=False)
    general = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = builder.add_extension(general, critical=False)
    stamps = random.Random(names[0]).randbytes(242)  # the size of two SCTs
    listed = x509.UnrecognizedExtension(_SCT_LIST, b"\x04\x81\xf2" + stamps)
    builder = builder.add_extension(listed, critical=False)
    return _with_pointers(builder).sign(issuer.key, SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, own: _Key, key: _Key, *, days: int
) -> x509.CertificateBuilder:
    """A builder with the fields that every certificate has."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=own.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=30),
        not_valid_after=now + timedelta(days=days),
    )
    mine = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return builder.add_extension(mine, critical=False).add_extension(above, critical=False)


def _with_pointers(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """Add AIA and CRL pointers and the certificate policy."""
    at = x509.UniformResourceIdentifier
    access = [
        x509.AccessDescription(Access.OCSP, at("http://status.field-authority.example")),
        x509.AccessDescription(Access.CA_ISSUERS, at("http://certs.field-authority.example/i.der")),
    ]
    lists = [at("http://lists.field-authority.example/42.crl")]
    policy = x509.PolicyInformation(_DOMAIN_VALIDATED, None)
    for extension in (
        x509.AuthorityInformationAccess(access),
        x509.CRLDistributionPoints([x509.DistributionPoint(lists, None, None, None)]),
        x509.CertificatePolicies([policy]),
    ):
        builder = builder.add_extension(extension, critical=False)
    return builder


def _name(common: str) -> x509.Name:
    parts = (NameOID.COUNTRY_NAME, "KZ"), (NameOID.ORGANIZATION_NAME, "Field Trust Services LLP")
    every = (*parts, (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in every])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _private(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
