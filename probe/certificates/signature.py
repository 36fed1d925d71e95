"""Whether a signature verifies under a public key.

Rule: arithmetic only, no policy. MD5, SHA-1 and short RSA keys verify here if the numbers are
right, because the question is who signed, not whether a browser would accept it. Time is bounded:
keys larger than `RSA_BITS` and exponents larger than 64 bits (OpenSSL's bounds) verify nothing.
"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from probe.certificates import der
from probe.certificates.der import DerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

RSA_BITS = 16_384
EXPONENT_BITS = 64

# AlgorithmIdentifier of PKCS #1 signatures, and the DigestInfo that each one pads (RFC 8017, 9.2).
_RSA = {
    "1.2.840.113549.1.1.4": ("md5", "3020300c06082a864886f70d020505000410"),
    "1.2.840.113549.1.1.5": ("sha1", "3021300906052b0e03021a05000414"),
    "1.3.14.3.2.29": ("sha1", "3021300906052b0e03021a05000414"),
    "1.2.840.113549.1.1.14": ("sha224", "302d300d06096086480165030402040500041c"),
    "1.2.840.113549.1.1.11": ("sha256", "3031300d060960864801650304020105000420"),
    "1.2.840.113549.1.1.12": ("sha384", "3041300d060960864801650304020205000430"),
    "1.2.840.113549.1.1.13": ("sha512", "3051300d060960864801650304020305000440"),
}
_ECDSA = {
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
_SMALL = 8192
_USUAL_RSA = 1024  # bits, from which every library verifies
_EDWARDS = frozenset({"1.3.101.112", "1.3.101.113"})
_PSS = "1.2.840.113549.1.1.10"
_RSA_KEY = "1.2.840.113549.1.1.1"
_HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


def verifies(spki: bytes, algorithm: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` was made with the private half of `spki`.

    `algorithm` is a whole AlgorithmIdentifier. Unsupported algorithms do not verify.
    """
    # The same few authorities' certificates come with every chain; large ones are not cached.
    small = len(spki) + len(algorithm) + len(message) + len(signature) < _SMALL
    return (_remembered if small else _verifies)(spki, algorithm, message, signature)


def _verifies(spki: bytes, algorithm: bytes, message: bytes, signature: bytes) -> bool:
    try:
        kind = der.oid(next(der.children(der.read(algorithm))))
        if kind in _RSA:
            return _rsa(spki, *_RSA[kind], message=message, signature=signature)
        return _other(spki, kind, algorithm, message=message, signature=signature)
    except (DerError, StopIteration):
        return False


_remembered = lru_cache(maxsize=128)(_verifies)


def rsa_key(spki: bytes) -> tuple[int, int] | None:
    """Modulus and exponent of an RSA key; None when it is another key or out of bounds."""
    algorithm, key = _two(der.read(spki))
    if der.oid(next(der.children(algorithm))) != _RSA_KEY:
        return None
    modulus, exponent = (der.integer(item) for item in _two(der.read(der.bits(key))))
    fits = 256 <= modulus.bit_length() <= RSA_BITS and exponent.bit_length() <= EXPONENT_BITS
    return (modulus, exponent) if fits and modulus % 2 and exponent > 1 else None


def _two(item: der.Item) -> tuple[der.Item, der.Item]:
    parts = list(der.children(item))
    if len(parts) != 2:
        raise DerError("two parts expected")
    return parts[0], parts[1]


def _rsa(spki: bytes, digest: str, prefix: str, *, message: bytes, signature: bytes) -> bool:
    """PKCS #1 v1.5, by comparing the whole padded block (RFC 8017 section 8.2.2)."""
    key = rsa_key(spki)
    if key is None:
        return False
    size = (key[0].bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= key[0]:
        return False
    info = bytes.fromhex(prefix) + hashlib.new(digest, message, usedforsecurity=False).digest()
    if key[0].bit_length() >= _USUAL_RSA:
        return _recovered(spki, signature) == info
    padded = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
    return len(padded) == size and pow(number, key[1], key[0]).to_bytes(size, "big") == padded


def _recovered(spki: bytes, signature: bytes) -> bytes | None:
    """What was padded and signed: OpenSSL takes a tenth of the time of Python's numbers."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = _loaded(spki)
        if isinstance(key, RSAPublicKey):
            return key.recover_data_from_signature(signature, PKCS1v15(), None)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        pass
    return None


@lru_cache(maxsize=32)
def _loaded(spki: bytes) -> "PublicKeyTypes":
    """A public key as the library has it: the same few authorities sign for many sites."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(spki)


def _other(spki: bytes, kind: str, algorithm: bytes, *, message: bytes, signature: bytes) -> bool:
    """RSA-PSS and elliptic curves, by the library."""
    if kind not in _ECDSA and kind not in _EDWARDS and kind != _PSS:
        return False
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        key = _loaded(spki)
        _check(key, kind, algorithm, message=message, signature=signature)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return False
    return True


def _check(
    key: "PublicKeyTypes", kind: str, algorithm: bytes, *, message: bytes, signature: bytes
) -> None:
    """Raise unless the signature verifies."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    if isinstance(key, ec.EllipticCurvePublicKey) and kind in _ECDSA:
        key.verify(signature, message, ec.ECDSA(_hash(_ECDSA[kind])))
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) and kind in _EDWARDS:
        key.verify(signature, message)
    elif isinstance(key, rsa.RSAPublicKey) and kind == _PSS and key.key_size <= RSA_BITS:
        used = _hash(_pss_hash(algorithm))
        scheme = padding.PSS(mgf=padding.MGF1(used), salt_length=padding.PSS.AUTO)
        key.verify(signature, message, scheme, used)
    else:
        raise TypeError("a key of another kind")


def _pss_hash(algorithm: bytes) -> str:
    """The hash an RSASSA-PSS AlgorithmIdentifier names (RFC 4055); SHA-1 when it names none."""
    parts = list(der.children(der.read(algorithm)))
    for item in der.children(parts[1]) if len(parts) > 1 else ():
        if item.tag == 0xA0:
            named = der.read(item.data, item.start, item.end)
            return _HASHES.get(der.oid(next(der.children(named))), "")
    return "sha1"


def _hash(name: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    known: dict[str, HashAlgorithm] = {
        "sha1": hashes.SHA1(),  # noqa: S303 - the question is who signed
        "sha224": hashes.SHA224(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    if name not in known:
        raise TypeError("an unknown hash")
    return known[name]
