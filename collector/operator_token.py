"""The operator's token: who bears it reads everything in full detail.

Rule: it is in a file, never on a command line; in memory there is its hash only.
"""

import hashlib
import hmac
from pathlib import Path

from collector.settings import SettingsError

LEAST_LENGTH = 20


def load(path: Path) -> bytes:
    """The hash of the token in a file.

    Raises:
        SettingsError: It cannot be read, or the token could be guessed.
    """
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--operator-token-file {path}: cannot be read ({error})") from error
    if len(token) < LEAST_LENGTH or not token.isascii() or len(token.split()) != 1:
        raise SettingsError(
            f"--operator-token-file {path}: one word of at least {LEAST_LENGTH} characters"
            " expected, such as `openssl rand -hex 32` makes"
        )
    return _hash(token)


def fits(token: str, known: bytes) -> bool:
    """Whether this is the token, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(_hash(token), known)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
