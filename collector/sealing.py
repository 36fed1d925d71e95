"""Numbers of records as text that does not tell them, for cursors.

Rule: a record's number is the microsecond in which it was received, and readers must not learn
that. So a cursor is the number enciphered as one block, and another text is recognised as none.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

_BLOCK = 16
_ZEROS = bytes(8)
LENGTH = 22


class Seal:
    """A cipher of one collector's store; it needs the same secret to open what it sealed."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"cursor", hashlib.sha256)[:_BLOCK]

    def close(self, number: int) -> str:
        """A number from 0 to 2^63 as text."""
        encryptor = self._cipher().encryptor()
        sealed = encryptor.update(number.to_bytes(8, "big") + _ZEROS) + encryptor.finalize()
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: str) -> int | None:
        """The number in a text; None when it was not sealed here."""
        try:
            sealed = base64.urlsafe_b64decode(text + "==")
        except (binascii.Error, ValueError):
            return None
        if len(sealed) != _BLOCK:
            return None
        decryptor = self._cipher().decryptor()
        block = decryptor.update(sealed) + decryptor.finalize()
        return int.from_bytes(block[:8], "big") if block[8:] == _ZEROS else None

    def _cipher(self) -> Cipher[ECB]:
        # A single block that never repeats: no mode of operation is needed.
        return Cipher(AES(self._key), ECB())  # noqa: S305 - see above
