"""A target is measured, confirmed, judged and encoded whatever certificate its server shows."""

import base64
import random
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings, strategies as st

from probe.model import Tls
from probe.net.session import SessionSettings
from tests.probe.experiments.test_web_fuzz import AUTHORITY, NAME, PLAIN_PAGE, Stranger, survives
from tests.probe.net.servers import NOW, Leaf

LEAF = AUTHORITY.leaf(NAME)
SECRET, _, _REST = LEAF.pem.partition(b"-----BEGIN CERTIFICATE-----")
DAY = 86_400.0
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def as_pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def shown(folder: Path, *chain: bytes) -> ssl.SSLContext | None:
    """A context that shows this chain; None where OpenSSL itself refuses to load it."""
    file = folder / "chain.pem"
    file.write_bytes(SECRET + b"".join(map(as_pem, chain)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(file)
    except ssl.SSLError:
        return None
    return context


def outlives(lab: SessionSettings, context: ssl.SSLContext) -> list[Tls]:
    stranger = Stranger(random.Random(3), lambda _: PLAIN_PAGE, context)
    return [s for s in survives(stranger, lab, "https") if isinstance(s, Tls)]


@pytest.fixture
def lab(tmp_path: Path) -> SessionSettings:
    return SessionSettings(lab=True, ca_file=AUTHORITY.write(tmp_path), ipv6=False)


Change = tuple[int, int]


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, len(LEAF.der) - 1), st.integers(0, 255)), max_size=4))
def test_a_certificate_with_changed_bytes(
    lab: SessionSettings, tmp_path: Path, changes: list[Change]
) -> None:
    der = bytearray(LEAF.der)
    for at, value in changes:
        der[at] = value
    context = shown(tmp_path, bytes(der))
    if context is not None:
        assert outlives(lab, context)


def odd(name: x509.Name, *names: str, serial: int = 7, extension: bytes = b"") -> bytes:
    """A certificate that the test root signs, of the key that the server has."""
    key = serialization.load_pem_private_key(SECRET, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(AUTHORITY.subject)
    builder = builder.public_key(key.public_key()).serial_number(serial)
    builder = builder.not_valid_before(NOW.replace(year=1951)).not_valid_after(
        NOW.replace(year=9999)
    )
    if names:
        every = [x509.DNSName(one) for one in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(every), critical=False)
    if extension:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.5.5"), extension)
        builder = builder.add_extension(unknown, critical=False)
    return builder.sign(AUTHORITY.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def common(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


MANY = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 64)] * 400)
ODD = {
    "no name at all": odd(x509.Name([])),
    "control characters": odd(common("a\x00b\r\n\x1b[31m"), NAME),
    "right to left": odd(common("\u202egpj.exe\u2066"), NAME),
    "a surrogate's bytes": odd(common("\U0001f600" * 16), NAME),
    "hundreds of parts": odd(MANY, NAME),
    "ten thousand names": odd(common("x"), *(f"n{n}.example" for n in range(10_000))),
    "a name that is no name": odd(common("x"), "*.*", "..", "a" * 250, "-", "*"),
    "the largest serial": odd(common("x"), NAME, serial=2**159 - 1),
    "sixty kilobytes": odd(common("x"), NAME, extension=bytes(60_000)),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_certificate(lab: SessionSettings, tmp_path: Path, what: str) -> None:
    context = shown(tmp_path, ODD[what])
    assert context is not None
    assert outlives(lab, context)


def test_a_chain_of_forty(lab: SessionSettings, tmp_path: Path) -> None:
    others: list[Leaf] = [AUTHORITY.leaf(f"n{n}.example") for n in range(40)]
    context = shown(tmp_path, LEAF.der, *(one.der for one in others))
    assert context is not None
    assert outlives(lab, context)
