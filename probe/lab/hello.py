"""Read the server name out of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3)."""

import struct

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
_SUPPORTED_VERSIONS = 43
_TLS12 = b"\x03\x03"


def server_name(data: bytes) -> str | None:
    """The SNI of a ClientHello, or None when there is none or these bytes are something else."""
    try:
        return _server_name(data)
    except (IndexError, struct.error, UnicodeDecodeError):
        return None


def is_whole(data: bytes) -> bool:
    """Whether the first TLS record is complete (or the data is not TLS)."""
    if not data or data[0] != _HANDSHAKE:
        return bool(data)
    return len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big")


def offers_alpn(data: bytes) -> bool:
    """Whether a ClientHello has the ALPN extension (RFC 7301)."""
    return _ALPN in _readable(data)


def offers_only_tls13(data: bytes) -> bool:
    """Whether a ClientHello offers TLS 1.3 and nothing before it (RFC 8446 section 4.2.1)."""
    offered = _readable(data).get(_SUPPORTED_VERSIONS, b"")[1:]
    return bool(offered) and _TLS12 not in {
        offered[at : at + 2] for at in range(0, len(offered), 2)
    }


def _readable(data: bytes) -> dict[int, bytes]:
    try:
        return _extensions(data)
    except (IndexError, struct.error):
        return {}


def _server_name(data: bytes) -> str | None:
    offered = _extensions(data).get(_SERVER_NAME)
    if offered is None:
        return None
    length = _u16(offered, 3)
    name = offered[5 : 5 + length]
    return name.decode("ascii").lower() if len(name) == length else None


def _extensions(data: bytes) -> dict[int, bytes]:
    if data[0] != _HANDSHAKE or data[5] != _CLIENT_HELLO:
        return {}
    found: dict[int, bytes] = {}
    at = 5 + 4 + 2 + 32
    at += 1 + data[at]
    at += 2 + _u16(data, at)
    at += 1 + data[at]
    end = at + 2 + _u16(data, at)
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack_from("!HH", data, at)
        at += 4
        found.setdefault(kind, data[at : at + size])
        at += size
    return found


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("!H", data, at)[0])


def pattern(name: str) -> str:
    """The bytes that offer a name in a ClientHello, as iptables' string match writes them."""
    return f"|00{len(name):04x}|{name}"
