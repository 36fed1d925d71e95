"""Cursors as text that tells nothing: enciphered, so that only its collector can read it.

Rule: a cursor may contain the microsecond in which a record was received, or the millisecond of a
look, which readers must not learn. The same cursor is always the same text (AES-SIV, RFC 5297), so
that a page does not seem to change; a text that was not made here is recognised as none.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class Seal:
    """A cipher of one collector's store; it needs the same secret to open what it sealed."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(hmac.digest(secret, b"cursor", hashlib.sha256))

    def close(self, data: bytes) -> str:
        """Some bytes as text."""
        sealed = self._cipher.encrypt(data, None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: str) -> bytes | None:
        """The bytes in a text; None when it was not sealed here."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._cipher.decrypt(sealed, None)
        except (binascii.Error, ValueError, InvalidTag):
            return None
