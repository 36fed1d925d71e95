"""TLS alerts: the number, and who sent it (RFC 8446 section 6).

OpenSSL names a received alert by a reason symbol. An alert that we send is a record of type 21,
readable while it is not encrypted.
"""

import ssl
from typing import Literal

AlertSender = Literal["peer", "us"]

_ALERT_RECORD = 21
_PREFIXES = ("SSLV3_ALERT_", "TLSV13_ALERT_", "TLSV1_ALERT_", "TLSV1_")
_ENUM_PREFIX = "ALERT_DESCRIPTION_"
_NUMBERS = {
    name.removeprefix(_ENUM_PREFIX): int(number)
    for name, number in ssl.AlertDescription.__members__.items()
} | {
    "DECRYPTION_FAILED": 21,
    "NO_CERTIFICATE": 41,
    "EXPORT_RESTRICTION": 60,
    "INAPPROPRIATE_FALLBACK": 86,
    "MISSING_EXTENSION": 109,
    "CERTIFICATE_REQUIRED": 116,
    "NO_APPLICATION_PROTOCOL": 120,
}


def from_peer(error: ssl.SSLError) -> int | None:
    """The alert that the peer sent, if the error is about one."""
    if isinstance(error, ssl.SSLZeroReturnError):
        return 0
    reason: str = error.reason or ""
    for prefix in _PREFIXES:
        if reason.startswith(prefix):
            return _NUMBERS.get(reason.removeprefix(prefix))
    return None


def in_records(data: bytes) -> int | None:
    """The last unencrypted alert in a sequence of TLS records, or None."""
    at, found = 0, None
    while at + 5 <= len(data):
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] == _ALERT_RECORD and length == 2 and at + 7 <= len(data):
            found = data[at + 6]
        at += 5 + length
    return found
