"""WireGuard's first message and its answer: just enough of the handshake to see who answers.

Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", section 5.4. Nothing after
the first answer is ever sent, so no session comes to be. Pure: keys, randomness and the time come
in as arguments.
"""

import hmac
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import blake2s

INITIATION, RESPONSE = 1, 2
INITIATION_BYTES, RESPONSE_BYTES = 148, 92
KEY_BYTES = 32

_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_MAC1_LABEL = b"mac1----"
# TAI64N: seconds since 1970 TAI, offset by 2**62; the leap seconds so far.
_TAI = 2**62 + 10


@dataclass(frozen=True, slots=True)
class State:
    """A handshake in progress: the chaining key and the hash of everything so far."""

    chain: bytes
    hash: bytes

    def mixed(self, data: bytes) -> "State":
        """With some bytes in the hash."""
        return State(self.chain, digest(self.hash, data))

    def keyed(self, secret: bytes) -> tuple["State", bytes]:
        """With a secret in the chaining key, and the key that follows from it."""
        chain, key = derive(self.chain, secret, 2)
        return State(chain, self.hash), key

    def chained(self, secret: bytes) -> "State":
        """With a secret in the chaining key."""
        return State(derive(self.chain, secret, 1)[0], self.hash)


def start(responder: bytes) -> State:
    """Where both sides begin, by the responder's public key."""
    chain = digest(_CONSTRUCTION)
    return State(chain, digest(chain, _IDENTIFIER)).mixed(responder)


def initiation(responder: bytes, own: bytes, fresh: bytes, now: float) -> bytes:
    """The 148 bytes that a peer begins with.

    Args:
        responder: The server's public key. own: Our private key.
        fresh: 36 random bytes: the ephemeral key and the index.
        now: Unix time; a server takes only messages newer than the last.
    """
    ephemeral, index = fresh[:KEY_BYTES], fresh[KEY_BYTES : KEY_BYTES + 4]
    public = public_of(ephemeral)
    state = start(responder)
    state = State(derive(state.chain, public, 1)[0], state.hash).mixed(public)
    state, key = state.keyed(agree(ephemeral, responder))
    static = seal(key, public_of(own), state.hash)
    state, key = state.mixed(static).keyed(agree(own, responder))
    stamp = seal(key, _timestamp(now), state.hash)
    body = struct.pack("<B3x", INITIATION) + index + public + static + stamp
    return body + mac1(responder, body) + bytes(16)


def answers(initiator: bytes, sent: bytes, heard: bytes) -> bool:
    """Whether these bytes answer an initiation: its index, and a mark made with our public key.

    Our public key went out sealed for the server alone, so nobody else can make that mark.
    """
    if len(heard) != RESPONSE_BYTES or heard[:4] != struct.pack("<B3x", RESPONSE):
        return False
    marked = hmac.compare_digest(mac1(initiator, heard[:60]), heard[60:76])
    return marked and heard[8:12] == sent[4:8]


def read_key(text: object) -> bytes | None:
    """A key as WireGuard's tools write it, or None when it is none."""
    try:
        key = b64decode(text, validate=True) if isinstance(text, str) else b""
    except (Base64Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def public_of(private: bytes) -> bytes:
    """The public key of a private one."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """The secret that two keys share; zeros for a public key that shares none (RFC 7748, 6.1)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    own = X25519PrivateKey.from_private_bytes(private)
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return bytes(KEY_BYTES)


def seal(key: bytes, text: bytes, beside: bytes) -> bytes:
    """ChaCha20-Poly1305 with the counter at zero: each key is used once."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key).encrypt(bytes(12), text, beside)


def digest(*parts: bytes) -> bytes:
    """BLAKE2s over several parts."""
    return blake2s(b"".join(parts)).digest()


def mac1(receiver: bytes, body: bytes) -> bytes:
    """The mark that shows that the sender knows the receiver's public key."""
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
