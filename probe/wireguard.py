"""WireGuard's handshake initiation, and how its response is recognised.

Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", section 5.4. Nothing is sent
after the response, so no session is established. Pure: keys, random bytes and the time are
arguments.
"""

import hmac
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import blake2s

from msgspec import Struct

INITIATION, RESPONSE = 1, 2
INITIATION_BYTES, RESPONSE_BYTES = 148, 92
KEY_BYTES = 32

_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_MAC1_LABEL = b"mac1----"
# TAI64N: seconds since 1970 TAI, offset by 2**62; the leap seconds so far.
_TAI = 2**62 + 10


class HandshakeState(Struct, frozen=True):
    """A handshake in progress: the chaining key and the hash of everything so far."""

    chain: bytes
    hash: bytes

    def mixed(self, data: bytes) -> "HandshakeState":
        """The state with `data` mixed into the hash."""
        return HandshakeState(self.chain, digest(self.hash, data))

    def keyed(self, secret: bytes) -> tuple["HandshakeState", bytes]:
        """The state with `secret` mixed into the chaining key, and the derived key."""
        chain, key = derive(self.chain, secret, 2)
        return HandshakeState(chain, self.hash), key

    def chained(self, secret: bytes) -> "HandshakeState":
        """The state with `secret` mixed into the chaining key."""
        return HandshakeState(derive(self.chain, secret, 1)[0], self.hash)


def start(responder: bytes) -> HandshakeState:
    """The initial state, from the responder's public key."""
    chain = digest(_CONSTRUCTION)
    return HandshakeState(chain, digest(chain, _IDENTIFIER)).mixed(responder)


def initiation(responder: bytes, own: bytes, fresh: bytes, now: float) -> bytes:
    """The handshake initiation, 148 bytes.

    Args:
        responder: The server's public key. own: Our private key.
        fresh: 36 random bytes: the ephemeral key and the index.
        now: Unix time; a server accepts only messages newer than the last.
    """
    ephemeral, index = fresh[:KEY_BYTES], fresh[KEY_BYTES : KEY_BYTES + 4]
    public = public_of(ephemeral)
    state = start(responder)
    state = state.chained(public).mixed(public)
    state, key = state.keyed(agree(ephemeral, responder))
    static = seal(key, public_of(own), state.hash)
    state, key = state.mixed(static).keyed(agree(own, responder))
    stamp = seal(key, _timestamp(now), state.hash)
    body = struct.pack("<B3x", INITIATION) + index + public + static + stamp
    return body + mac1(responder, body) + bytes(16)


def answers(initiator: bytes, sent: bytes, received: bytes) -> bool:
    """Whether `received` is a response to the initiation `sent`.

    It must have the index of the initiation and a MAC keyed with our public key, which was sent
    encrypted for the server, so only the server can compute it.
    """
    if len(received) != RESPONSE_BYTES or received[:4] != struct.pack("<B3x", RESPONSE):
        return False
    valid = hmac.compare_digest(mac1(initiator, received[:60]), received[60:76])
    return valid and received[8:12] == sent[4:8]


def read_key(text: object) -> bytes | None:
    """Decode a key in the base64 of WireGuard's tools; None if it is invalid."""
    try:
        key = b64decode(text, validate=True) if isinstance(text, str) else b""
    except (Base64Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def public_of(private: bytes) -> bytes:
    """The public key of a private key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """The X25519 shared secret; zeros for a low-order public key (RFC 7748, 6.1)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    own = X25519PrivateKey.from_private_bytes(private)
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return bytes(KEY_BYTES)


def seal(key: bytes, text: bytes, associated: bytes) -> bytes:
    """ChaCha20-Poly1305 with nonce 0: each key is used once."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key).encrypt(bytes(12), text, associated)


def digest(*parts: bytes) -> bytes:
    """BLAKE2s of the concatenated parts."""
    return blake2s(b"".join(parts)).digest()


def mac1(receiver: bytes, body: bytes) -> bytes:
    """The MAC that proves knowledge of the receiver's public key."""
    return blake2s(body, digest_size=16, key=digest(_MAC1_LABEL, receiver)).digest()


def derive(chain: bytes, secret: bytes, count: int) -> tuple[bytes, ...]:
    """HKDF with HMAC-BLAKE2s (RFC 5869), `count` keys of it."""
    root = _hmac(chain, secret)
    keys = [_hmac(root, b"\x01")]
    while len(keys) < count:
        keys.append(_hmac(root, keys[-1] + bytes((len(keys) + 1,))))
    return tuple(keys)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, blake2s).digest()


def _timestamp(now: float) -> bytes:
    seconds = int(now)
    return struct.pack(">QI", _TAI + seconds, int((now - seconds) * 1e9))
