"""Which Ed25519 public keys prove nothing: those of small order, for which every client can sign.

A point of small order has at most eight multiples, so a signature of anything can be guessed; the
verifiers of RFC 8032, OpenSSL's too, accept such keys. The list is that of libsodium: the y of the
eight points, with either sign of x, and every y that is not reduced.
"""

_PRIME = 2**255 - 19
_SIGN = 1 << 255
# y of the two pairs of points of order eight; 0 has order four, 1 order one, -1 order two.
_EIGHTH = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL = frozenset({0, 1, _PRIME - 1, _EIGHTH, _PRIME - _EIGHTH})


def is_weak(public: bytes) -> bool:
    """Whether a raw public key is of small order, or encoded in another way than keys are made."""
    y = int.from_bytes(public, "little") & ~_SIGN
    return y >= _PRIME or y in _SMALL
