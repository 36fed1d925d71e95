"""Signatures verify as the numbers say, whichever way they are calculated."""

from functools import lru_cache
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from probe.certificates import certificate, signature
from probe.certificates.signature import verifies
from tests.probe.certificates.test_trust import issue

MESSAGE = b"what was signed"
_OID = "300b06092a864886f70d0101"
MD5_WITH_RSA, SHA1_WITH_RSA, SHA256_WITH_RSA = (bytes.fromhex(_OID + n) for n in ("04", "05", "0b"))


@lru_cache
def key(size: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def spki(size: int) -> bytes:
    return key(size).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed(size: int, kind: HashAlgorithm) -> bytes:
    return key(size).sign(MESSAGE, padding.PKCS1v15(), kind)


@pytest.fixture(autouse=True)
def _forget() -> None:
    signature._remembered.cache_clear()
    signature._loaded.cache_clear()


@pytest.mark.parametrize("by_numbers", [False, True])
@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [(MD5_WITH_RSA, MD5()), (SHA1_WITH_RSA, SHA1()), (SHA256_WITH_RSA, SHA256())],
)
def test_an_rsa_signature_of_any_age(
    monkeypatch: pytest.MonkeyPatch,
    algorithm: bytes,
    kind: HashAlgorithm,
    by_numbers: bool,  # noqa: FBT001 - a column of the table
) -> None:
    if by_numbers:
        monkeypatch.setattr(signature, "_USUAL_RSA", signature.RSA_BITS + 1)
    made = signed(2048, kind)
    assert verifies(spki(2048), algorithm, MESSAGE, made)
    assert not verifies(spki(2048), algorithm, MESSAGE + b".", made)
    assert not verifies(spki(2048), algorithm, MESSAGE, made[:-1] + bytes([made[-1] ^ 1]))
    assert not verifies(spki(2048), algorithm, MESSAGE, made[:-1])
    assert not verifies(spki(2048), algorithm, MESSAGE, b"\0" + made)
    assert not verifies(spki(1024), algorithm, MESSAGE, made)
    other = SHA1_WITH_RSA if algorithm != SHA1_WITH_RSA else SHA256_WITH_RSA
    assert not verifies(spki(2048), other, MESSAGE, made)


def test_padding_with_anything_else_inside_does_not_verify() -> None:
    private = key(1024).private_numbers()
    n, d = private.public_numbers.n, private.d
    info = bytes.fromhex(signature._RSA["1.2.840.113549.1.1.11"][1]) + sha256(MESSAGE).digest()
    whole = b"\x00\x01" + b"\xff" * (128 - 3 - len(info)) + b"\x00" + info
    forms = {
        whole: True,
        whole.replace(b"\x00\x01", b"\x00\x02", 1): False,
        whole.replace(b"\xff\x00", b"\xfe\x00", 1): False,
        (b"\x00\x01" + b"\xff" * 8 + b"\x00" + info).ljust(128, b"\0"): False,
        (b"\x00\x01" + b"\xff" * 8 + b"\x00" + b"\1" * 200)[: 128 - len(info)] + info: False,
    }
    for block, right in forms.items():
        made = pow(int.from_bytes(block, "big"), d, n).to_bytes(128, "big")
        assert verifies(spki(1024), SHA256_WITH_RSA, MESSAGE, made) is right


def test_an_authority_of_many_sites_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bytes] = []

    def counted(data: bytes) -> object:
        loaded.append(data)
        return load_der_public_key(data)

    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.load_der_public_key", counted)
    for number in range(20):
        message = MESSAGE + bytes([number])
        made = key(2048).sign(message, padding.PKCS1v15(), SHA256())
        assert verifies(spki(2048), SHA256_WITH_RSA, message, made)
    assert loaded == [spki(2048)]


def test_the_names_of_authorities_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    parse = certificate._parse_name

    def counted(whole: bytes) -> certificate.Name:
        read.append(whole)
        return parse(whole)

    monkeypatch.setattr(certificate, "_parsed_name", lru_cache(maxsize=128)(counted))
    root = issue("A Root", authority=True)
    leaves = [issue(f"site{n}.example", by=root) for n in range(5)]
    for leaf in leaves:
        certificate.read(leaf.der)
    assert len(read) == 1 + len(leaves)  # the issuer, and each subject
