"""The fingerprint of a ServerHello, which depends on the server's TLS software.

It is the JA3S string: version, cipher and extensions in the order sent, in decimal
(`771,4865,51-43`); its MD5 is JA3S (Althouse, Atkinson and Atkins, "TLS Fingerprinting with JA3 and
JA3S", Salesforce, 2019). A server answers different ClientHellos differently, so only answers to
the same ClientHello are comparable. A HelloRetryRequest (TLS 1.3) precedes the ServerHello and is
described instead. The input is untrusted; at most the first 16 KiB are read.
"""

_HANDSHAKE_RECORD = 22
_SERVER_HELLO = 2
_MAX_BYTES = 16 * 1024
_EXTENSIONS = 64


def ja3s_string(received: bytes) -> str | None:
    """The JA3S string of the first ServerHello in a sequence of TLS records, or None."""
    message = _first_handshake(received[:_MAX_BYTES])
    if len(message) < 4 or message[0] != _SERVER_HELLO:
        return None
    # RFC 8446 section 4.1.3: version, 32 random bytes, session id, cipher, compression, extensions.
    body = message[4 : 4 + int.from_bytes(message[1:4], "big")]
    after_id = 35 + body[34] if len(body) > 34 else 0
    if not after_id or len(body) < after_id + 3:
        return None
    version, cipher = body[:2], body[after_id : after_id + 2]
    types = _extensions(body[after_id + 3 :])
    line = (int.from_bytes(version, "big"), int.from_bytes(cipher, "big"))
    return f"{line[0]},{line[1]},{'-'.join(map(str, types))}"


def _first_handshake(data: bytes) -> bytes:
    """The content of the leading handshake records; a message may span several."""
    at, found = 0, bytearray()
    while at + 5 <= len(data) and data[at] == _HANDSHAKE_RECORD:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        found += data[at + 5 : at + 5 + length]
        at += 5 + length
    return bytes(found)


def _extensions(data: bytes) -> list[int]:
    """The types of the extensions, in order."""
    end = min(len(data), 2 + int.from_bytes(data[:2], "big"))
    at, found = 2, list[int]()
    while at + 4 <= end and len(found) < _EXTENSIONS:
        found.append(int.from_bytes(data[at : at + 2], "big"))
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found
